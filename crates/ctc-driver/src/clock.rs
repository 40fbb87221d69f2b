//! Where a shared session gets the time from.

use std::fmt::Debug;
use std::task::Waker;
use std::time::SystemTime;

use ctc_core::Instant;

use crate::timer;

/// A clock. [`SystemClock`] outside of tests.
pub trait Clock: Send + Sync + Debug {
    /// The monotonic time, for everything that is decided.
    fn now(&self) -> Instant;
    /// The wall time, only ever written to and read from records.
    fn wall(&self) -> SystemTime;
    /// Wakes `waker` once it is `time`, so that a token is renewed ahead of its end. By default a
    /// thread of the process, `ctc-timer`, does so by this machine's clock.
    fn wake_at(&self, time: Instant, waker: Waker) {
        timer::wake_at(time, waker);
    }
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
