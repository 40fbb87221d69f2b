//! Why a call may not go out, and what was wrong with a login; and how both are told.

use std::time::Duration;

use http::StatusCode;

use crate::time::Instant;
use crate::wire::status_code;

/// Why a call may not go out, the same for every caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// The server refused the login. No further login is made until the credentials change or
    /// someone resets.
    #[error("{}", refused(*status))]
    #[non_exhaustive]
    Rejected {
        /// The status of the refusal.
        status: StatusCode,
    },
    /// The last login failed; the next is allowed at `until`.
    #[error("the last CTC login failed ({cause}); no other is tried before the pause ends")]
    #[non_exhaustive]
    BackingOff {
        /// When the next login may go out.
        until: Instant,
        /// What went wrong.
        cause: LoginFailure,
    },
    /// There are no credentials to log in with, and asking their source again does not help. No
    /// login is made until someone resets or sets credentials.
    #[error(
        "there are no usable CTC credentials to log in with: mend their source, \
         then reset the session"
    )]
    CredentialsUnusable,
    /// Too many logins of late; the next is allowed at `until`.
    #[error("the CTC login budget is spent (fair use); no login is made before it refills")]
    #[non_exhaustive]
    BudgetSpent {
        /// When the next login may go out.
        until: Instant,
    },
    /// The session was closed by `logout` or `close`.
    #[error("the CTC session is closed (logged out): reopen it to make further calls")]
    Closed,
    /// The call was made from within a login of this very session, by an observer, a store or an
    /// HTTP client: it would wait for itself.
    #[error(
        "this call was made from within a CTC login, and cannot wait for it: \
         make it on another thread or task"
    )]
    InsideLogin,
}

/// For tests of code that handles denials: sessions make their own.
impl Denial {
    /// [`Denial::Rejected`].
    pub fn rejected(status: StatusCode) -> Self {
        Self::Rejected { status }
    }

    /// [`Denial::BackingOff`].
    pub fn backing_off(until: Instant, cause: LoginFailure) -> Self {
        Self::BackingOff { until, cause }
    }

    /// [`Denial::BudgetSpent`].
    pub fn budget_spent(until: Instant) -> Self {
        Self::BudgetSpent { until }
    }
}

impl Denial {
    /// How long to wait before asking again can help; `None` when time alone does not help.
    pub fn retry_after(&self, now: Instant) -> Option<Duration> {
        match self {
            Self::BackingOff { until, .. } | Self::BudgetSpent { until } => {
                Some(until.saturating_duration_since(now))
            }
            Self::Rejected { .. }
            | Self::CredentialsUnusable
            | Self::Closed
            | Self::InsideLogin => None,
        }
    }
}

/// For tests of code that handles failed logins: sessions make their own.
impl LoginFailure {
    /// [`LoginFailure::Redirected`].
    pub fn redirected(status: StatusCode) -> Self {
        Self::Redirected { status }
    }

    /// [`LoginFailure::Unavailable`].
    pub fn unavailable(status: StatusCode, retry_after: Option<Duration>) -> Self {
        Self::Unavailable {
            status,
            retry_after,
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
            "CTC refused the login (status {status}): check user name, password and application \
             key, and that the account is not locked; no further login is made until they change \
             or the session is reset"
        ),
    }
}

fn asks_for_patience(status: StatusCode) -> bool {
    let patience = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    patience.contains(&status)
}

fn unavailable(status: StatusCode, retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(pause) => format!(
            "the server answered {status} and asked for a pause of {} s",
            pause.as_secs()
        ),
        None if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            format!("a proxy answered {status}: check its user name and password")
        }
        None if status.is_client_error() && !asks_for_patience(status) => format!(
            "a gateway or the server answered {status}, which is not about the credentials: check \
             base URL and proxy"
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
    /// The source of the credentials failed, or took too long.
    #[error("the source of the credentials failed: look at what it reports")]
    CredentialsUnavailable,
    /// The runtime dropped the login's task several times in a row before it sent anything.
    #[error("the runtime did not run the login: make the call within a runtime that keeps running")]
    NotRun,
    /// No response came back.
    #[error("no usable answer came back: the server may be slow or down")]
    MaybeSent,
    /// The HTTP client, the store or the source of the credentials panicked.
    #[error(
        "the HTTP client, the session store or the source of the credentials panicked during the \
         login: see its panic message"
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
    #[non_exhaustive]
    Redirected {
        /// Its status.
        #[serde(with = "status_code")]
        status: StatusCode,
    },
    /// The server is in trouble, or asks for patience.
    #[error("{}", unavailable(*status, *retry_after))]
    #[non_exhaustive]
    Unavailable {
        /// Its status.
        #[serde(with = "status_code")]
        status: StatusCode,
        /// What `Retry-After` asked for, before any cap.
        retry_after: Option<Duration>,
    },
}
