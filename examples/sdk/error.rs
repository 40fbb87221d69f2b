//! What can go wrong in the SDK.

use std::error::Error as StdError;
use std::time::Duration;

use ctc_driver::ctc_core::Unauthorized;
use ctc_driver::{CallError, Denied, TransportError};
use http::StatusCode;

/// Why a call of the SDK failed. The HTTP client's own error is among the
/// [`source`](StdError::source)s.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no session, and none may be had now: a wrong password, a pause after failed logins,
    /// a logout.
    #[error("cannot {action} without a CTC session")]
    NoSession {
        /// What was to be done.
        action: &'static str,
        /// Why, and when to come back.
        source: Denied,
    },
    /// The call got no (whole) answer.
    #[error("cannot {action}")]
    Call {
        /// What was to be done.
        action: &'static str,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// CTC answered with another status than 2xx.
    #[error("cannot {action}: CTC answered {status}")]
    Status {
        /// What was to be done.
        action: &'static str,
        /// The status.
        status: StatusCode,
        /// Why the session did not cure it, if it is a 401.
        source: Option<Unauthorized>,
    },
    /// CTC's answer is not of the shape that this SDK knows.
    #[error("cannot {action}: the response is not as expected")]
    ServerResponse {
        /// What was to be done.
        action: &'static str,
        /// What was wrong about it.
        source: serde_json::Error,
    },
}

impl Error {
    /// How long to wait before another try can help; `None` when time alone does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoSession { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    pub(super) fn of_call<E: TransportError>(action: &'static str, error: CallError<E>) -> Self {
        match error {
            CallError::Denied(source) => Self::NoSession { action, source },
            other => Self::Call {
                action,
                source: other.into(),
            },
        }
    }
}
