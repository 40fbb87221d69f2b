//! What every error of a call can say, whichever client it comes from.

use std::error::Error;
use std::time::Duration;

use ctc_core::{Denial, SendFailure};

use crate::error::{CallError, Denied, TimedOut};
use crate::ports::{NotSent, TransportError};

/// What every error of a call can say, whichever client it comes from: one `match` serves them all.
///
/// ```
/// use ctc_driver::{CallFailure, Failure};
///
/// /// What a worker does with a call that failed.
/// fn what_next(error: &dyn CallFailure) -> String {
///     match error.failure() {
///         Failure::Denied(_) if error.is_rejected() => format!("alert someone: {error}"),
///         Failure::Denied(denied) => format!("queue again after {:?}", denied.retry_after()),
///         Failure::NotSent(stage) => format!("queue again: {stage:?} failed"),
///         Failure::MaybeSent | Failure::Body => String::from("ask the server what it did"),
///         _ => format!("fix the request: {error}"),
///     }
/// }
/// ```
pub trait CallFailure: Error {
    /// Returns how far the call got.
    fn failure(&self) -> Failure<'_>;

    /// Returns the session's denial, if that is why the call failed.
    fn denied(&self) -> Option<&Denied> {
        match self.failure() {
            Failure::Denied(denied) => Some(denied),
            _ => None,
        }
    }

    /// Returns how long after this error another try can help; `None` if time alone does not help,
    /// or nobody knows.
    fn retry_after(&self) -> Option<Duration> {
        self.denied().and_then(Denied::retry_after)
    }

    /// Returns whether the server rejected the login: someone has to look at the credentials.
    fn is_rejected(&self) -> bool {
        let denial = self.denied().map(Denied::denial);
        matches!(denial, Some(Denial::Rejected { .. }))
    }

    /// Returns whether the server may have got the call. If not, it is safe to make it again.
    fn was_sent(&self) -> bool {
        matches!(self.failure(), Failure::MaybeSent | Failure::Body)
    }
}

/// How far a call got that failed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Failure<'a> {
    /// The session has no token for the call and may not get one now. Nothing was sent.
    Denied(&'a Denied),
    /// The request is at fault: its path, a header, another origin. Nothing was sent.
    Request,
    /// The server could not be reached. Nothing was sent.
    NotSent(NotSent),
    /// No response came, and the server may have acted.
    MaybeSent,
    /// The response came, but not its whole body. The server has probably acted.
    Body,
}

impl<'a> Failure<'a> {
    /// What an HTTP client's error says.
    pub fn of_transport(error: &impl TransportError) -> Self {
        match error.failure() {
            SendFailure::NotSent => Self::NotSent(error.failed_at()),
            SendFailure::MaybeSent => Self::MaybeSent,
        }
    }
}

impl CallFailure for TimedOut {
    fn failure(&self) -> Failure<'_> {
        if self.was_sent() {
            Failure::MaybeSent
        } else {
            Failure::NotSent(NotSent::NoTime)
        }
    }
}

impl<E: TransportError> CallFailure for E {
    fn failure(&self) -> Failure<'_> {
        Failure::of_transport(self)
    }
}

impl CallFailure for Denied {
    fn failure(&self) -> Failure<'_> {
        Failure::Denied(self)
    }
}

impl<E: TransportError> CallFailure for CallError<E> {
    fn failure(&self) -> Failure<'_> {
        match self {
            Self::Denied(denied) => Failure::Denied(denied),
            Self::Stamp(_) => Failure::Request,
            Self::Transport(error) => Failure::of_transport(error),
            Self::TimedOut(error) => error.failure(),
            Self::Body(_) => Failure::Body,
        }
    }
}
