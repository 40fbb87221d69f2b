//! A clock that stands still until a test moves it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::{Duration, Instant, SystemTime},
};

use ctc_driver::Clock;

/// A [`Clock`] that stands still until a test moves it. Cloning gives another handle to the same
/// clock.
///
/// Decisions follow it, and so does early renewal: [`advance`](Self::advance) wakes the sessions
/// whose token is due. Everything else (a transport's timeouts, a thread that waits for a login)
/// waits in real time, so a test moves the clock first and asks second.
///
/// ```
/// use std::time::Duration;
/// use ctc_driver::Clock;
/// use ctc_testkit::VirtualClock;
///
/// let clock = VirtualClock::new();
/// let (now, wall) = (clock.now(), clock.wall());
/// clock.advance(Duration::from_secs(120));
/// assert_eq!(clock.now() - now, Duration::from_secs(120));
/// clock.suspend(Duration::from_secs(36_000)); // the lid is closed: only the wall time goes on
/// assert_eq!(clock.now() - now, Duration::from_secs(120));
/// assert_eq!(clock.wall().duration_since(wall)?, Duration::from_secs(36_120));
/// # Ok::<(), std::time::SystemTimeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    monotonic: Instant,
    wall: SystemTime,
    /// What waits for a time.
    waiting: Vec<(Instant, Waker)>,
}

impl VirtualClock {
    /// Creates a clock that shows the current time and then stands still.
    pub fn new() -> Self {
        Self::starting_at(SystemTime::now())
    }

    /// Creates a clock whose wall time is `wall`.
    pub fn starting_at(wall: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(Times {
            monotonic: Instant::now(),
            wall,
            waiting: Vec::new(),
        })))
    }

    /// Time passes: monotonic and wall time alike. A time past the end of what the types hold
    /// changes nothing. Sessions with a token that is due for renewal by then are told before this
    /// returns.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        let now = times.monotonic.checked_add(by).unwrap_or(times.monotonic);
        times.monotonic = now;
        times.wall = times.wall.checked_add(by).unwrap_or(times.wall);
        let due = times.waiting.extract_if(.., |(time, _)| *time <= now);
        let due: Vec<_> = due.collect();
        drop(times); // wakers run foreign code
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Simulates that the machine sleeps, on a system whose monotonic clock stops meanwhile: only
    /// wall time passes.
    pub fn suspend(&self, by: Duration) {
        let mut times = self.times();
        times.wall = times.wall.checked_add(by).unwrap_or(times.wall);
    }

    /// Sets the wall clock forward or back. The monotonic time does not change.
    pub fn set_wall(&self, wall: SystemTime) {
        self.times().wall = wall;
    }

    /// Moves the monotonic time back, which happens only on broken machines.
    pub fn rewind_monotonic(&self, by: Duration) {
        let mut times = self.times();
        times.monotonic = times.monotonic.checked_sub(by).unwrap_or(times.monotonic);
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        self.times().monotonic
    }

    fn wall(&self) -> SystemTime {
        self.times().wall
    }

    fn wake_at(&self, time: Instant, waker: Waker) {
        self.times().waiting.push((time, waker));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    use super::*;

    #[test]
    fn each_time_moves_alone() {
        let clock = VirtualClock::starting_at(SystemTime::UNIX_EPOCH);
        let start = clock.now();
        clock.rewind_monotonic(Duration::from_secs(1));
        assert_eq!(start - clock.now(), Duration::from_secs(1));
        assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH);
        clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(7));
        assert_eq!(start - clock.now(), Duration::from_secs(1));
        clock.advance(Duration::MAX);
        assert_eq!(
            clock.wall(),
            SystemTime::UNIX_EPOCH + Duration::from_secs(7)
        );
    }

    #[test]
    fn a_waker_is_woken_once_when_its_time_has_come() {
        struct Counted(AtomicUsize, VirtualClock);

        impl Wake for Counted {
            fn wake(self: Arc<Self>) {
                self.1.now(); // no lock is held
                self.0.fetch_add(1, SeqCst);
            }
        }
        let clock = VirtualClock::new();
        let woken = Arc::new(Counted(AtomicUsize::new(0), clock.clone()));
        let time = clock.now() + Duration::from_secs(10);
        clock.wake_at(time, Arc::clone(&woken).into());
        for (seconds, times) in [(9, 0), (1, 1), (100, 1)] {
            clock.advance(Duration::from_secs(seconds));
            assert_eq!(woken.0.load(SeqCst), times);
        }
    }

    #[test]
    fn a_clone_is_the_same_clock() {
        let clock = VirtualClock::new();
        let before = clock.now();
        clock.clone().advance(Duration::from_secs(3));
        assert_eq!(clock.now() - before, Duration::from_secs(3));
    }
}
