//! The control path `/_ctc/`, for people with no Rust. A request that it does not understand
//! changes nothing, and is told what is wrong with it.

use http::{Method, StatusCode};
use serde_json::json;

use super::{
    inspect, received::Received, response::ServerResponse, script, state::Shared, state::State,
    tokens::Life,
};

pub(super) fn response(shared: &Shared, request: &Received) -> ServerResponse {
    match understood(request) {
        Ok(account) => act(shared, request, account.as_deref()),
        Err(Refusal { status, why, allow }) => {
            let response = wrong(status, &why);
            match allow {
                Some(methods) => response.with("allow", methods),
                None => response,
            }
        }
    }
}

/// A request that is not understood.
struct Refusal {
    status: StatusCode,
    why: String,
    allow: Option<&'static str>,
}

fn refusal(status: StatusCode, why: String) -> Refusal {
    Refusal {
        status,
        why,
        allow: None,
    }
}

fn path(request: &Received) -> &str {
    match request.path.strip_prefix("/_ctc").unwrap_or_default() {
        "" => "/",
        path => path,
    }
}

/// Checks all but the rule of a fault. The account is the one that the request names.
fn understood(request: &Received) -> Result<Option<String>, Refusal> {
    let path = path(request);
    let methods = match path {
        "/" | "/counts" | "/journal" => "GET",
        "/faults" => "POST, DELETE",
        "/revoke" | "/expire" | "/reset" | "/release" => "POST",
        _ => {
            let why = format!(
                "there is no {}: GET /_ctc/ shows what there is",
                request.path
            );
            return Err(refusal(StatusCode::NOT_FOUND, why));
        }
    };
    let method = request.method.as_str();
    if !methods.split(", ").any(|allowed| allowed == method) {
        let why = format!("{method} does nothing at {}: use {methods}", request.path);
        let allow = Some(methods);
        return Err(Refusal {
            allow,
            ..refusal(StatusCode::METHOD_NOT_ALLOWED, why)
        });
    }
    if request.body_len > 0 && (path, &request.method) != ("/faults", &Method::POST) {
        let why = format!("{} takes no body: send none", request.path);
        return Err(refusal(StatusCode::BAD_REQUEST, why));
    }
    account(request, matches!(path, "/revoke" | "/expire"))
        .map_err(|why| refusal(StatusCode::BAD_REQUEST, why))
}

/// The only parameter that there is.
fn account(request: &Received, allowed: bool) -> Result<Option<String>, String> {
    if !inspect::well_encoded(request.query.as_bytes()) {
        return Err("the query has a % that is not followed by two hex digits: use %25".into());
    }
    let mut account = None;
    for (name, value) in form_urlencoded::parse(request.query.as_bytes()) {
        let takes = if allowed {
            "user=NAME and nothing else"
        } else {
            "no parameter"
        };
        if name != "user" || !allowed {
            return Err(format!(
                "the query has an unknown parameter {name:?}: {} takes {takes}",
                request.path
            ));
        } else if value.is_empty() || value.contains('\u{FFFD}') {
            return Err(
                "user: the name is empty or not UTF-8; leave it out for all accounts".into(),
            );
        } else if account.replace(value.into_owned()).is_some() {
            return Err("user: it is given twice; send one request for each account".into());
        }
    }
    Ok(account)
}

fn act(shared: &Shared, request: &Received, account: Option<&str>) -> ServerResponse {
    match path(request) {
        "/" => ServerResponse::new(StatusCode::OK)
            .with("content-type", "text/plain")
            .body(super::CONTROL_HELP),
        "/counts" => ServerResponse::json(StatusCode::OK, &shared.counts()),
        "/journal" => ServerResponse::json(StatusCode::OK, &shared.journal()),
        "/faults" if request.method == Method::POST => inject(shared, request),
        "/faults" => {
            shared.change(State::clear_rules);
            done()
        }
        "/revoke" => end(shared, account, Life::Revoked),
        "/expire" => end(shared, account, Life::Expired),
        "/reset" => {
            shared.change(State::reset_journal);
            done()
        }
        _ => {
            shared.release();
            done()
        }
    }
}

fn inject(shared: &Shared, request: &Received) -> ServerResponse {
    match script::read(&request.body, request.body_len) {
        Ok(rule) => {
            let id = shared.change(|state| state.inject(rule));
            ServerResponse::json(StatusCode::CREATED, &json!({ "rule": id }))
        }
        Err(why) => wrong(StatusCode::BAD_REQUEST, &why),
    }
}

fn end(shared: &Shared, account: Option<&str>, life: Life) -> ServerResponse {
    let ended = shared.change(|state| state.tokens.end_all(account, life));
    ServerResponse::json(StatusCode::OK, &json!({ "ended": ended }))
}

fn done() -> ServerResponse {
    ServerResponse::new(StatusCode::NO_CONTENT)
}

fn wrong(status: StatusCode, why: &str) -> ServerResponse {
    ServerResponse::json(status, &json!({ "error": why }))
}
