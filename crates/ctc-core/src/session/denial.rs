//! Why a call may not be sent, why a login failed, and the texts of both.

use std::time::Duration;

use http::StatusCode;

use crate::time::Instant;
use crate::wire::status_code;

/// Why the session denies a call. Every caller gets the same denial.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// The server rejected the login. No further login is made until the credentials change or
    /// the session is reset.
    #[error("{}", rejected(*status, *reason))]
    #[non_exhaustive]
    Rejected {
        /// The status of the rejection.
        status: StatusCode,
        /// The reason, if the server stated one.
        reason: RejectionReason,
    },
    /// The last login failed; the next is allowed at `until`.
    #[error("the last CTC login failed ({cause}): no login is made until the backoff ends")]
    #[non_exhaustive]
    BackingOff {
        /// When the next login may be sent.
        until: Instant,
        /// Why the login failed.
        cause: LoginFailure,
    },
    /// There are no credentials to log in with, and asking their source again does not help. No
    /// login is made until the session is reset or gets credentials.
    #[error(
        "there are no usable CTC credentials to log in with: fix their source, \
         then reset the session"
    )]
    CredentialsUnusable,
    /// The login budget is spent; the next login is allowed at `until`.
    #[error("the CTC login budget is spent (fair use): no login is made until it refills")]
    #[non_exhaustive]
    BudgetSpent {
        /// When the next login may be sent.
        until: Instant,
    },
    /// The session was closed by `logout` or `close`.
    #[error("the CTC session is closed (logged out): reopen it to make further calls")]
    Closed,
    /// The call was made from within a login of this very session, by an observer, a store or an
    /// HTTP client: it would wait for itself.
    #[error(
        "the call was made from within a CTC login and cannot wait for it: \
         make it on another thread or task"
    )]
    InsideLogin,
    /// The runtime of this call did not run the login that the call was to make. Calls on a runtime
    /// that runs are not affected.
    #[error(
        "the runtime did not run the CTC login: make the call within a runtime that keeps running, \
         or give the client one (for tokio: Tokio::on(handle))"
    )]
    NotRun,
}

/// Why the server rejected a login, if its response said so. It is for people: the session does
/// the same for every reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionReason {
    /// The response did not say. With the cookie login, only the status is known.
    #[default]
    Unstated,
    /// The server does not accept the username and password: one of them is wrong, or the account
    /// is locked or disabled (OAuth's `invalid_grant`).
    Credentials,
    /// As [`Credentials`](Self::Credentials), and the server's text names a sign-on policy that
    /// asks for more than a password, such as a second factor.
    SignOnPolicy,
    /// The server does not accept the client id, grant or scope, or has no login at this address.
    /// The username and password are not the problem.
    Configuration,
}

impl RejectionReason {
    const ALL: [Self; 4] = [
        Self::Unstated,
        Self::Credentials,
        Self::SignOnPolicy,
        Self::Configuration,
    ];

    /// Its number in a record.
    pub(super) fn number(self) -> u8 {
        let at = Self::ALL.iter().position(|reason| *reason == self);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or_default()
    }

    /// A number that only a newer version knows becomes [`Unstated`](Self::Unstated).
    pub(super) fn of_number(number: u8) -> Self {
        let reason = Self::ALL.get(usize::from(number));
        reason.copied().unwrap_or_default()
    }
}

/// A rejection: its status and reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) status: StatusCode,
    pub(super) reason: RejectionReason,
}

impl Rejection {
    pub(super) fn unstated(status: StatusCode) -> Self {
        let reason = RejectionReason::Unstated;
        Self { status, reason }
    }
}

impl From<Rejection> for Denial {
    fn from(rejection: Rejection) -> Self {
        let Rejection { status, reason } = rejection;
        Self::Rejected { status, reason }
    }
}

/// For tests of code that handles denials.
impl Denial {
    /// Returns [`Denial::Rejected`] without a stated reason.
    pub fn rejected(status: StatusCode) -> Self {
        Self::rejected_for(status, RejectionReason::Unstated)
    }

    /// Returns [`Denial::Rejected`].
    pub fn rejected_for(status: StatusCode, reason: RejectionReason) -> Self {
        Self::Rejected { status, reason }
    }

    /// Returns [`Denial::BackingOff`].
    pub fn backing_off(until: Instant, cause: LoginFailure) -> Self {
        Self::BackingOff { until, cause }
    }

    /// Returns [`Denial::BudgetSpent`].
    pub fn budget_spent(until: Instant) -> Self {
        Self::BudgetSpent { until }
    }
}

impl Denial {
    /// Returns how long to wait before trying again; `None` if waiting does not help.
    pub fn retry_after(&self, now: Instant) -> Option<Duration> {
        match self {
            Self::BackingOff { until, .. } | Self::BudgetSpent { until } => {
                Some(until.saturating_duration_since(now))
            }
            Self::Rejected { .. }
            | Self::CredentialsUnusable
            | Self::Closed
            | Self::InsideLogin
            | Self::NotRun => None,
        }
    }
}

