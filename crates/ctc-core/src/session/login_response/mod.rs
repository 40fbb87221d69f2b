//! The response to a login: first read, then reported.
//!
//! Reading it may run the user's own rule, so it needs no session and no lock.

mod cookie;
mod oauth;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use super::denial::{LoginFailure, Rejection, RejectionReason, names_no_login};
use crate::login_rule::{FailedLogin, FailedLoginResponse, LoginRule};
use crate::oauth::Login;
use crate::secret::AuthToken;
use crate::wire::read_retry_after;

/// Reads the responses to one session's logins; see [`Session::login_reader`].
///
/// It is separate from the session so that a [`LoginRule`] runs without the lock of the session.
/// Cloning is cheap.
///
/// [`Session::login_reader`]: crate::Session::login_reader
#[derive(Clone, Debug)]
pub struct LoginReader {
    is_oauth: bool,
    rule: Option<LoginRule>,
    wall: Option<SystemTime>,
}

impl LoginReader {
    pub(super) fn new(login: &Login, rule: Option<LoginRule>) -> Self {
        Self {
            is_oauth: login.oauth().is_some(),
            rule,
            wall: None,
        }
    }

    /// Sets the time of this machine's clock at which the response arrived. It is needed for a rate
    /// limit that states its end in a response without `Date`, and to find which of a store's
    /// records are older than this login.
    #[must_use]
    pub fn arrived_at(mut self, wall: SystemTime) -> Self {
        self.wall = Some(wall);
        self
    }

    /// Returns how many bytes of the response's body [`read`](Self::read) needs at most. If 0, it
    /// needs only status and headers.
    pub fn body_limit(&self) -> usize {
        // One more than is accepted, to detect longer bodies.
        if self.is_oauth {
            oauth::LONGEST_BODY + 1
        } else {
            0
        }
    }

    /// Reads the response to a login. Report the result with [`Session::login_response`].
    ///
    /// `body` is its body, up to [`body_limit`](Self::body_limit) bytes. A rule that panics has no
    /// effect.
    ///
    /// [`Session::login_response`]: crate::Session::login_response
    pub fn read(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> LoginReading {
        let reading = if self.is_oauth {
            oauth::read(status, headers, body, self.wall)
        } else {
            cookie::read(status, headers)
        };
        LoginReading {
            reading: self.overrule(reading, status, headers),
            arrived: self.wall,
        }
    }

    /// The user's rule decides whether a login without a token was rejected.
    fn overrule(&self, reading: Reading, status: StatusCode, headers: &HeaderMap) -> Reading {
        let (Some(rule), false) = (&self.rule, matches!(reading, Reading::Token { .. })) else {
            return reading;
        };
        let ruled = rule.apply(&FailedLoginResponse::new(status, headers));
        match (ruled, reading) {
            (Some(FailedLogin::Rejected), Reading::Failed { .. }) => {
                Reading::Rejected(Rejection::unstated(status))
            }
            (Some(FailedLogin::Unavailable), Reading::Rejected(_)) => {
                unavailable(status, read_retry_after(headers))
            }
            (_, reading) => reading,
        }
    }
}

/// The response to a login, read but not yet reported.
#[derive(Debug)]
#[must_use = "report it with Session::login_response"]
pub struct LoginReading {
    pub(super) reading: Reading,
    /// By the wall clock.
    pub(super) arrived: Option<SystemTime>,
}

impl LoginReading {
    /// Returns whether the response has a token. If not, another process may have logged in first:
    /// a driver with a store reads the store before it reports
    /// ([`login_overtaken`](crate::Session::login_overtaken)).
    pub fn has_token(&self) -> bool {
        matches!(self.reading, Reading::Token { .. })
    }

    /// Returns the lifetime of the token, from the moment that the login was sent. The OAuth login
    /// states it; with the cookie it is a hint. `None` if it is not stated, or there is no token.
    pub fn lifetime(&self) -> Option<Duration> {
        match self.reading {
            Reading::Token { lifetime, .. } => lifetime,
            _ => None,
        }
    }

    /// Returns whether the server rejected the credentials: if they come from a source, it may have
    /// other ones by now ([`login_again`](crate::Session::login_again)).
    pub fn rejects_credentials(&self) -> bool {
        match self.reading {
            Reading::Rejected(Rejection { status, reason }) => {
                reason != RejectionReason::Configuration && !names_no_login(status)
            }
            _ => false,
        }
    }
}

#[derive(Debug)]
pub(super) enum Reading {
    Token {
        token: AuthToken,
        lifetime: Option<Duration>,
    },
    Rejected(Rejection),
    Failed {
        cause: LoginFailure,
        pause: Option<Duration>,
    },
}

/// The server is unavailable, or asks clients to wait.
fn unavailable(status: StatusCode, retry_after: Option<Duration>) -> Reading {
    Reading::Failed {
        cause: LoginFailure::Unavailable {
            status,
            retry_after,
        },
        pause: retry_after,
    }
}

/// Any 4xx except those that ask clients to wait, and those that only an intermediary or a garbled
/// request causes: these say nothing about the credentials. CTC's status for a wrong password is
/// not documented.
fn rejects_by_status(status: StatusCode) -> bool {
    let not_about_us = [
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::LENGTH_REQUIRED,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::URI_TOO_LONG,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::EXPECTATION_FAILED,
        StatusCode::MISDIRECTED_REQUEST,
        StatusCode::TOO_EARLY,
        StatusCode::UPGRADE_REQUIRED,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    ];
    status.is_client_error() && !not_about_us.contains(&status)
}
