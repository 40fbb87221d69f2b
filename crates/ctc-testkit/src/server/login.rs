//! The requests that change a session: cookie login, logout, rotation.

use http::StatusCode;

use super::{
    cookies,
    fault::Fault,
    inspect::Credentials,
    response::ServerResponse,
    settings::{LogoutEffect, Settings},
    state::State,
    tokens::{Kind, Life},
};

/// Accepts or rejects a cookie login that obeyed the rules.
pub(super) fn login(
    state: &mut State,
    settings: &Settings,
    user: &Credentials,
    faults: &[Fault],
) -> ServerResponse {
    if let Some(status) = scripted_refusal(faults) {
        return ServerResponse::status(status);
    }
    if !state.accounts.lets_in(&user.username, &user.password) {
        return ServerResponse::status(settings.refused_status);
    }
    if faults.contains(&Fault::NoToken) {
        return accepted().with(
            "set-cookie",
            &format!("JSESSIONID={}; Path=/connect", state.mint.session_id()),
        );
    }
    let token = state.mint.token();
    let mut response = accepted();
    let scripted = faults.iter().find_map(|fault| match fault {
        Fault::SetCookies(lines) => Some(lines),
        _ => None,
    });
    if let Some(lines) = scripted {
        count_login(state, &user.username);
        for line in lines.iter().map(|line| line.replace("{token}", &token)) {
            response.set_cookie(&line);
            // Whether the client can read the token shows when it presents it.
            let pair = line.split(';').next().unwrap_or_default();
            if let Some(value) = cookies::auth_tokens(pair).next() {
                let ends = cookies::later(state.now(), state.token_lifetime(Kind::Cookie));
                state
                    .tokens
                    .issue(value, &user.username, ends, Kind::Cookie);
            }
        }
    } else {
        issue(state, &token, &user.username, Kind::Cookie);
        let lines = cookies::login_lines(
            &state.mint,
            &token,
            state.token_lifetime(Kind::Cookie),
            state.shown_now(),
            settings.tls,
        );
        lines.iter().for_each(|line| response.set_cookie(line));
    }
    response
}

/// Issues the token of an accepted login, for the response that is being built.
pub(super) fn issue(state: &mut State, token: &str, username: &str, kind: Kind) {
    count_login(state, username);
    let ends = cookies::later(state.now(), state.token_lifetime(kind));
    state.tokens.issue(token, username, ends, kind);
    state.issued = Some(token.to_owned());
}

fn count_login(state: &mut State, username: &str) {
    let now = state.now();
    state.accounts.logged_in(username);
    state.counts.logins += 1;
    state.counts.needless_logins += u64::from(state.tokens.in_use(username, now));
}

/// Handles a logout with a valid token.
pub(super) fn logout(state: &mut State, settings: &Settings, token: &str) -> ServerResponse {
    state.counts.logouts += 1;
    state.tokens.tell_given_up(token);
    end_token(state, settings.logout_effect, token);
    ServerResponse::new(StatusCode::OK).with(
        "set-cookie",
        cookies::ClearingForm::EmptyMaxAgeExpires.line(),
    )
}

/// Issues a new token in place of a valid one (or beside it), and returns the line that sets it.
pub(super) fn rotate(state: &mut State, settings: &Settings, old: &str, keep_old: bool) -> String {
    let token = state.mint.token();
    let account = state.tokens.account(old).unwrap_or_default().to_owned();
    let lifetime = state.token_lifetime(Kind::Cookie);
    let ends = cookies::later(state.now(), lifetime);
    state.tokens.issue(&token, &account, ends, Kind::Cookie);
    if !keep_old {
        state.tokens.end(old, Life::Revoked);
    }
    let line = cookies::token_line(&token, lifetime, state.shown_now(), settings.tls);
    state.issued = Some(token);
    line
}

/// Returns the status of a rejection that a fault demands for this login.
pub(super) fn scripted_refusal(faults: &[Fault]) -> Option<u16> {
    faults.iter().find_map(|fault| match fault {
        Fault::Refuse { status } => Some(*status),
        _ => None,
    })
}

fn accepted() -> ServerResponse {
    // The vendor's page does not show the body of this response.
    ServerResponse::new(StatusCode::OK)
        .with("content-type", "application/json;charset=UTF-8")
        .body("{}")
}

/// Applies a logout or a revocation to the tokens.
pub(super) fn end_token(state: &mut State, effect: LogoutEffect, token: &str) {
    match effect {
        LogoutEffect::Nothing => {}
        LogoutEffect::Presented => state.tokens.end(token, Life::Revoked),
        LogoutEffect::Account => {
            let account = state.tokens.account(token).map(str::to_owned);
            state.tokens.end_all(account.as_deref(), Life::Revoked);
        }
    }
}
