//! A clock that stands still until a test moves it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use ctc_driver::Clock;

/// A [`Clock`] that stands still until a test moves it. Cloning gives another handle to the same
/// clock.
///
/// Only decisions follow it. What waits (a transport's timeouts, a thread that waits for a login)
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
        })))
    }

    /// Time passes: monotonic and wall time alike. A time past the end of what the types hold
    /// changes nothing.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        times.monotonic = times.monotonic.checked_add(by).unwrap_or(times.monotonic);
        times.wall = times.wall.checked_add(by).unwrap_or(times.wall);
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
}

#[cfg(test)]
mod tests {
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
    fn a_clone_is_the_same_clock() {
        let clock = VirtualClock::new();
        let before = clock.now();
        clock.clone().advance(Duration::from_secs(3));
        assert_eq!(clock.now() - before, Duration::from_secs(3));
    }
}
