//! The end of a session: here, in the store and on the server.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use ctc_core::SessionRecord;
use http::StatusCode;

use crate::events::SessionEvent;
use crate::login::LoginIo;
use crate::saving::{STORE_TIMEOUT, lease};
use crate::shared::SharedSession;
use crate::store::StoreError;

/// How a logout went. Whatever it says, the session is closed and its token forgotten here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LogoutOutcome {
    /// There was no token to end.
    NoToken,
    /// The server answered with success, or with 401: the token was over already. Whether a 2xx
    /// really revokes is the server's word.
    Accepted(StatusCode),
    /// The server answered with something else; the token may live on there.
    Rejected(StatusCode),
    /// The server did not answer; the token may live on there.
    Unreachable(Arc<dyn Error + Send + Sync>),
}

impl fmt::Display for LogoutOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session is closed and its token forgotten here; ")?;
        match self {
            Self::NoToken => f.write_str("there was no token to end on the server"),
            Self::Accepted(status) => write!(f, "the server agreed (status {status})"),
            Self::Rejected(status) => {
                write!(
                    f,
                    "the server answered {status}, so the token may live on there: check logout_path"
                )
            }
            Self::Unreachable(error) => {
                f.write_str("the server gave no answer, so the token may live on there")?;
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

/// Closes the session at once, takes its token out of the store if it is still there, and tells the
/// server.
pub(crate) async fn log_out(session: &SharedSession, io: &dyn LoginIo) -> LogoutOutcome {
    let (closed, logout) = session.log_out();
    session.store_view().forget_unsaved();
    match lease(session, io, STORE_TIMEOUT).await {
        Ok(mut store) => {
            // The store may have an older token of this session's than the one that was closed.
            let ours = |kept: &SessionRecord| {
                kept.same_token(&closed) || session.store_view().is_saved(kept)
            };
            let kept = store.load(session).await.filter(ours);
            if let Some(kept) = kept {
                store.write(session, &kept.without_token()).await;
            }
            store.release(session).await;
        }
        // Whoever holds it is about to log in, or has just done so.
        Err(StoreError::Busy) => session.tell(SessionEvent::StoreBusy),
        Err(error) => session.store_failed("lease", &error),
    }
    let Some(logout) = logout else {
        return LogoutOutcome::NoToken;
    };
    match io.send(logout).await {
        Ok(response) => match response.status() {
            status if status.is_success() || status == StatusCode::UNAUTHORIZED => {
                LogoutOutcome::Accepted(status)
            }
            status => LogoutOutcome::Rejected(status),
        },
        Err(failed) => LogoutOutcome::Unreachable(failed.error),
    }
}
