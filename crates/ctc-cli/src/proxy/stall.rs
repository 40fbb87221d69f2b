//! How long something may not move.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// One side moved nothing for as long as the proxy waits.
#[derive(Debug, thiserror::Error)]
#[error("nothing moved for {} s", .0.as_secs_f64())]
pub(super) struct Stalled(pub(super) Duration);

/// A timer that may have been set for something else before.
pub(super) type Timer = Pin<Box<Sleep>>;

/// Tells when something that should move has not moved for too long.
///
/// That it moved is only noted. The timer stays as it is, fires too early if at all, and is set
/// anew then: once in a while, and not for each call.
#[derive(Debug, Default)]
pub(super) struct Stall {
    since: Option<Instant>,
    timer: Option<Timer>,
}

impl Stall {
    /// With a timer that is not needed elsewhere, if there is one.
    pub(super) fn with(timer: Option<Timer>) -> Self {
        Self { since: None, timer }
    }

    /// Returns the timer.
    pub(super) fn into_timer(self) -> Option<Timer> {
        self.timer
    }

    pub(super) fn moved(&mut self) {
        self.since = None;
    }

    /// It last moved at `time`, or later.
    pub(super) fn moved_at(&mut self, time: Instant) {
        self.since = self.since.max(Some(time));
    }

    /// Called while nothing moves: ready when that has lasted as long as `limit`.
    pub(super) fn poll(&mut self, limit: Duration, context: &mut Context<'_>) -> Poll<Stalled> {
        let deadline = *self.since.get_or_insert_with(Instant::now) + limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(context).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(Stalled(limit));
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
