//! The options of a call.

use std::time::Duration;

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
    /// Whether the request may be replayed after a 401. Default [`Replay::Idempotent`].
    pub replay: Replay,
    /// How long the call may wait, before and after a 401 in total, while no login may be made.
    /// Default zero: it fails immediately and says when to try again. It does not limit the wait
    /// for another caller's login; [`timeout`](Self::timeout) does.
    ///
    /// Without a `timeout`, that wait is limited by
    /// [`login_timeout`](ctc_core::Settings::login_timeout) and, with a store, by the
    /// [`lease`](ctc_core::Settings::lease) for which another process may hold it.
    pub max_wait: Duration,
    /// The time limit of the whole call: the wait for another caller's login (which
    /// [`max_wait`](Self::max_wait) does not limit), all other waiting, a replay, and reading the
    /// body if a [`Caller`](crate::Caller) reads it. Default `None`: the HTTP client's own limit. A
    /// call that exceeds it fails with [`TimedOut`](crate::TimedOut), which says whether it was
    /// sent. It does not apply to [`login`](crate::Driver::login) and
    /// [`renew`](crate::Driver::renew).
    ///
    /// A blocking call cannot interrupt its own thread. It passes the remaining time to the HTTP
    /// client ([`Outgoing::set_timeout`](crate::Outgoing::set_timeout)), and a login that it makes
    /// itself takes up to [`login_timeout`](ctc_core::Settings::login_timeout), and as long again
    /// in the line of a [`LoginLimiter`](crate::LoginLimiter). The wait for another caller's login
    /// ends in time.
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

    /// Returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the request may be replayed after a 401.
    #[must_use]
    pub fn replay(mut self, replay: Replay) -> Self {
        self.replay = replay;
        self
    }

    /// Sets how long the call may wait while no login may be made. It does not limit the wait for
    /// another caller's login; [`timeout`](Self::timeout) does.
    #[must_use]
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Sets the time limit of the whole call, with the wait for another caller's login (which
    /// [`max_wait`](Self::max_wait) does not limit).
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

/// Whether a request may be replayed after a 401.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replay {
    /// Never: the 401 is delivered, and the next call renews the session.
    Never,
    /// If its method is idempotent: all except POST, PATCH and CONNECT. A gateway may respond with
    /// 401 after the backend has acted.
    #[default]
    Idempotent,
    /// Always, if its body can be produced again.
    Always,
}