/// For tests of code that handles failed logins.
impl LoginFailure {
    /// Returns [`LoginFailure::Redirected`].
    pub fn redirected(status: StatusCode) -> Self {
        Self::Redirected { status }
    }

    /// Returns [`LoginFailure::Unavailable`].
    pub fn unavailable(status: StatusCode, retry_after: Option<Duration>) -> Self {
        Self::Unavailable {
            status,
            retry_after,
        }
    }
}

fn rejected(status: StatusCode, reason: RejectionReason) -> String {
    let (what, until) = match reason {
        RejectionReason::Unstated | RejectionReason::Configuration if names_no_login(status) => (
            "there is no login at this address: check the base URL or the token URL",
            "the session is rebuilt or reset",
        ),
        RejectionReason::Unstated => (
            "check the username, password and application key, and that the account is not locked",
            "they change or the session is reset",
        ),
        RejectionReason::Credentials => (
            "check the username and password, and that the account is not locked or disabled",
            "they change or the session is reset",
        ),
        RejectionReason::SignOnPolicy => (
            "a sign-on policy asks for more than a username and password, such as a second factor: \
             use an account that may log in with these alone",
            "the credentials change or the session is reset",
        ),
        RejectionReason::Configuration => (
            "it does not accept the client id, grant or scope: check the OAuth settings \
             (the username and password are not the problem)",
            "the session is rebuilt or reset",
        ),
    };
    format!(
        "CTC rejected the login (status {status}): {what}; no further login is made until {until}"
    )
}

/// Whether the status is about the address or the form of a request. Not every login treats all of
/// them as a rejection.
pub(super) fn names_no_login(status: StatusCode) -> bool {
    let about_the_address = [
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::GONE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
    ];
    about_the_address.contains(&status)
}

fn asks_to_wait(status: StatusCode) -> bool {
    let asking = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    asking.contains(&status)
}

fn unavailable(status: StatusCode, retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(wait) => format!(
            "the server responded with {status} and asked clients to wait {} s",
            wait.as_secs()
        ),
        None if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            format!("a proxy responded with {status}: check its username and password")
        }
        None if status.is_client_error() && !asks_to_wait(status) => format!(
            "a gateway or the server responded with {status}, which does not concern the \
             credentials: check the base URL and the proxy"
        ),
        None => format!("the server responded with {status}: it may be down or overloaded"),
    }
}

/// Why a login failed. Another one may be made after a backoff.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum LoginFailure {
    /// The server could not be reached.
    #[error("the server could not be reached: check host, network and TLS")]
    NotSent,
    /// The source of the credentials failed, or took too long.
    #[error("the source of the credentials failed: see the error that it reports")]
    CredentialsUnavailable,
    /// No usable response arrived.
    #[error("no usable response arrived: the server may be slow or down")]
    MaybeSent,
    /// The HTTP client, the store or the source of the credentials panicked.
    #[error(
        "the HTTP client, the session store or the source of the credentials panicked during the \
         login: see its panic message"
    )]
    Panicked,
    /// Another process was logging in and did not finish.
    #[error("another process held the session store's lease and did not finish its login in time")]
    StoreBusy,
    /// A limit on the logins of many sessions had no room for it in time. Nothing was sent, and
    /// other sessions are logging in.
    #[error("many sessions are logging in, and the login limiter had no turn for this one in time")]
    Limited,
    /// Status 200 without a token: without an `authToken` cookie, or, for the OAuth login, without
    /// a JSON object that has an `access_token`.
    #[error(
        "the server responded with 200 but without a token: check the base URL or the token URL, \
         and whether a proxy or gateway responds in place of the server"
    )]
    NoToken,
    /// Status 200 with a token that cannot be sent: an `authToken` that is not a cookie value, or
    /// an `access_token` that is not a bearer token.
    #[error("the server returned a token that cannot be used: check the base URL or the token URL")]
    UnusableToken,
    /// Status 200 with the same token that had just been rejected.
    #[error("the server returned the same token that it had just rejected")]
    SameToken,
    /// A redirect. The login is never sent to another address.
    #[error(
        "the server responded with a redirect ({status}), which is not followed: check the base URL"
    )]
    #[non_exhaustive]
    Redirected {
        /// Its status.
        #[serde(with = "status_code")]
        status: StatusCode,
    },
    /// The server is down or overloaded, or asks clients to wait.
    #[error("{}", unavailable(*status, *retry_after))]
    #[non_exhaustive]
    Unavailable {
        /// Its status.
        #[serde(with = "status_code")]
        status: StatusCode,
        /// What `Retry-After` asked for, before any cap; for the OAuth login also
        /// `X-Rate-Limit-Reset`, if that is longer.
        retry_after: Option<Duration>,
    },
    /// The OAuth login's error code says, with a status below 500, that the server is unavailable
    /// or asks clients to wait. With a 5xx status it is [`Unavailable`](Self::Unavailable).
    #[error("the server responded with {status} and reported that it is busy or unavailable")]
    #[non_exhaustive]
    Busy {
        /// Its status.
        #[serde(with = "status_code")]
        status: StatusCode,
        /// How long it asked to wait, before any cap.
        retry_after: Option<Duration>,
    },
}
