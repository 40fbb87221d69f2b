//! The clocks of a simulated process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::plan::Ms;

/// A process's clocks, in milliseconds since the world began.
#[derive(Debug)]
pub(crate) struct SimClock {
    pub(crate) mono: AtomicU64,
    pub(crate) wall: AtomicU64,
    /// How far the monotonic clock has stepped back for this poll, as some platforms' clocks do.
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
