//! The end of a session: here, in the store and on the server.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ctc_core::{AuthToken, OpenRecord};
use http::StatusCode;

use super::io::{Io, SendError, SendLogin};
use super::leased_store::{STORE_TIMEOUT, lease};
use crate::events::SessionEvent;
use crate::ports::{LoginRequest, LoginResponse};
use crate::session::LoginEnd;

/// How long a logout may take by default. Orchestrators kill a program some 30 s after they asked
/// it to end, and it has other things to do in that time.
pub(crate) const LOGOUT_TIMEOUT: Duration = Duration::from_secs(5);

/// The outcome of a logout. In every case the session is closed and has discarded its token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LogoutOutcome {
    /// There was no token to invalidate.
    NoToken,
    /// Nothing was sent: the OAuth login's token stays valid on the server until it expires, unless
    /// [`OAuth::revoke_on_logout`](ctc_core::OAuth::revoke_on_logout) is set.
    NotRevoked,
    /// The server responded with success, or with 401 because the token was already invalid. Only
    /// the server knows whether a 2xx means that the token is revoked.
    Accepted(StatusCode),
    /// The server responded with another status; the token may still be valid there.
    Rejected(StatusCode),
    /// The server sent no response; the token may still be valid there.
    Unreachable(Arc<dyn Error + Send + Sync>),
}

impl fmt::Display for LogoutOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session is closed and its token is discarded; ")?;
        match self {
            Self::NoToken => f.write_str("there was no token to invalidate on the server"),
            Self::NotRevoked => f.write_str(
                "nothing was sent to the server, where the token stays valid until it expires \
                 (see OAuth::revoke_on_logout)",
            ),
            Self::Accepted(status) => write!(f, "the server accepted the logout (status {status})"),
            Self::Rejected(status) => {
                write!(
                    f,
                    "the server responded with {status}, so the token may still be valid there: \
                     check logout_path or the revocation URL"
                )
            }
            Self::Unreachable(error) => {
                f.write_str("the server sent no response, so the token may still be valid there")?;
                let mut link: Option<&dyn Error> = Some(&**error);
                while let Some(error) = link {
                    write!(f, ": {error}")?;
                    link = error.source();
                }
                Ok(())
            }
        }
    }
}

/// Closes the session at once, tells the server, and takes the token out of the store if it is
/// still there; all within `limit`.
pub(crate) async fn log_out(io: &Io<dyn SendLogin>, limit: Duration) -> LogoutOutcome {
    let session = &io.session;
    let began = session.now();
    let left = || limit.saturating_sub(session.now().saturating_duration_since(began));
    // As of now: when the lease is free, a reopened session may have saved its next token.
    let saved = session.store_view().saved();
    let (closed, request) = session.log_out();
    session.store_view().forget_unsaved();
    // The server first: a store that hangs must not keep the token alive there.
    let outcome = match request {
        Some(request) => {
            let timeout = session.settings().login_timeout.min(limit);
            outcome(io.send(LoginRequest::new(request, timeout)).await)
        }
        None if closed.has_token() => LogoutOutcome::NotRevoked,
        None => LogoutOutcome::NoToken,
    };
    let wait = left().min(STORE_TIMEOUT);
    let removing = remove_from_store(io, &closed, saved, wait);
    io.within(left(), Box::pin(removing)).await;
    // A login in progress obtains an orphan: let it be logged out as well.
    io.running_logins_end(LoginEnd::LoggedOut, left()).await;
    outcome
}

fn outcome(sent: Result<LoginResponse, SendError>) -> LogoutOutcome {
    match sent {
        Ok(response) => match response.status() {
            status if status.is_success() || status == StatusCode::UNAUTHORIZED => {
                LogoutOutcome::Accepted(status)
            }
            status => LogoutOutcome::Rejected(status),
        },
        Err(failed) => LogoutOutcome::Unreachable(failed.error),
    }
}

async fn remove_from_store(
    io: &Io<dyn SendLogin>,
    closed: &OpenRecord,
    saved: Option<AuthToken>,
    wait: Duration,
) {
    let session = &io.session;
    let Some(mut store) = lease(io, wait).await else {
        // The holder is about to log in, or has just done so.
        return session.tell(SessionEvent::StoreBusy);
    };
    store.load().await;
    let by = closed.token_to_seal().map(|(_, _, by)| by);
    let seed = by.unwrap_or(closed.seed()).clone();
    // The store may have an older token of this session's than the one that was closed. If the
    // session was reopened meanwhile and took that one up again, it is not over.
    let next = session.record();
    let is_over = |kept: &OpenRecord| {
        let is_saved = saved.is_some_and(|saved| kept.has_auth_token(&saved));
        (kept.same_token(closed) || is_saved) && !kept.same_token(&next)
    };
    store.remove(seed, is_over).await;
    store.release().await;
}
