//! The response to a login: read first, reported second.
//!
//! Reading it may run a rule of the user's own, so it needs no session and no lock. How a token is
//! *obtained* ends here.

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
/// It is apart from the session so that a [`LoginRule`] runs outside of any lock that the session
/// is behind. Cloning is cheap.
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

    /// Sets the time by this machine's clock at which the response arrived. It tells how long a
    /// rate limit lasts that names its end in a response without `Date`, and which of a store's
    /// records are older than this login, if the machine sleeps afterwards.
    #[must_use]
    pub fn arrived_at(mut self, wall: SystemTime) -> Self {
        self.wall = Some(wall);
        self
    }

    /// How many bytes of the response's body [`read`](Self::read) wants, at most. If 0, status and
    /// headers say all.
    pub fn body_limit(&self) -> usize {
        // One more than is accepted, so that what is longer is seen to be.
        if self.is_oauth {
            oauth::LONGEST_BODY + 1
        } else {
            0
        }
    }

    /// What the response to a login means, to be reported with [`Session::login_response`].
    ///
    /// `body` is what was read of it, up to [`body_limit`](Self::body_limit) bytes. A rule that
    /// panics is as good as none.
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

    /// The user's rule decides whether a login that brought no token was rejected.
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
    /// Whether the login brought a token. When it did not, another process may have been first: a
    /// driver with a store looks there before it reports
    /// ([`login_overtaken`](crate::Session::login_overtaken)).
    pub fn has_token(&self) -> bool {
        matches!(self.reading, Reading::Token { .. })
    }

    /// How long the token is said to live, from the moment that the login was sent. The OAuth login
    /// states it; with the cookie it is a hint. `None` if nothing is said, or there is no token.
    pub fn lifetime(&self) -> Option<Duration> {
        match self.reading {
            Reading::Token { lifetime, .. } => lifetime,
            _ => None,
        }
    }

    /// Whether the server rejected the credentials: if they come from a source, it may have others
    /// by now ([`login_again`](crate::Session::login_again)).
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

/// The server is in trouble, or asks for patience.
fn unavailable(status: StatusCode, retry_after: Option<Duration>) -> Reading {
    Reading::Failed {
        cause: LoginFailure::Unavailable {
            status,
            retry_after,
        },
        pause: retry_after,
    }
}

/// Any 4xx but those that ask for patience, and those that only an intermediary sends or a request
/// that was garbled on its way can cause: they say nothing about the credentials. Which status CTC
/// gives a wrong password is documented nowhere.
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
