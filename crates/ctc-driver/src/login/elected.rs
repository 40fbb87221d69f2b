//! The login that a caller was elected for, from its election to the start of its task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use ctc_core::Instant;

use super::attempt::Attempt;
use crate::session::sync::{Mutex, lock};

/// How long a task may wait for its first poll before its runtime counts as not running. Our
/// choice: far longer than a busy runtime needs.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(10);

/// What the elected caller knows of its login.
pub(crate) struct Elected {
    /// Until its task starts.
    attempt: Mutex<Option<Box<Attempt>>>,
    is_settled: Arc<AtomicBool>,
    starts_by: Instant,
}

impl Elected {
    pub(crate) fn new(attempt: Box<Attempt>, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            is_settled: Arc::clone(&attempt.is_settled),
            attempt: Mutex::new(Some(attempt)),
            starts_by: now + START_TIMEOUT,
        })
    }

    /// Whether the login was sent, or need not be. If not, the runtime has dropped it or does not
    /// run it.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled.load(SeqCst)
    }

    /// When the task has to have started. `None` if it has.
    pub(crate) fn starts_by(&self) -> Option<Instant> {
        lock(&self.attempt).as_ref().map(|_| self.starts_by)
    }

    /// Takes the login, unless its task has started: to make it, or back from the runtime.
    pub(crate) fn take_attempt(&self) -> Option<Box<Attempt>> {
        lock(&self.attempt).take()
    }
}

/// The login in its task. One that is dropped before it starts gives the login back.
pub(crate) struct Unstarted(pub(crate) Arc<Elected>);

impl Drop for Unstarted {
    fn drop(&mut self) {
        drop(self.0.take_attempt());
    }
}
