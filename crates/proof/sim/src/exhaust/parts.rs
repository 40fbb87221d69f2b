//! What the small worlds are made of: the session, its server's responses to a login, and the
//! clock's start.

use std::time::{Duration, Instant};

use ctc_core::{
    AppKey, Credentials, EarlyRenewal, Endpoint, LoginReading, OAuth, Pass, Session, Settings,
};
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// The lease of a login and of the store, in seconds.
pub(crate) const LEASE: u64 = 60;
pub(crate) const BURST: u64 = 2;
pub(crate) const REFILL: u64 = 120;
/// The lifetime of an OAuth token that is renewed early, and of one that is not.
pub(crate) const LIFE: u64 = 400;
pub(crate) const SHORT: u64 = 5;
/// How long before its end the two windows begin.
pub(crate) const ADVISED: u64 = LIFE / 2;
pub(crate) const MANDATORY: u64 = LIFE / 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Token,
    RejectedToken,
    NoToken,
    Refused,
    Unavailable,
    NoAnswer,
    NotSent,
    /// The HTTP client or the store panicked after it was sent.
    Panicked,
}

pub(crate) fn session() -> Session {
    let mut settings = Settings::default();
    settings.fair_use.burst = std::num::NonZeroU32::MIN.saturating_add(1);
    settings.lease = Duration::from_secs(LEASE);
    let key = AppKey::new("CANARY-KEY");
    let session = key
        .ok()
        .and_then(|key| Session::new(Endpoint::us(), key, credentials(), settings).ok());
    session.unwrap_or_else(|| unreachable!("the settings are valid"))
}

/// Returns a session of the OAuth login, with credentials or without.
pub(crate) fn oauth_session(has_credentials: bool) -> Session {
    let mut settings = Settings::default();
    settings.login = ctc_core::Login::OAuth(OAuth::us());
    settings.fair_use.burst = std::num::NonZeroU32::MIN.saturating_add(1);
    settings.lease = Duration::from_secs(LEASE);
    let mut early = EarlyRenewal::default();
    (early.advised_percent, early.mandatory_percent) = (50, 20);
    settings.early_renewal = Some(early);
    // Long enough that a sent login's lease is the same.
    settings.login_timeout = Duration::from_secs(LEASE - 1);
    let session = AppKey::new("CANARY-KEY").ok().and_then(|key| {
        if has_credentials {
            Session::new(Endpoint::us(), key, credentials(), settings).ok()
        } else {
            Session::without_credentials(Endpoint::us(), key, settings).ok()
        }
    });
    session.unwrap_or_else(|| unreachable!("the settings are valid"))
}

pub(crate) fn credentials() -> Credentials {
    Credentials::new("CANARY-USER", "CANARY-PASSWORD")
        .unwrap_or_else(|_| unreachable!("neither is empty"))
}

pub(crate) fn base() -> Instant {
    static BASE: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *BASE.get_or_init(|| Instant::now() + Duration::from_secs(1_000_000))
}

pub(crate) fn read(session: &Session, response: &Response<()>) -> LoginReading {
    let reader = session.login_reader();
    reader.read(response.status(), response.headers(), &[])
}

pub(crate) fn seconds_of(instant: Instant) -> i64 {
    let text = format!("{instant:?}");
    let digits = text
        .split("tv_sec: ")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

pub(crate) fn set_cookie(headers: &mut HeaderMap, line: &str) {
    if let Ok(line) = HeaderValue::from_str(line) {
        headers.append(SET_COOKIE, line);
    }
}

/// Returns the response to a login. A server that returns the rejected token again always returns
/// the same one.
pub(crate) fn response(login: Login, serial: u64) -> Response<()> {
    let mut response = Response::new(());
    match login {
        Login::Token => set_cookie(
            response.headers_mut(),
            &format!("authToken=CANARY-{serial}"),
        ),
        Login::RejectedToken => set_cookie(response.headers_mut(), "authToken=CANARY-SAME"),
        Login::Refused => *response.status_mut() = StatusCode::UNAUTHORIZED,
        Login::Unavailable => {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("10"));
        }
        _ => {}
    }
    response
}

/// Returns the generation of a pass.
pub(crate) fn number(pass: &Pass) -> u64 {
    pass.generation().number()
}
