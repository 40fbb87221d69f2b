//! The words of a login: order, ticket, outcome.

use std::fmt;
use std::sync::Arc;

use http::Request;

use super::Wait;
use super::denial::Denial;
use super::pass::{Generation, Pass};
use crate::secret::FormBody;

/// May this call go out, and with what?
#[derive(Debug)]
#[must_use]
pub enum Admit {
    /// Stamp the request with this and send it.
    Proceed(Pass),
    /// You are elected: send this login, report how it went, and ask again. A token may serve all
    /// the same, to be renewed ahead of its end: others proceed with it then, or wait.
    Login(Box<LoginOrder>),
    /// You are elected, and the session has no credentials of its own: get them, hand them to
    /// [`login_with`](crate::Session::login_with), and go on with the login that it returns as with
    /// [`Login`](Self::Login). If there are none, say so with
    /// [`credentials_failed`](crate::Session::credentials_failed).
    NeedCredentials(LoginTicket),
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
    #[non_exhaustive]
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
