//! The words of a login: order, ticket, outcome, denial; and how its response is read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, StatusCode};

use super::Wait;
use super::pass::{Generation, Pass};
use super::record::status_code;
use crate::secret::{AuthToken, FormBody};
use crate::settings::{FailedLogin, LoginRule};
use crate::time::Instant;
use crate::wire::{TokenChange, read_new_token, read_retry_after};

/// May this call go out, and with what?
#[derive(Debug)]
#[must_use]
pub enum Admit {
    /// Stamp the request with this and send it.
    Proceed(Pass),
    /// You are elected: send this login, report how it went, and ask again.
    Login(Box<LoginOrder>),
    /// Another caller is logging in: wait, and ask again.
    Wait(Wait),
    /// No. Tell the caller; asking again before [`Denial::retry_after`] changes nothing.
    Deny(Denial),
}

/// The login that the elected caller is to make.
#[derive(Debug)]
pub struct LoginOrder {
    /// To be handed back with the report; see [`LoginTicket`].
    pub ticket: LoginTicket,
    /// The request to send as it is. It holds the password; redirects must not be followed.
    pub request: Request<FormBody>,
}

/// The right to report on one login, used up by the report.
///
/// A ticket that is dropped unreported keeps all others waiting until its lease ends: hand it to
/// [`abandon`](crate::Session::abandon) instead.
#[must_use = "report the login, or hand the ticket to Session::abandon"]
pub struct LoginTicket {
    pub(super) owner: Arc<()>,
    pub(super) number: u64,
}

impl fmt::Debug for LoginTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginTicket({})", self.number)
    }
}

/// How a login ended.
#[derive(Debug)]
#[must_use]
pub enum LoginOutcome {
    /// The session is open with this generation.
    Opened(Generation),
    /// It failed, and this is what every caller is told until it may be tried again.
    Failed(Denial),
    /// The report changed nothing: after the lease another caller was elected, or the session was
    /// closed or the credentials changed meanwhile.
    Stale {
        /// The login succeeded for a session that was closed, or another user's: this request ends
        /// the token that nobody holds.
        orphan: Option<Box<Request<FormBody>>>,
    },
}

/// What a newer record from a store meant for the elected caller.
#[derive(Debug)]
#[must_use]
pub enum Resumed {
    /// The session is open with the record's token: send no login.
    Adopted(Generation),
    /// The record's history forbids a login now.
    Denied(Denial),
    /// The record has nothing better: go on and send the login.
    Continue(LoginTicket),
    /// The ticket no longer counts; see [`LoginOutcome::Stale`].
    Stale,
}

/// How far a request got that had no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// It never left: no name, no connection, no TLS. It does not count against the login budget.
    NotSent,
    /// The server may have seen it. Use this when in doubt.
    MaybeSent,
}

/// Why a call may not go out, the same for every caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// The server refused the login. No further login is made until the credentials change or
    /// someone resets.
    #[error("{}", refused(*status))]
    Rejected {
        /// The status of the refusal.
        status: StatusCode,
    },
    /// The last login failed; the next is allowed at `until`.
    #[error("the last CTC login failed ({cause}); no other is tried before the pause ends")]
    BackingOff {
        /// When the next login may go out.
        until: Instant,
        /// What went wrong.
        cause: LoginFailure,
    },
    /// Too many logins of late; the next is allowed at `until`.
    #[error("the CTC login budget is spent (fair use); no login is made before it refills")]
    BudgetSpent {
        /// When the next login may go out.
        until: Instant,
    },
    /// The session was closed by `logout` or `close`.
    #[error("the CTC session is closed (logged out): reopen it to make further calls")]
    Closed,
}

impl Denial {
    /// How long to wait before asking again can help; `None` when time alone does not help.
    pub fn retry_after(&self, now: Instant) -> Option<Duration> {
        match self {
            Self::BackingOff { until, .. } | Self::BudgetSpent { until } => {
                Some(until.saturating_duration_since(now))
            }
            Self::Rejected { .. } | Self::Closed => None,
        }
    }
}

fn refused(status: StatusCode) -> String {
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => format!(
            "the server has no CTC login there (status {status}): check the base URL; \
             no further login is made until the session is reset"
        ),
        _ => format!(
            "CTC refused the login (status {status}): check user name, password and application key, and that \
             the account is not locked; no further login is made until they change or the session is reset"
        ),
    }
}

fn unavailable(status: StatusCode, retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(pause) => format!(
            "the server answered {status} and asked for a pause of {} s",
            pause.as_secs()
        ),
        None => format!("the server answered {status}: it is in trouble, or asks for patience"),
    }
}

/// What was wrong with a login that may be tried again after a pause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum LoginFailure {
    /// The server could not be reached.
    #[error("the server could not be reached: check host, network and TLS")]
    NotSent,
    /// No response came back.
    #[error("no usable answer came back: the server may be slow or down")]
    MaybeSent,
    /// The HTTP client or the store panicked.
    #[error(
        "the HTTP client or the session store panicked during the login: see its panic message"
    )]
    Panicked,
    /// Another process was logging in, and did not come to an end.
    #[error("another process held the login lease of the session store and did not finish in time")]
    StoreBusy,
    /// Status 200 without an `authToken` cookie.
    #[error("the server answered 200 but handed out no authToken cookie: is this a CTC server?")]
    NoToken,
    /// Status 200 with an `authToken` that can be no cookie value.
    #[error("the server set an authToken that can be no cookie value: is this a CTC server?")]
    UnusableToken,
    /// Status 200 with the very token that had just been refused.
    #[error("the server handed out the very token that it had just refused")]
    SameToken,
    /// A redirect: the login is never sent on to another address.
    #[error(
        "the server answered with a redirect ({status}), which is not followed: check the base URL"
    )]
    Redirected {
        /// Its status.
        #[serde(with = "status_code")]
        status: StatusCode,
    },
    /// The server is in trouble, or asks for patience.
    #[error("{}", unavailable(*status, *retry_after))]
    Unavailable {
        /// Its status.
        #[serde(with = "status_code")]
        status: StatusCode,
        /// What `Retry-After` asked for, before any cap.
        retry_after: Option<Duration>,
    },
}

/// The response to a login, read but not yet acted upon. How a token is *obtained* ends here.
#[derive(Debug)]
pub(super) enum LoginReading {
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

impl LoginReading {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, rule: Option<LoginRule>) -> Self {
        let failed = |cause| Self::Failed { cause, pause: None };
        if status == StatusCode::OK {
            match read_new_token(headers) {
                TokenChange::Set { token, lifetime } => return Self::Token { token, lifetime },
                TokenChange::Unusable => return failed(LoginFailure::UnusableToken),
                TokenChange::None | TokenChange::Cleared => {}
            }
        }
        let refused = rule.and_then(|rule| rule(status, headers)).map_or_else(
            || refuses_by_status(status),
            |ruled| ruled == FailedLogin::Rejected,
        );
        if refused {
            Self::Rejected(status)
        } else if status == StatusCode::OK {
            failed(LoginFailure::NoToken)
        } else if status.is_redirection() {
            failed(LoginFailure::Redirected { status })
        } else {
            let pause = read_retry_after(headers);
            Self::Failed {
                cause: LoginFailure::Unavailable {
                    status,
                    retry_after: pause,
                },
                pause,
            }
        }
    }
}

/// Any 4xx but those that ask for patience. Which status CTC gives a wrong password is documented
/// nowhere.
fn refuses_by_status(status: StatusCode) -> bool {
    let patience = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    status.is_client_error() && !patience.contains(&status)
}
