//! Where a shared session gets the time from.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use ctc_core::Instant;

/// A clock. [`SystemClock`] outside of tests.
pub trait Clock: Send + Sync + Debug {
    /// The monotonic time, for everything that is decided.
    fn now(&self) -> Instant;
    /// The wall time, only ever written to and read from records.
    fn wall(&self) -> SystemTime;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn wall(&self) -> SystemTime {
        (**self).wall()
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
