//! What a caller may say about one call.

use std::time::Duration;

use ctc_core::{Denial, Instant, Wait};
use http::Method;

/// Options of one call.
///
/// ```
/// use std::time::Duration;
/// use ctc_driver::{CallOptions, Replay};
///
/// let options = CallOptions::new().replay(Replay::Always).max_wait(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallOptions {
    /// Whether the request may be sent a second time after a 401. Default [`Replay::Idempotent`].
    pub replay: Replay,
    /// How long the call may wait, before and after a 401 all told, for a login that fair use or a
    /// pause holds back. Default zero: it fails at once and says when to come back. Waiting
    /// for a login that is under way is not counted: [`timeout`](Self::timeout) ends it. Otherwise
    /// it is bounded by [`login_timeout`](ctc_core::Settings::login_timeout) and, with a store, by
    /// the [`lease`](ctc_core::Settings::lease) for which another process may hold it.
    pub max_wait: Duration,
    /// How long the whole call may take, with all waiting, a replay, and reading the body if a
    /// [`Caller`](crate::Caller) reads it. Default `None`: as long as the HTTP client takes. A call
    /// whose time is up fails with [`TimedOut`](crate::TimedOut), which says whether it was sent.
    /// It is not for [`login`](crate::Driver::login) and [`renew`](crate::Driver::renew).
    ///
    /// A blocking call cannot leave what runs on its own thread. It passes what is left of its time
    /// on to the HTTP client ([`Outgoing::set_timeout`](crate::Outgoing::set_timeout)), and a login
    /// that it makes itself takes up to [`login_timeout`](ctc_core::Settings::login_timeout), and
    /// as long again in the line of a [`LoginLimiter`](crate::LoginLimiter). It leaves the wait for
    /// another caller's login in time.
    pub timeout: Option<Duration>,
    /// How many bytes of a body a [`Caller`](crate::Caller) reads, at most. Default 16 MiB
    /// ([`DEFAULT_MAX_BODY`](Self::DEFAULT_MAX_BODY)).
    pub max_body: usize,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            replay: Replay::default(),
            max_wait: Duration::ZERO,
            timeout: None,
            max_body: Self::DEFAULT_MAX_BODY,
        }
    }
}

impl CallOptions {
    /// How many bytes of a body are read unless a call says otherwise.
    pub const DEFAULT_MAX_BODY: usize = 16 * 1024 * 1024;

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

    /// Sets how long the whole call may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how many bytes of a body are read at most.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
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

/// When a blocking call ends at the latest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// For what has no limit.
    pub(crate) const NEVER: Self = Self(None);

    pub(crate) fn of(options: &CallOptions, now: impl FnOnce() -> Instant) -> Self {
        Self(options.timeout.map(|timeout| now() + timeout))
    }

    /// Returns how much time is left, if there is a limit.
    pub(crate) fn left(self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(now()))
    }

    pub(crate) fn is_over(self, now: impl FnOnce() -> Instant) -> bool {
        self.left(now).is_some_and(|left| left.is_zero())
    }

    /// Returns `wait`, which ends with this at the latest.
    pub(crate) fn bound(self, mut wait: Wait) -> Wait {
        if let Some(end) = self.0 {
            wait.deadline = wait.deadline.min(end);
        }
        wait
    }
}

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
