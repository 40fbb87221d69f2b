//! What happens to a session, told in one place: to `tracing`, to an observer, never with a
//! secret.

use std::error::Error;

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

/// Tells `tracing` of an event, under its name and with its fields. The target is `ctc` for all.
macro_rules! trace {
    ($session:ident, $self:expr; $($event:pat => $level:ident $name:literal [$($fields:tt)*])*) => {
        match $self {$(
            $event => $level!(
                name: $name, target: "ctc", event = $name, session = $session, $($fields)*
            ),
        )*}
    };
}

impl SessionEvent<'_> {
    /// Tells `tracing`. Of a store that stays broken there is one warning, not one at every login.
    pub(crate) fn trace(&self, session: u64) {
        trace! { session, *self;
            Self::LoginSent => debug "login_sent" ["login is sent"]
            Self::LoggedIn { generation } =>
                info "logged_in" [generation = generation.number(), "logged in"]
            Self::LoginFailed { denial } => warn "login_failed" [%denial, "login failed"]
            Self::LoginUnwanted =>
                debug "login_unwanted" ["login is not sent: it is no longer wanted"]
            Self::LoginAbandoned => debug "login_abandoned" ["login abandoned"]
            Self::LoginLate => debug "login_late" ["login came too late"]
            Self::Orphaned =>
                info "orphaned" ["a login was answered too late; its token is logged out"]
            Self::Adopted { generation } => info "adopted" [
                generation = generation.number(), "session adopted from the store"
            ]
            Self::StoredByOthers =>
                info "stored_by_others" ["the store has tokens of other passwords alone"]
            Self::DeniedByStore { denial } =>
                warn "denied_by_store" [%denial, "the store's record forbids a login"]
            Self::CallDenied { denial } => debug "call_denied" [%denial, "call is not sent"]
            Self::CallReplayed =>
                debug "call_replayed" ["call is sent again with a newer token"]
            Self::UnauthorizedDelivered { why } =>
                debug "unauthorized_delivered" [%why, "401 delivered"]
            Self::TokenRotated { generation } => info "token_rotated" [
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
            Self::StoreFailed { operation, error, first: true } => warn "store_failed" [
                operation, error = error as &(dyn Error + 'static),
                "the session store failed; the session goes on in memory"
            ]
            Self::StoreFailed { operation, error, first: false } => debug "store_failed_again" [
                operation, error = error as &(dyn Error + 'static),
                "the session store failed again"
            ]
            Self::StoreBusy =>
                debug "store_busy" ["logged out beside a login of another process"]
        }
    }
}

/// The span of one login, store included. Made at the election, so that the elected caller's span
/// is its parent wherever the login runs.
pub(crate) fn login_span(session: u64) -> Span {
    info_span!(target: "ctc", "login", session)
}

#[cfg(test)]
mod tests;
