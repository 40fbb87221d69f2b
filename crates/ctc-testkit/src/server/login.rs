//! The acts that change a session: login, logout, rotation.

use http::StatusCode;

use super::{
    cookies,
    fault::Fault,
    inspect::Credentials,
    response::ServerResponse,
    settings::{LogoutEffect, Settings},
    state::State,
    tokens::Life,
};

/// A login that kept to the rules: accepted or refused.
pub(super) fn login(
    state: &mut State,
    settings: &Settings,
    who: &Credentials,
    faults: &[Fault],
) -> ServerResponse {
    if let Some(refused) = refused(state, settings, who, faults) {
        return refused;
    }
    if faults.contains(&Fault::NoToken) {
        return accepted().with(
            "set-cookie",
            &format!("JSESSIONID={}; Path=/connect", state.mint.session_id()),
        );
    }
    let now = state.now();
    state.refusals.remove(&who.username);
    state.counts.logins += 1;
    state.counts.needless_logins += u64::from(state.tokens.in_use(&who.username, now));

    let token = state.mint.token();
    let ends = cookies::later(now, settings.token_lifetime);
    let mut response = accepted();
    let scripted = faults.iter().find_map(|fault| match fault {
        Fault::SetCookies(lines) => Some(lines),
        _ => None,
    });
    if let Some(lines) = scripted {
        for line in lines.iter().map(|line| line.replace("{token}", &token)) {
            response.set_cookie(&line);
            // Whether the client can make a token of it shows when it presents it.
            let pair = line.split(';').next().unwrap_or_default();
            if let Some(value) = cookies::auth_tokens(pair).next() {
                state.tokens.issue(value, &who.username, ends);
            }
        }
    } else {
        state.tokens.issue(&token, &who.username, ends);
        let shown = state.shown_now();
        let lines = cookies::login_lines(
            &state.mint,
            &token,
            settings.token_lifetime,
            shown,
            settings.tls,
        );
        lines.iter().for_each(|line| response.set_cookie(line));
        state.issued = Some(token);
    }
    response
}

/// A logout with a live token.
pub(super) fn logout(state: &mut State, settings: &Settings, token: &str) -> ServerResponse {
    state.counts.logouts += 1;
    state.tokens.tell_given_up(token);
    match settings.logout_effect {
        LogoutEffect::Nothing => {}
        LogoutEffect::Presented => state.tokens.end(token, Life::Revoked),
        LogoutEffect::Account => {
            let account = state.tokens.account(token).map(str::to_owned);
            state.tokens.end_all(account.as_deref(), Life::Revoked);
        }
    }
    ServerResponse::new(StatusCode::OK).with(
        "set-cookie",
        cookies::ClearingForm::EmptyMaxAgeExpires.line(),
    )
}

/// Issues a new token in the place of a live one (or beside it), and makes the line that brings it.
pub(super) fn rotate(state: &mut State, settings: &Settings, old: &str, keep_old: bool) -> String {
    let token = state.mint.token();
    let account = state.tokens.account(old).unwrap_or_default().to_owned();
    let ends = cookies::later(state.now(), settings.token_lifetime);
    state.tokens.issue(&token, &account, ends);
    if !keep_old {
        state.tokens.end(old, Life::Revoked);
    }
    let line = cookies::token_line(
        &token,
        settings.token_lifetime,
        state.shown_now(),
        settings.tls,
    );
    state.issued = Some(token);
    line
}

fn refused(
    state: &mut State,
    settings: &Settings,
    who: &Credentials,
    faults: &[Fault],
) -> Option<ServerResponse> {
    let scripted = faults.iter().find_map(|fault| match fault {
        Fault::Refuse { status } => Some(*status),
        _ => None,
    });
    if let Some(status) = scripted {
        return Some(ServerResponse::status(status));
    }
    let known = settings
        .accounts
        .iter()
        .any(|(name, password)| *name == who.username && *password == who.password);
    if known && !state.locked.contains(&who.username) {
        return None;
    }
    if !known {
        let refusals = state.refusals.entry(who.username.clone()).or_default();
        *refusals += 1;
        if settings.lock_after.is_some_and(|limit| *refusals >= limit) {
            state.locked.insert(who.username.clone());
        }
    }
    Some(ServerResponse::status(settings.refused_status))
}

fn accepted() -> ServerResponse {
    // The vendor's page does not show the body of this response.
    ServerResponse::new(StatusCode::OK)
        .with("content-type", "application/json;charset=UTF-8")
        .body("{}")
}
