//! Timers of this process: one thread for all of them, which needs no runtime.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use ctc_core::Instant;

/// As long as ever needed, and no platform's clock overflows at it.
const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

static TIMERS: Timers = Timers {
    state: Mutex::new(State {
        due: BTreeMap::new(),
        made: 0,
        looks_at: None,
        runs_in: None,
    }),
    changed: Condvar::new(),
};

struct Timers {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// By time; the number tells those of one time apart.
    due: BTreeMap<(Instant, u64), Waker>,
    made: u64,
    /// When the thread looks again without being told to. `None`: never.
    looks_at: Option<Instant>,
    /// The process that the thread runs in: a fork has no other thread than the one that forked.
    runs_in: Option<u32>,
}

/// The end of `span` from now on.
pub(crate) fn end_of(span: Duration) -> Instant {
    Instant::now() + span.min(A_CENTURY)
}

/// Wakes `waker` once it is `time`. If the system has no thread for it, it may never do so.
pub(crate) fn wake_at(time: Instant, waker: Waker) {
    let number = TIMERS.state().number();
    TIMERS.set((time, number), waker);
}

/// Ends at a time, never early.
pub(crate) struct Sleep {
    time: Instant,
    /// Zero before the first poll.
    number: u64,
}

impl Sleep {
    pub(crate) fn until(time: Instant) -> Self {
        Self { time, number: 0 }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.time {
            return Poll::Ready(());
        }
        if self.number == 0 {
            self.number = TIMERS.state().number();
        }
        let key = (self.time, self.number);
        if !TIMERS.set(key, context.waker().clone()) {
            // Busy is better than late.
            thread::yield_now();
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.number > 0 {
            let waker = TIMERS.state().due.remove(&(self.time, self.number));
            drop(waker); // foreign code: not under the lock
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

impl Timers {
    /// Returns whether there is a thread.
    fn set(&'static self, key: (Instant, u64), waker: Waker) -> bool {
        let mut state = self.state();
        let earlier = state.due.insert(key, waker);
        if state.runs_in != Some(std::process::id()) {
            let thread = thread::Builder::new().name("ctc-timer".into());
            if thread.spawn(|| self.run()).is_ok() {
                state.runs_in = Some(std::process::id());
            }
        }
        if state.looks_at.is_none_or(|looks_at| key.0 < looks_at) {
            self.changed.notify_one();
        }
        let has_thread = state.runs_in == Some(std::process::id());
        drop(state);
        drop(earlier); // foreign code: not under the lock
        has_thread
    }

    fn run(&self) {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let first = state.due.first_key_value().map(|(key, _)| key.0);
            state.looks_at = first;
            state = match first {
                Some(time) if time <= now => {
                    let due = state.due.pop_first();
                    drop(state);
                    // Foreign code: a panic of it ends here.
                    let wake = || due.into_iter().for_each(|(_, waker)| waker.wake());
                    let _ = catch_unwind(AssertUnwindSafe(wake));
                    self.state()
                }
                Some(time) => {
                    let waited = self.changed.wait_timeout(state, time - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    use super::*;

    const SPAN: Duration = Duration::from_millis(50);

    #[test]
    fn a_sleep_that_is_dropped_leaves_nothing_behind() {
        let hour = end_of(Duration::from_secs(3600));
        let waker = Arc::new(Counted(AtomicUsize::new(0)));
        let mut sleep = Sleep::until(hour);
        let polled = Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker.clone().into()));
        assert!(polled.is_pending());
        assert_eq!(Arc::strong_count(&waker), 2);
        drop(sleep);
        assert_eq!(Arc::strong_count(&waker), 1);
    }

    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
            panic!("the timers go on");
        }
    }

    /// A waker that uses a sleep when it is dropped, as the last waker of a task may.
    struct Sleeper;

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let mut sleep = Sleep::until(end_of(SPAN));
            let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop()));
        }
    }

    #[test]
    fn a_waker_is_dropped_outside_of_the_lock() {
        let mut sleep = Sleep::until(end_of(Duration::from_secs(3600)));
        let first = Waker::from(Arc::new(Sleeper));
        let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(&first));
        drop(first);
        let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop()));
    }

    #[test]
    fn a_waker_that_panics_harms_no_other() {
        let waker = Arc::new(Counted(AtomicUsize::new(0)));
        wake_at(Instant::now(), waker.clone().into());
        smol::block_on(Sleep::until(end_of(SPAN)));
        assert_eq!(waker.0.load(SeqCst), 1);
        smol::block_on(Sleep::until(end_of(SPAN)));
    }
}
