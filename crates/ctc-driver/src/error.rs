//! Why a call failed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ctc_core::{Denial, SendFailure, StampError};

use crate::ports::TransportError;

/// Why a call failed. `E` is the HTTP client's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E: TransportError> {
    /// The session has no token for the call and may not get one now. Nothing was sent.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The request could not take key and token: above all, it goes to another origin. Nothing was
    /// sent.
    #[error(transparent)]
    Stamp(#[from] StampError),
    /// The HTTP client failed. The session is as it was.
    #[error("{}", no_response(.0.failure()))]
    Transport(#[source] E),
    /// The response came, but its body broke off: the server may well have done what was asked.
    /// Only from calls that read whole bodies ([`Caller`](crate::Caller),
    /// [`AsyncCaller`](crate::AsyncCaller)).
    #[error("the call was answered, but the answer's body broke off")]
    Body(#[source] Box<dyn Error + Send + Sync>),
}

/// What to tell a caller whose request got no response: above all, whether it may have had an
/// effect.
pub fn no_response(failure: SendFailure) -> &'static str {
    match failure {
        SendFailure::MaybeSent => {
            "the call got no response, and the server may have acted on it: \
             make it again only if that does no harm"
        }
        SendFailure::NotSent => {
            "the call was not sent, because the server could not be reached: \
             check host, network and TLS"
        }
    }
}

/// Why the session denied a call: it has no token, and no login may be made now. Nothing of the
/// call was sent. Every caller gets the same denial.
#[derive(Clone, Debug)]
pub struct Denied {
    denial: Denial,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Denied {
    /// A denial as a driver gives it: for mocks, whose users want to see what a refused password
    /// does.
    ///
    /// ```
    /// use ctc_driver::Denied;
    /// use ctc_driver::ctc_core::Denial;
    ///
    /// let denied = Denied::new(Denial::rejected(http::StatusCode::UNAUTHORIZED), None);
    /// assert!(denied.to_string().contains("refused the login"));
    /// ```
    pub fn new(denial: Denial, retry_after: Option<Duration>) -> Self {
        Self {
            denial,
            retry_after,
            source: None,
        }
    }

    pub(crate) fn with_source(mut self, source: Option<Arc<dyn Error + Send + Sync>>) -> Self {
        self.source = source;
        self
    }

    /// What stands in the way.
    pub fn denial(&self) -> &Denial {
        &self.denial
    }

    /// How long after this error another try can help; `None` when time alone does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.denial)?;
        match self.retry_after {
            Some(pause) => write!(f, "; try again in {} s", pause.as_secs_f64().ceil()),
            None => Ok(()),
        }
    }
}

impl Error for Denied {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
