//! The token endpoint: its own origin, its form, its two kinds of errors, its limit per user.
//!
//! The vendor's page describes only success. The rest is our choice, modelled on what other token
//! endpoints send.

use std::time::SystemTime;

use http::StatusCode;
use serde_json::json;

use super::{
    cookies,
    fault::Fault,
    inspect::{Revocation, TokenRequest},
    journal::Violation,
    login,
    response::ServerResponse,
    settings::Settings,
    state::State,
    tokens::Kind,
};

/// Accepts or rejects a token request that obeyed the rules.
pub(super) fn token(
    state: &mut State,
    settings: &Settings,
    request: &TokenRequest,
    faults: &[Fault],
) -> ServerResponse {
    let now = state.now();
    let limit = settings.token_requests_per_second;
    let standing = state
        .rate_limit
        .ask(&request.credentials.username, limit, now);
    let response = if standing.allowed {
        granted(state, settings, request, faults)
    } else {
        other_shape(
            StatusCode::TOO_MANY_REQUESTS,
            "E0000047",
            "API call exceeded rate limit due to too many requests.",
        )
    };
    let shown = cookies::shifted(standing.reset, state.clock_offset);
    response
        .with("x-rate-limit-limit", &limit.to_string())
        .with("x-rate-limit-remaining", &standing.remaining.to_string())
        .with("x-rate-limit-reset", &whole_seconds_up(shown).to_string())
}

fn granted(
    state: &mut State,
    settings: &Settings,
    request: &TokenRequest,
    faults: &[Fault],
) -> ServerResponse {
    if request.client_id != settings.client_id {
        return other_shape(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Invalid value for 'client_id' parameter.",
        );
    }
    if request.grant_type != "password" {
        return error(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "The grant type is not supported.",
        );
    }
    let mut scopes = request.scope.split(' ');
    let known = |scope: &str| ["openid", "profile", ""].contains(&scope);
    if !scopes.clone().any(|scope| scope == "openid") || !scopes.all(known) {
        return error(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "The scope is not known here, or has no \"openid\".",
        );
    }
    let user = &request.credentials;
    if let Some(status) = login::scripted_refusal(faults) {
        return invalid_grant(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST));
    }
    if !state.accounts.lets_in(&user.username, &user.password) {
        return invalid_grant(StatusCode::BAD_REQUEST);
    }
    let lifetime = state.token_lifetime(Kind::Access);
    let grant = json!({
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
        "scope": request.scope,
    });
    if faults.contains(&Fault::NoToken) {
        return private(ServerResponse::json(StatusCode::OK, &grant));
    }
    let token = state.mint.access_token();
    login::issue(state, &token, &user.username, Kind::Access);
    let scripted = faults.iter().find_map(|fault| match fault {
        Fault::TokenBody(body) => Some(body.replace("{token}", &token)),
        _ => None,
    });
    private(match scripted {
        Some(body) => as_json(StatusCode::OK).body(body),
        None => {
            let mut grant = grant;
            grant["access_token"] = token.into();
            grant["id_token"] = state.mint.access_token().into();
            ServerResponse::json(StatusCode::OK, &grant)
        }
    })
}

/// Handles a revocation (RFC 7009): 200 also for an unknown token.
pub(super) fn revoke(
    state: &mut State,
    settings: &Settings,
    request: &Revocation,
) -> ServerResponse {
    if request.client_id != settings.client_id {
        return other_shape(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Invalid value for 'client_id' parameter.",
        );
    }
    if state.tokens.kind(&request.token) == Some(Kind::Access) {
        state.counts.revocations += 1;
        state.tokens.tell_given_up(&request.token);
        login::end_token(state, settings.logout_effect, &request.token);
    }
    ServerResponse::new(StatusCode::OK)
}

/// Returns the response to a request that broke a rule.
pub(super) fn broken(violation: Violation) -> ServerResponse {
    if violation == Violation::WrongMethod {
        return ServerResponse::new(StatusCode::METHOD_NOT_ALLOWED).with("allow", "POST");
    }
    private(ServerResponse::json(
        StatusCode::BAD_REQUEST,
        &json!({ "error": "invalid_request", "violation": violation }),
    ))
}

/// Returns the error for a wrong username, a wrong password and a locked account alike.
fn invalid_grant(status: StatusCode) -> ServerResponse {
    error(
        status,
        "invalid_grant",
        "The credentials provided were invalid.",
    )
}

/// Returns an error of RFC 6749, 5.2.
fn error(status: StatusCode, code: &str, description: &str) -> ServerResponse {
    private(ServerResponse::json(
        status,
        &json!({ "error": code, "error_description": description }),
    ))
}

/// Returns an error of the other kind that such endpoints use.
fn other_shape(status: StatusCode, code: &str, summary: &str) -> ServerResponse {
    private(ServerResponse::json(
        status,
        &json!({
            "errorCode": code,
            "errorSummary": summary,
            "errorLink": code,
            "errorId": "oae0",
            "errorCauses": [],
        }),
    ))
}

fn as_json(status: StatusCode) -> ServerResponse {
    ServerResponse::new(status).with("content-type", "application/json;charset=UTF-8")
}

/// Adds the headers of RFC 6749, 5.1.
fn private(response: ServerResponse) -> ServerResponse {
    response
        .with("cache-control", "no-store")
        .with("pragma", "no-cache")
}

fn whole_seconds_up(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    since.as_secs() + u64::from(since.subsec_nanos() > 0)
}
