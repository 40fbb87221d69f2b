//! How long something may not move.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// One side moved nothing for as long as the proxy waits.
#[derive(Debug, thiserror::Error)]
#[error("nothing moved for {} s", .0.as_secs_f64())]
pub(super) struct Stalled(pub(super) Duration);

/// Tells when something that should move has not moved for too long.
#[derive(Debug)]
pub(super) struct Stall {
    limit: Duration,
    /// Made when something first has to wait, and kept.
    timer: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

impl Stall {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: None,
            is_running: false,
        }
    }

    pub(super) fn moved(&mut self) {
        self.is_running = false;
    }

    /// Called while nothing moves: ready when that has lasted too long.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Stalled> {
        let deadline = || Instant::now() + self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline())));
        if !self.is_running {
            timer.as_mut().reset(Instant::now() + self.limit);
            self.is_running = true;
        }
        timer.as_mut().poll(context).map(|()| Stalled(self.limit))
    }
}
