//! The clock of a shared session.

use std::fmt::Debug;
use std::time::SystemTime;

use ctc_core::Instant;

/// A source of time: [`SystemClock`], or in tests a virtual clock.
pub trait Clock: Send + Sync + Debug {
    /// Returns the monotonic time, for all decisions.
    fn now(&self) -> Instant;
    /// Returns the wall time, which is used only in records.
    fn wall(&self) -> SystemTime;
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
