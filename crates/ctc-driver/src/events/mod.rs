//! The events of a session, for `tracing` and for an observer. They contain no secret.

use ctc_core::{Denial, Generation, Unauthorized};
use http::StatusCode;
use tracing::{Span, debug, info, info_span, warn};

use crate::ports::StoreError;

/// An event of a session. It contains no secret. The manual has [a table of all
/// events](crate::manual::observability).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum SessionEvent<'a> {
    /// A login was passed to the HTTP client.
    LoginSent,
    /// A login obtained a token.
    LoggedIn {
        /// The generation of the token.
        generation: Generation,
    },
    /// A login failed.
    LoginFailed {
        /// The denial that every caller gets until the next login may be made.
        denial: &'a Denial,
    },
    /// A login was not sent, because it is no longer needed.
    LoginUnwanted,
    /// A login was dropped before its end, for example by a runtime that shuts down; the next
    /// caller logs in.
    LoginAbandoned,
    /// The outcome of a login arrived after its lease, a close, or a change of credentials.
    LoginLate,
    /// A late login obtained an orphan, which is logged out.
    Orphaned,
    /// A token was adopted from a store; no login was needed.
    Adopted {
        /// The generation of the token.
        generation: Generation,
    },
    /// A store has tokens of this account, but none for the session's password: the login goes on.
    StoredByOthers,
    /// A store's record does not allow a login: a backoff, a rejection or a spent budget of another
    /// process.
    DeniedByStore {
        /// The denial that every caller gets until the next login may be made.
        denial: &'a Denial,
    },
    /// A call was denied; nothing was sent.
    CallDenied {
        /// Why.
        denial: &'a Denial,
    },
    /// A call is replayed with a newer token.
    CallReplayed,
    /// A 401 was delivered to the caller.
    UnauthorizedDelivered {
        /// Why the session could not recover.
        why: &'a Unauthorized,
    },
    /// The server replaced the token on an ordinary response.
    TokenRotated {
        /// The generation of the new token.
        generation: Generation,
    },
    /// The server rejected or cleared the token.
    TokenInvalidated {
        /// The generation of the token.
        generation: Generation,
        /// The status of that response.
        status: StatusCode,
        /// With the OAuth login: the response has no challenge for bearer tokens. The server may
        /// not have looked at the token; see
        /// [`Settings::attachment`](field@ctc_core::Settings::attachment).
        unchallenged: bool,
    },
    /// The session was logged out.
    LoggedOut,
    /// The session was closed without a logout on the server.
    Closed,
    /// A closed session may log in again.
    Reopened,
    /// A rejection or backoff was lifted.
    Reset,
    /// The session has new credentials: they were set, or its source returned others.
    CredentialsReplaced,
    /// The store failed; the session continues in memory.
    StoreFailed {
        /// The operation: `lease`, `load`, `save` or `release`; or `seal` if the key to the record
        /// could not be derived.
        operation: &'static str,
        /// The error.
        error: &'a StoreError,
        /// Whether this is the first failure since the store last worked; only that is a warning.
        first: bool,
    },
    /// A logout found the store lease in use: another process is about to log in or has just done
    /// so, and its record is not changed.
    StoreBusy,
}

/// Writes an event under its name. The target is `ctc` for all.
macro_rules! tell {
    ($level:ident, $event:expr, $session:expr, $message:literal $(, $($field:tt)+)?) => {
        $level!(
            name: $event, target: "ctc",
            event = $event, session = $session, $($($field)+,)? $message
        )
    };
}

impl SessionEvent<'_> {
    /// Emits the event through `tracing`.
    pub(crate) fn trace(&self, session: u64) {
        match *self {
            Self::LoginSent => tell!(debug, "login_sent", session, "login is sent"),
            Self::LoggedIn { generation } => {
                tell!(
                    info,
                    "logged_in",
                    session,
                    "logged in",
                    generation = generation.number()
                );
            }
            Self::LoginFailed { denial } => {
                tell!(warn, "login_failed", session, "login failed", %denial);
            }
            Self::LoginUnwanted => {
                tell!(
                    debug,
                    "login_unwanted",
                    session,
                    "login is not sent: it is no longer wanted"
                );
            }
            Self::LoginAbandoned => tell!(debug, "login_abandoned", session, "login abandoned"),
            Self::LoginLate => tell!(debug, "login_late", session, "login came too late"),
            Self::Orphaned => {
                tell!(
                    info,
                    "orphaned",
                    session,
                    "a login was answered too late; its token is logged out"
                );
            }
            Self::Adopted { generation } => {
                let generation = generation.number();
                tell!(
                    info,
                    "adopted",
                    session,
                    "session adopted from the store",
                    generation = generation
                );
            }
            Self::StoredByOthers => {
                tell!(
                    info,
                    "stored_by_others",
                    session,
                    "the store has tokens of other passwords alone"
                );
            }
            Self::DeniedByStore { denial } => {
                tell!(
                    warn, "denied_by_store", session, "the store's record forbids a login", %denial
                );
            }
            Self::CallDenied { denial } => {
                tell!(debug, "call_denied", session, "call is not sent", %denial);
            }
            Self::CallReplayed => {
                tell!(
                    debug,
                    "call_replayed",
                    session,
                    "call is sent again with a newer token"
                );
            }
            Self::UnauthorizedDelivered { why } => {
                tell!(debug, "unauthorized_delivered", session, "401 delivered", %why);
            }
            Self::TokenRotated { generation } => {
                let generation = generation.number();
                tell!(
                    info,
                    "token_rotated",
                    session,
                    "token rotated by the server",
                    generation = generation
                );
            }
            Self::TokenInvalidated {
                generation,
                status,
                unchallenged,
            } => {
                let (generation, status) = (generation.number(), status.as_u16());
                tell!(
                    info,
                    "token_invalidated",
                    session,
                    "token is over",
                    generation = generation,
                    status = status,
                    unchallenged = unchallenged
                );
            }
            Self::LoggedOut => tell!(info, "logged_out", session, "logged out"),
            Self::Closed => tell!(info, "closed", session, "session closed"),
            Self::Reopened => tell!(info, "reopened", session, "session reopened"),
            Self::Reset => tell!(info, "reset", session, "session reset"),
            Self::CredentialsReplaced => {
                tell!(
                    info,
                    "credentials_replaced",
                    session,
                    "credentials replaced"
                );
            }
            Self::StoreFailed {
                operation,
                error,
                first,
            } => store_failed(session, operation, error, first),
            Self::StoreBusy => {
                tell!(
                    debug,
                    "store_busy",
                    session,
                    "logged out beside a login of another process"
                );
            }
        }
    }
}

/// One warning: a failing store would repeat it at every login.
fn store_failed(session: u64, operation: &str, error: &StoreError, first: bool) {
    let error: &(dyn std::error::Error + 'static) = error;
    if first {
        tell!(
            warn,
            "store_failed",
            session,
            "the session store failed; the session goes on in memory",
            operation = operation,
            error = error
        );
    } else {
        tell!(
            debug,
            "store_failed_again",
            session,
            "the session store failed again",
            operation = operation,
            error = error
        );
    }
}

/// The span of one login, store included. Created at the election, so that its parent is the
/// elected caller's span wherever the login runs.
pub(crate) fn login_span(session: u64) -> Span {
    info_span!(target: "ctc", "login", session)
}

#[cfg(test)]
mod tests;
