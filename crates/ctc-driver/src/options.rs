//! What a caller may say about one call.

use std::time::Duration;

use ctc_core::{Denial, Instant};
use http::Method;

/// Options of one call.
///
/// ```
/// use std::time::Duration;
/// use ctc_driver::{CallOptions, Replay};
///
/// let options = CallOptions::new().replay(Replay::Always).max_wait(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// Whether the request may be sent a second time after a 401. Default [`Replay::Idempotent`].
    pub replay: Replay,
    /// How long the call may wait, before and after a 401 all told, for a login that fair use or a
    /// pause holds back. Default zero: it fails at once and says when to come back. Waiting
    /// for a login that is under way is not counted: that is bounded by
    /// [`login_timeout`](ctc_core::Settings::login_timeout) and, with a store, by the
    /// [`lease`](ctc_core::Settings::lease) for which another process may hold it.
    pub max_wait: Duration,
}

impl CallOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the request may be sent a second time after a 401.
    #[must_use]
    pub fn replay(mut self, replay: Replay) -> Self {
        self.replay = replay;
        self
    }

    /// Sets how long the call may wait for a login that fair use or a pause holds back.
    #[must_use]
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    pub(crate) fn may_replay(&self, method: &Method) -> bool {
        match self.replay {
            Replay::Never => false,
            Replay::Idempotent => method.is_idempotent(),
            Replay::Always => true,
        }
    }
}

/// Whether a request may be sent a second time after a 401.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replay {
    /// Never: the 401 is delivered, and the next call renews the session.
    Never,
    /// When its method is idempotent: all but POST, PATCH and CONNECT. A gateway may answer 401
    /// after the backend has acted.
    #[default]
    Idempotent,
    /// Always, as far as its body can be produced again.
    Always,
}

/// How long a denied caller is ready to wait all told.
#[derive(Debug)]
pub(crate) struct RemainingWait(Duration);

impl RemainingWait {
    pub(crate) fn new(max_wait: Duration) -> Self {
        Self(max_wait)
    }

    /// The pause to make before asking again, if the caller's patience is long enough for it.
    pub(crate) fn allows(&self, denial: &Denial, now: Instant) -> Option<Duration> {
        denial.retry_after(now).filter(|pause| *pause <= self.0)
    }

    /// Counts what was waited of a pause: all of it, or less when the session changed `early`.
    pub(crate) fn spend(&mut self, pause: Duration, early: Option<Duration>) {
        self.0 = self.0.saturating_sub(early.unwrap_or(pause).min(pause));
    }
}
