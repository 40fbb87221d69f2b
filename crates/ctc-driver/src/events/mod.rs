//! The events of a session, for `tracing` and for an observer. They contain no secret.

use std::error::Error;

use ctc_core::{Denial, Generation, Unauthorized};
use http::StatusCode;
use tracing::{Span, debug, info, info_span, warn};

use crate::ports::StoreError;
use crate::session::counters::Counters;

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
    /// A login waits for its turn: the limiter that the session shares with others has no room.
    LoginQueued {
        /// How many logins are ahead of it in line.
        ahead: usize,
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

/// The session that an event is about.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) number: u64,
    pub(crate) label: Option<&'a str>,
}

/// Counts an event, if there is a counter for it, and tells `tracing` of it, under its name and
/// with its fields. The target is `ctc` for all.
macro_rules! trace {
    ($session:ident, $counters:ident, $self:expr;
     $($event:pat => $level:ident $name:literal $($counter:ident)? [$($fields:tt)*])*) => {
        match $self {$(
            $event => {
                $($counters.$counter.count();)?
                $level!(
                    name: $name, target: "ctc", event = $name,
                    session = $session.number, label = $session.label, $($fields)*
                );
            }
        )*}
    };
}

impl SessionEvent<'_> {
    /// Counts the event and emits it through `tracing`. A store that keeps failing is one warning,
    /// not one at every login.
    pub(crate) fn trace(&self, session: Who<'_>, counters: &Counters) {
        trace! { session, counters, *self;
            Self::LoginSent => debug "login_sent" logins ["login is sent"]
            Self::LoginQueued { ahead } =>
                debug "login_queued" queued [ahead, "login waits for its turn"]
            Self::LoggedIn { generation } =>
                info "logged_in" [generation = generation.number(), "logged in"]
            Self::LoginFailed { denial } =>
                warn "login_failed" logins_failed [%denial, "login failed"]
            Self::LoginUnwanted =>
                debug "login_unwanted" ["login is not sent: it is no longer wanted"]
            Self::LoginAbandoned => debug "login_abandoned" ["login abandoned"]
            Self::LoginLate => debug "login_late" ["login came too late"]
            Self::Orphaned =>
                info "orphaned" orphans ["a login was answered too late; its token is logged out"]
            Self::Adopted { generation } => info "adopted" adopted [
                generation = generation.number(), "session adopted from the store"
            ]
            Self::StoredByOthers =>
                info "stored_by_others" ["the store has tokens of other passwords alone"]
            Self::DeniedByStore { denial } =>
                warn "denied_by_store" [%denial, "the store's record forbids a login"]
            Self::CallDenied { denial } =>
                debug "call_denied" denied [%denial, "call is not sent"]
            Self::CallReplayed =>
                debug "call_replayed" replays ["call is sent again with a newer token"]
            Self::UnauthorizedDelivered { why } =>
                debug "unauthorized_delivered" [%why, "401 delivered"]
            Self::TokenRotated { generation } => info "token_rotated" rotations [
                generation = generation.number(), "token rotated by the server"
            ]
            Self::TokenInvalidated { generation, status, unchallenged } =>
                info "token_invalidated" [
                    generation = generation.number(), status = status.as_u16(), unchallenged,
                    "token is over"
                ]
            Self::LoggedOut => info "logged_out" ["logged out"]
            Self::Closed => info "closed" ["session closed"]
            Self::Reopened => info "reopened" ["session reopened"]
            Self::Reset => info "reset" ["session reset"]
            Self::CredentialsReplaced => info "credentials_replaced" ["credentials replaced"]
            Self::StoreFailed { operation, error, first: true } =>
                warn "store_failed" store_failures [
                    operation, error = error as &(dyn Error + 'static),
                    "the session store failed; the session goes on in memory"
                ]
            Self::StoreFailed { operation, error, first: false } =>
                debug "store_failed_again" store_failures [
                    operation, error = error as &(dyn Error + 'static),
                    "the session store failed again"
                ]
            Self::StoreBusy =>
                debug "store_busy" ["logged out beside a login of another process"]
        }
    }
}

/// The span of one login, store included. Created at the election, so that its parent is the
/// elected caller's span wherever the login runs.
pub(crate) fn login_span(session: Who<'_>) -> Span {
    info_span!(target: "ctc", "login", session = session.number, label = session.label)
}

#[cfg(test)]
mod tests;
