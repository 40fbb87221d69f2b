//! Time limits for waiting without progress.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// One side made no progress within the proxy's limit.
#[derive(Debug, thiserror::Error)]
#[error("no progress for {} s", .0.as_secs_f64())]
pub(super) struct Stalled(pub(super) Duration);

/// A timer, which may have been set for another use before.
pub(super) type Timer = Pin<Box<Sleep>>;

/// Detects that something has made no progress for too long.
///
/// Progress does not reset the timer, which would cost time in each call. The timer fires too early
/// at most, and is then set again.
#[derive(Debug, Default)]
pub(super) struct Stall {
    since: Option<Instant>,
    timer: Option<Timer>,
}

impl Stall {
    /// Reuses a timer that is not needed elsewhere, if there is one.
    pub(super) fn with(timer: Option<Timer>) -> Self {
        Self { since: None, timer }
    }

    /// Returns the timer, for reuse.
    pub(super) fn into_timer(self) -> Option<Timer> {
        self.timer
    }

    pub(super) fn moved(&mut self) {
        self.since = None;
    }

    /// Reports that the last progress was at `time` or later.
    pub(super) fn moved_at(&mut self, time: Instant) {
        self.since = self.since.max(Some(time));
    }

    /// Called while there is no progress. Ready once that has lasted for `limit`.
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    async fn stalls(stall: &mut Stall, limit: Duration) -> Duration {
        let start = Instant::now();
        poll_fn(|context| stall.poll(limit, context)).await;
        start.elapsed()
    }

    /// Waits for as long as `time`, and is not stalled meanwhile.
    async fn waits(stall: &mut Stall, time: Duration) {
        tokio::select! {
            biased;
            _ = stalls(stall, LIMIT) => panic!("stalled"),
            () = tokio::time::sleep(time) => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reused_timer_neither_shortens_nor_extends_the_limit() {
        let mut stall = Stall::default();
        waits(&mut stall, LIMIT / 2).await;
        // The timer goes on, and fires half way through what follows.
        let mut stall = Stall::with(stall.into_timer());
        assert_eq!(stalls(&mut stall, LIMIT).await, LIMIT);
        // It has fired.
        let mut stall = Stall::with(stall.into_timer());
        assert_eq!(stalls(&mut stall, LIMIT).await, LIMIT);
        // It is set for later than a shorter limit.
        let mut stall = Stall::with(stall.into_timer());
        waits(&mut stall, LIMIT / 2).await;
        stall.moved();
        assert_eq!(stalls(&mut stall, LIMIT / 10).await, LIMIT / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_here_or_elsewhere_prevents_a_stall() {
        let mut stall = Stall::default();
        for _ in 0..3 {
            waits(&mut stall, LIMIT - Duration::from_secs(1)).await;
            stall.moved();
        }
        waits(&mut stall, LIMIT - Duration::from_secs(1)).await;
        stall.moved_at(Instant::now());
        assert_eq!(stalls(&mut stall, LIMIT).await, LIMIT);
        // An older time takes nothing back.
        stall.moved();
        waits(&mut stall, LIMIT / 2).await;
        let (before, since) = (Instant::now() - LIMIT, stall.since);
        stall.moved_at(before);
        assert_eq!(stall.since, since);
    }
}
