//! The types of a login: order, ticket, outcome.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::Wait;
use super::denial::Denial;
use super::pass::{Generation, Pass};
use crate::secret::FormBody;

/// The decision about a call.
#[derive(Debug)]
#[must_use]
pub enum Admit {
    /// Stamp the request with this and send it.
    Proceed(Pass),
    /// You are elected: send this login, report its outcome, and ask again. The session may have a
    /// valid token, which this login renews early: meanwhile other callers proceed with it, or
    /// wait.
    Login(Box<LoginOrder>),
    /// You are elected, and the session has no credentials of its own: get them, pass them to
    /// [`login_with`](crate::Session::login_with), and continue with the login that it returns as
    /// with [`Login`](Self::Login). If you cannot get any, report that with
    /// [`login_failed`](crate::Session::login_failed).
    NeedCredentials(LoginTicket),
    /// Another caller is logging in: wait, and ask again.
    Wait(Wait),
    /// Denied. Return the denial to the caller; asking again before [`Denial::retry_after`] changes
    /// nothing.
    Deny(Denial),
}

/// The login that the elected caller makes.
#[derive(Debug)]
pub struct LoginOrder {
    /// Pass it to the report; see [`LoginTicket`].
    pub ticket: LoginTicket,
    /// The request, to be sent unchanged. It contains the password; do not follow redirects.
    pub request: Request<FormBody>,
}

/// The right to report on one login, used up by the report.
///
/// If a ticket is dropped without a report, all other callers wait until its lease expires: pass it
/// to [`abandon`](crate::Session::abandon) instead.
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

/// The outcome of a login.
#[derive(Debug)]
#[must_use]
pub enum LoginOutcome {
    /// The session is open with this generation.
    Opened(Generation),
    /// It failed. Every caller gets this denial until a login may be made again.
    Failed(Denial),
    /// The report changed nothing: after the lease another caller was elected, or the session was
    /// closed or the credentials changed meanwhile.
    #[non_exhaustive]
    Stale {
        /// The login succeeded after the session was closed or moved to another account: this
        /// request logs out the orphan.
        orphan: Option<Box<Request<FormBody>>>,
    },
}

/// What a store's record means for the elected caller.
#[derive(Debug)]
#[must_use]
pub enum Resumed {
    /// The session adopted the record's token: do not send the login.
    Adopted(Generation),
    /// The record's history does not allow a login now.
    Denied(Denial),
    /// The record has no newer token: send the login.
    Continue(LoginTicket),
    /// The ticket no longer counts; see [`LoginOutcome::Stale`].
    Stale,
}

/// How far a request without a response got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// It was not sent: name lookup, connection or TLS failed. It is not charged to the login
    /// budget.
    NotSent,
    /// The server may have received it. Use this if in doubt.
    MaybeSent,
}

/// Why a login has no response: for [`Session::login_failed`](crate::Session::login_failed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoResponse {
    /// The HTTP client failed.
    Client(SendFailure),
    /// The HTTP client, the store or the source of the credentials panicked.
    Panicked(SendFailure),
    /// It was not sent: another process held the store lease for too long.
    StoreBusy,
    /// It was not tried: a limit on the logins of many sessions has no room for it before this
    /// pause is over, and until then none is made. The server has not failed, so this pause does
    /// not grow with the next one.
    Limited(Duration),
    /// It was not sent: the source of the credentials failed, and may be asked again after a
    /// backoff, as for a server that could not be reached.
    CredentialsUnavailable,
    /// It was not sent: the source of the credentials failed, and asking again does not help. No
    /// login is made until [`reset`](crate::Session::reset) or
    /// [`set_credentials`](crate::Session::set_credentials).
    CredentialsUnusable,
}

impl From<SendFailure> for NoResponse {
    fn from(failure: SendFailure) -> Self {
        Self::Client(failure)
    }
}
