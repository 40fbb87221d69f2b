//! What happens to a session, told in one place: to `tracing`, to an observer, never with a
//! secret.

use ctc_core::{Denial, Generation, Unauthorized};
use http::StatusCode;
use tracing::{Span, debug, info, info_span, warn};

use crate::ports::StoreError;

/// Something that happened to a session. None holds a secret. The manual has
/// [the same as a table](crate::manual::observability).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum SessionEvent<'a> {
    /// A login was handed to the HTTP stack.
    LoginSent,
    /// A login gave the session its token.
    LoggedIn {
        /// The number of the token.
        generation: Generation,
    },
    /// A login gave no token.
    LoginFailed {
        /// What every caller is told until the next may be made.
        denial: &'a Denial,
    },
    /// A login waits for its turn: the limiter that the session shares with others has no room.
    LoginQueued {
        /// How many logins are ahead of it in line.
        ahead: usize,
    },
    /// A login was about to be sent and is not wanted any more.
    LoginUnwanted,
    /// A login was dropped before its end, as by a runtime that shuts down; the next caller makes
    /// another.
    LoginAbandoned,
    /// A login was answered after its lease, after a close, or after a change of credentials.
    LoginLate,
    /// A login was answered for a session that no longer wants it; that token is logged out.
    Orphaned,
    /// A store had a token, and no login was needed.
    Adopted {
        /// The number of the token.
        generation: Generation,
    },
    /// A store has tokens of this account, but none for the session's password: the login goes on.
    StoredByOthers,
    /// A store's record holds a login back: a pause, a refusal or a spent budget of another
    /// process.
    DeniedByStore {
        /// What every caller is told until the next may be made.
        denial: &'a Denial,
    },
    /// A call was refused without being sent.
    CallDenied {
        /// Why.
        denial: &'a Denial,
    },
    /// A call is sent a second time with a newer token.
    CallReplayed,
    /// A 401 was delivered to the caller.
    UnauthorizedDelivered {
        /// Why the session did not cure it.
        why: &'a Unauthorized,
    },
    /// The server gave a new token on an ordinary response.
    TokenRotated {
        /// The number of the new token.
        generation: Generation,
    },
    /// The server refused or cleared the token.
    TokenInvalidated {
        /// The number of the token.
        generation: Generation,
        /// Of the response that said so.
        status: StatusCode,
        /// With the OAuth login: the response has no challenge for bearer tokens. The server may
        /// not have looked at the token; see
        /// [`Settings::attachment`](field@ctc_core::Settings::attachment).
        unchallenged: bool,
    },
    /// The session was logged out.
    LoggedOut,
    /// The session was closed without telling the server.
    Closed,
    /// A closed session may log in again.
    Reopened,
    /// A refusal or pause was lifted.
    Reset,
    /// The session has new credentials: they were set, or its source gave others.
    CredentialsReplaced,
    /// The store failed; the session goes on in memory.
    StoreFailed {
        /// What it was asked for: `lease`, `load`, `save` or `release`; or `seal`, when the key to
        /// the record could not be derived.
        operation: &'static str,
        /// What it said.
        error: &'a StoreError,
        /// For the first time since it last worked: only that is told as a warning.
        first: bool,
    },
    /// A logout found the store's lease in use: another process is about to log in or has just done
    /// so, and its record stays as it is.
    StoreBusy,
}

/// The session that an event is about.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) number: u64,
    pub(crate) label: Option<&'a str>,
}

/// Writes an event under its name. The target is `ctc` for all.
macro_rules! tell {
    ($level:ident, $event:expr, $session:expr, $message:literal $(, $($field:tt)+)?) => {
        $level!(
            name: $event, target: "ctc",
            event = $event, session = $session.number, label = $session.label,
            $($($field)+,)? $message
        )
    };
}

impl SessionEvent<'_> {
    /// Tells `tracing`.
    pub(crate) fn trace(&self, session: Who<'_>) {
        match *self {
            Self::LoginSent => tell!(debug, "login_sent", session, "login is sent"),
            Self::LoginQueued { ahead } => {
                tell!(
                    debug,
                    "login_queued",
                    session,
                    "login waits for its turn",
                    ahead = ahead
                );
            }
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

/// One warning; a store that stays broken would repeat it at every login.
fn store_failed(session: Who<'_>, operation: &str, error: &StoreError, first: bool) {
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

/// The span of one login, store included. Made at the election, so that the elected caller's span
/// is its parent wherever the login runs.
pub(crate) fn login_span(session: Who<'_>) -> Span {
    info_span!(target: "ctc", "login", session = session.number, label = session.label)
}

#[cfg(test)]
mod tests;
