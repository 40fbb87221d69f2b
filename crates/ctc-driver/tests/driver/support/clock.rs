//! A clock that moves only when a test says so, and the timers that hang on it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use ctc_driver::Clock;

use super::lock;

/// Virtual time. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct VirtualClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    start: Instant,
    wall: SystemTime,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    elapsed: Duration,
    reads: usize,
    most_reads: Option<usize>,
    /// How far the wall clock is ahead of the truth.
    wall_error: Duration,
    timers: Vec<(u64, Duration, Waker)>,
    /// The alarms of sessions.
    alarms: Vec<(Instant, Waker)>,
    next: u64,
}

impl VirtualClock {
    pub(crate) fn new() -> Self {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        Self(Arc::new(Shared {
            start: Instant::now(),
            wall,
            state: Mutex::default(),
        }))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let woken: Vec<Waker> = {
            let mut state = lock(&self.0.state);
            state.elapsed += by;
            let (elapsed, now) = (state.elapsed, self.0.start + state.elapsed);
            let timers = state.timers.iter().filter(|timer| timer.1 <= elapsed);
            let mut woken: Vec<_> = timers.map(|timer| timer.2.clone()).collect();
            let due = state.alarms.extract_if(.., |alarm| alarm.0 <= now);
            woken.extend(due.map(|alarm| alarm.1));
            woken
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Goes to the next timer, if there is one.
    pub(crate) fn advance_to_next_timer(&self) -> bool {
        let next = {
            let state = lock(&self.0.state);
            state
                .timers
                .iter()
                .map(|timer| timer.1.saturating_sub(state.elapsed))
                .min()
        };
        next.inspect(|pause| self.advance(*pause)).is_some()
    }

    /// How many alarms have yet to ring.
    pub(crate) fn alarms(&self) -> usize {
        lock(&self.0.state).alarms.len()
    }

    pub(crate) fn forget_alarms(&self) {
        lock(&self.0.state).alarms.clear();
    }

    pub(crate) fn elapsed(&self) -> Duration {
        lock(&self.0.state).elapsed
    }

    /// How often somebody asked what time it is.
    pub(crate) fn reads(&self) -> usize {
        lock(&self.0.state).reads
    }

    /// Who looks again and again instead of waiting shall fail, and not keep its test from ending.
    pub(crate) fn is_read_at_most(&self, times: usize) {
        let mut state = lock(&self.0.state);
        state.most_reads = Some(state.reads + times);
    }

    /// Puts the wall clock wrong from here on.
    pub(crate) fn wall_is_ahead(&self, by: Duration) {
        lock(&self.0.state).wall_error = by;
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        Sleep {
            clock: self.clone(),
            until: self.elapsed() + duration,
            id: None,
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        let mut state = lock(&self.0.state);
        state.reads += 1;
        assert!(
            state.most_reads.is_none_or(|most| state.reads <= most),
            "who reads the clock that often?"
        );
        self.0.start + state.elapsed
    }

    fn wall(&self) -> SystemTime {
        let state = lock(&self.0.state);
        self.0.wall + state.elapsed + state.wall_error
    }

    fn wake_at(&self, time: Instant, waker: Waker) {
        lock(&self.0.state).alarms.push((time, waker));
    }
}

/// Ends when the clock has come to its time.
pub(crate) struct Sleep {
    clock: VirtualClock,
    until: Duration,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = lock(&this.clock.0.state);
        if state.elapsed >= this.until {
            return Poll::Ready(());
        }
        let id = *this.id.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        state.timers.retain(|timer| timer.0 != id);
        state.timers.push((id, this.until, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            lock(&self.clock.0.state)
                .timers
                .retain(|timer| timer.0 != id);
        }
    }
}
