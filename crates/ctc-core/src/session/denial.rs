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
    #[error("{}", refused(*status, *reason))]
    #[non_exhaustive]
    Rejected {
        /// The status of the refusal.
        status: StatusCode,
        /// Why, as far as the server said.
        reason: RejectionReason,
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
    /// The runtime of this call did not run the login that the call was to make. Calls on a runtime
    /// that runs are not affected.
    #[error(
        "the runtime did not run the CTC login: make the call within a runtime that keeps running, \
         or give the client one (for tokio: Tokio::on(handle))"
    )]
    NotRun,
}

/// Why the server refused a login, as far as its response said. It is for people: what a session
/// does is the same for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionReason {
    /// The response did not say, as with the cookie login: only its status is known.
    #[default]
    Unstated,
    /// The server does not take user name and password: one of them is wrong, or the account is
    /// locked or disabled (OAuth's `invalid_grant`).
    Credentials,
    /// As [`Credentials`](Self::Credentials), and the server's text names a sign-on policy that
    /// wants more than a password, such as a second factor.
    SignOnPolicy,
    /// The server does not take the client id, the grant or the scope, or has no login at this
    /// address: user name and password are not at fault.
    Configuration,
}

impl RejectionReason {
    const ALL: [Self; 4] = [
        Self::Unstated,
        Self::Credentials,
        Self::SignOnPolicy,
        Self::Configuration,
    ];

    /// As it stands in a record.
    pub(super) fn number(self) -> u8 {
        let at = Self::ALL.iter().position(|reason| *reason == self);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or_default()
    }

    /// A number that only a newer version knows is no reason to give.
    pub(super) fn of_number(number: u8) -> Self {
        let reason = Self::ALL.get(usize::from(number));
        reason.copied().unwrap_or_default()
    }
}

/// A refusal, as one value.
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

/// For tests of code that handles denials: sessions make their own.
impl Denial {
    /// [`Denial::Rejected`], for a reason that the server did not state.
    pub fn rejected(status: StatusCode) -> Self {
        Self::rejected_for(status, RejectionReason::Unstated)
    }

    /// [`Denial::Rejected`].
    pub fn rejected_for(status: StatusCode, reason: RejectionReason) -> Self {
        Self::Rejected { status, reason }
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
            | Self::InsideLogin
            | Self::NotRun => None,
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

fn refused(status: StatusCode, reason: RejectionReason) -> String {
    let (what, until) = match reason {
        RejectionReason::Unstated | RejectionReason::Configuration if names_no_login(status) => (
            "there is no such login at this address: check the base URL or the token URL",
            "the session is made anew or reset",
        ),
        RejectionReason::Unstated => (
            "check user name, password and application key, and that the account is not locked",
            "they change or the session is reset",
        ),
        RejectionReason::Credentials => (
            "check user name and password, and that the account is not locked or disabled",
            "they change or the session is reset",
        ),
        RejectionReason::SignOnPolicy => (
            "a sign-on policy asks for more than user name and password, such as a second factor: \
             use an account that may log in with these alone",
            "the credentials change or the session is reset",
        ),
        RejectionReason::Configuration => (
            "it does not take the client id, the grant or the scope: check the OAuth settings \
             (user name and password are not at fault)",
            "the session is made anew or reset",
        ),
    };
    format!(
        "CTC refused the login (status {status}): {what}; no further login is made until {until}"
    )
}

/// Statuses that speak of the address or the form of a request. Not every login takes all of them
/// for a refusal.
pub(super) fn names_no_login(status: StatusCode) -> bool {
    let about_the_address = [
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::GONE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
    ];
    about_the_address.contains(&status)
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
    /// A limit on the logins of many sessions had no room for it in time. Nothing was sent, and
    /// other sessions are logging in.
    #[error("many sessions are logging in, and the login limiter had no turn for this one in time")]
    Limited,
    /// Status 200 without a token: without an `authToken` cookie, or, for the OAuth login, without
    /// a JSON object that has an `access_token`.
    #[error(
        "the server responded with 200 but handed out no token: check the base URL or the token \
         URL, and whether a proxy or gateway answers in the server's place"
    )]
    NoToken,
    /// Status 200 with a token that cannot be sent: an `authToken` that is not a cookie value, or
    /// an `access_token` that is not a bearer token.
    #[error(
        "the server handed out a token that cannot be used: check the base URL or the token URL"
    )]
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
        /// What `Retry-After` asked for, before any cap; for the OAuth login also
        /// `X-Rate-Limit-Reset`, if that is longer.
        retry_after: Option<Duration>,
    },
    /// The OAuth login's error code says so, whatever the status: the server is in trouble, or asks
    /// for patience.
    #[error("the server responded with {status} and said that it is busy or in trouble")]
    #[non_exhaustive]
    Busy {
        /// Its status.
        #[serde(with = "status_code")]
        status: StatusCode,
        /// How long it asked to wait, before any cap.
        retry_after: Option<Duration>,
    },
}
