//! The errors of the SDK.

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
    /// There is no session, and no login may be made: after a rejected password, during a backoff,
    /// after a logout.
    #[error("cannot {action} without a CTC session")]
    NoSession {
        /// What was to be done.
        action: &'static str,
        /// Why, and when to try again.
        source: Denied,
    },
    /// The call got no complete response.
    #[error("cannot {action}")]
    Call {
        /// What was to be done.
        action: &'static str,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// CTC responded with another status than 2xx.
    #[error("cannot {action}: CTC answered {status}")]
    Status {
        /// What was to be done.
        action: &'static str,
        /// The status.
        status: StatusCode,
        /// Why the session could not recover, if it is a 401.
        source: Option<Unauthorized>,
    },
    /// CTC's response does not have the form that this SDK expects.
    #[error("cannot {action}: the response is not as expected")]
    ServerResponse {
        /// What was to be done.
        action: &'static str,
        /// What was wrong with it.
        source: serde_json::Error,
    },
}

impl Error {
    /// Returns how long to wait before trying again; `None` if waiting does not help.
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
