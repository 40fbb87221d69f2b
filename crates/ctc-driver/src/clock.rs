//! The clock of a shared session.

use std::fmt::Debug;
use std::sync::Arc;
use std::task::Waker;
use std::time::SystemTime;

use ctc_core::Instant;

use crate::timer;

/// A source of time: [`SystemClock`], or in tests a virtual clock.
pub trait Clock: Send + Sync + Debug {
    /// Returns the monotonic time, for all decisions.
    fn now(&self) -> Instant;
    /// Returns the wall time, which is used only in records.
    fn wall(&self) -> SystemTime;
    /// Wakes `waker` once it is `time`, so that a token is renewed ahead of its end. By default a
    /// thread of the process, `ctc-timer`, does so by this machine's clock.
    fn wake_at(&self, time: Instant, waker: Waker) {
        timer::wake_at(time, waker);
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn wall(&self) -> SystemTime {
        (**self).wall()
    }

    fn wake_at(&self, time: Instant, waker: Waker) {
        (**self).wake_at(time, waker);
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
