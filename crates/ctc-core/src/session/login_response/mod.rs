//! The response to a login: read first, reported second.
//!
//! Reading it may run a rule of the user's own, so it needs no session and no lock. How a token is
//! *obtained* ends here.

mod cookie;

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::denial::LoginFailure;
use crate::login_rule::LoginRule;
use crate::secret::AuthToken;

/// Reads the responses to one session's logins; see [`Session::login_reader`].
///
/// It is apart from the session so that a [`LoginRule`] runs outside of any lock that the session
/// is behind. Cloning is cheap.
///
/// [`Session::login_reader`]: crate::Session::login_reader
#[derive(Clone, Debug)]
pub struct LoginReader {
    rule: Option<LoginRule>,
}

impl LoginReader {
    pub(super) fn new(rule: Option<LoginRule>) -> Self {
        Self { rule }
    }

    /// What the response to a login means, to be reported with [`Session::login_response`].
    ///
    /// The login of this crate is read from status and headers: `body` may be empty. A rule that
    /// panics is as good as none.
    ///
    /// [`Session::login_response`]: crate::Session::login_response
    pub fn read(&self, status: StatusCode, headers: &HeaderMap, _body: &[u8]) -> LoginReading {
        LoginReading(cookie::read(status, headers, self.rule.as_ref()))
    }
}

/// The response to a login, read but not yet reported.
#[derive(Debug)]
#[must_use = "report it with Session::login_response"]
pub struct LoginReading(Reading);

impl LoginReading {
    /// Whether the login brought a token. When it did not, another process may have been first: a
    /// driver with a store looks there before it reports
    /// ([`login_overtaken`](crate::Session::login_overtaken)).
    pub fn has_token(&self) -> bool {
        matches!(self.0, Reading::Token { .. })
    }

    /// Whether the server rejected the credentials: if they come from a source, it may have others
    /// by now ([`login_again`](crate::Session::login_again)).
    pub fn rejects_credentials(&self) -> bool {
        let Reading::Rejected(status) = self.0 else {
            return false;
        };
        // Those say that there is no login at that address.
        status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED
    }

    pub(super) fn into_inner(self) -> Reading {
        self.0
    }
}

#[derive(Debug)]
pub(super) enum Reading {
    Token {
        token: AuthToken,
        lifetime: Option<Duration>,
    },
    Rejected(StatusCode),
    Failed {
        cause: LoginFailure,
        pause: Option<Duration>,
    },
}
