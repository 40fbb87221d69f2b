//! Why a call failed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ctc_core::{Denial, SendFailure, StampError};

use crate::options::CallOptions;
use crate::ports::{BodyError, NotSent, TransportError};

/// Why a call failed. `E` is the HTTP client's error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E: TransportError> {
    /// The session has no token for the call and may not get one now. Nothing was sent.
    #[error("{}", no_session(.0.denial()))]
    Denied(#[from] Denied),
    /// The request could not take key and token: above all, it goes to another origin. Nothing was
    /// sent.
    #[error(transparent)]
    Stamp(#[from] StampError),
    /// The HTTP client failed. The session is as it was.
    #[error("{}", no_response(.0))]
    Transport(#[source] E),
    /// The call's time was up ([`CallOptions::timeout`](crate::CallOptions::timeout)).
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The response came, but its body broke off or is too long: the server may well have done what
    /// was asked. Only from calls that read whole bodies ([`Caller`](crate::Caller),
    /// [`AsyncCaller`](crate::AsyncCaller)).
    #[error("the call got its response, but the body could not be read whole")]
    Body(#[from] BodyError),
}

impl<E: TransportError> CallError<E> {
    /// Returns this error, with the HTTP client's error as another type.
    pub fn map_transport<F: TransportError>(self, map: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            Self::Denied(error) => CallError::Denied(error),
            Self::Stamp(error) => CallError::Stamp(error),
            Self::Transport(error) => CallError::Transport(map(error)),
            Self::TimedOut(error) => CallError::TimedOut(error),
            Self::Body(error) => CallError::Body(error),
        }
    }
}

/// A call whose time was up ([`CallOptions::timeout`](crate::CallOptions::timeout)).
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call took longer than {} s, {}", .limit.as_secs_f64(), self.what())]
pub struct TimedOut {
    limit: Duration,
    was_sent: bool,
}

impl TimedOut {
    /// A call that the server may have got.
    pub fn sent(limit: Duration) -> Self {
        let was_sent = true;
        Self { limit, was_sent }
    }

    /// A call that waited for a login until its time was up.
    pub fn not_sent(limit: Duration) -> Self {
        let was_sent = false;
        Self { limit, was_sent }
    }

    pub(crate) fn of(options: &CallOptions, was_sent: bool) -> Self {
        let limit = options.timeout.unwrap_or_default();
        Self { limit, was_sent }
    }

    /// Returns how long the call might take.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Returns whether the server may have got the call.
    pub fn was_sent(&self) -> bool {
        self.was_sent
    }

    fn what(&self) -> &'static str {
        if self.was_sent {
            "and the server may have acted on it: make it again only if that does no harm"
        } else {
            "so it was not sent: it waited for a login"
        }
    }
}

/// What to tell a caller whose request got no response: above all, whether it may have had an
/// effect.
pub fn no_response(error: &impl TransportError) -> &'static str {
    match (error.failure(), error.failed_at()) {
        (SendFailure::MaybeSent, _) => {
            "the call got no response, and the server may have acted on it: \
             make it again only if that does no harm"
        }
        (SendFailure::NotSent, NotSent::NameLookup) => {
            "the call was not sent, because the host name was not found: check host and DNS"
        }
        (SendFailure::NotSent, NotSent::Connection) => {
            "the call was not sent, because no connection could be made: \
             check host, port, proxy and network"
        }
        (SendFailure::NotSent, NotSent::Tls) => {
            "the call was not sent, because no TLS connection could be made: \
             check the server's certificate and the TLS setup"
        }
        (SendFailure::NotSent, _) => {
            "the call was not sent, because the server could not be reached: \
             check host, network and TLS"
        }
    }
}

/// What to tell a caller that was denied, in front of the denial itself.
pub fn no_session(denial: &Denial) -> &'static str {
    match denial {
        Denial::Rejected { .. } => "no CTC session: the server rejected the login",
        Denial::BackingOff { .. } => "no CTC session: the last login failed",
        Denial::CredentialsUnusable => "no CTC session: there are no usable credentials",
        Denial::BudgetSpent { .. } => "no CTC session: the login budget is spent",
        Denial::Closed => "no CTC session: it is closed",
        Denial::InsideLogin => "no CTC session: the call was made from within a login",
        Denial::NotRun => "no CTC session: the login was not run",
        _ => "no CTC session",
    }
}

/// Why the session denied a call: it has no token, and no login may be made now. Nothing of the
/// call was sent. Every caller gets the same denial.
#[derive(Clone)]
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

ctc_core::__readable_debug!(Denied, TimedOut);
ctc_core::__readable_debug!(impl[E: TransportError] CallError<E>);
