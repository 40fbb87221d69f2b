//! The clocks of a simulated process.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ctc_driver::Clock;

use crate::plan::Ms;

/// A process's clocks, in milliseconds since the world began.
#[derive(Debug)]
pub(crate) struct SimClock {
    pub(crate) mono: AtomicU64,
    pub(crate) wall: AtomicU64,
    /// How far the monotonic clock is behind for the moment: some platforms' clocks step back.
    pub(crate) lag: AtomicU64,
}

impl SimClock {
    pub(crate) const fn new() -> Self {
        Self {
            mono: AtomicU64::new(0),
            wall: AtomicU64::new(0),
            lag: AtomicU64::new(0),
        }
    }

    pub(crate) fn true_ms(&self) -> Ms {
        self.mono.load(Relaxed)
    }
}

/// The process's clock, as its session reads it.
#[derive(Clone, Debug)]
pub(crate) struct ProcessClock(pub(crate) Arc<SimClock>);

impl Clock for ProcessClock {
    fn now(&self) -> Instant {
        static BASE: OnceLock<Instant> = OnceLock::new();
        let base = *BASE.get_or_init(|| Instant::now() + Duration::from_secs(1000 * 24 * 3600));
        base + Duration::from_millis(self.0.true_ms().saturating_sub(self.0.lag.load(Relaxed)))
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_900_000_000_000 + self.0.wall.load(Relaxed))
    }
}
