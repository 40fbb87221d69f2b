//! The clock of a simulated process's session.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ctc_driver::Clock;

use crate::clock::SimClock;
use crate::count::Fault;
use crate::plan::ms;
use crate::task::{Does, Task};
use crate::world::{Sleep, World};

/// The process's clock, as its session reads it.
pub(crate) struct ProcessClock {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
}

impl fmt::Debug for ProcessClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clock.fmt(f)
    }
}

/// The beginning of the world.
fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(|| Instant::now() + Duration::from_secs(1000 * 24 * 3600))
}

impl Clock for ProcessClock {
    fn now(&self) -> Instant {
        let lag = self.clock.lag.load(Relaxed);
        base() + Duration::from_millis(self.clock.true_ms().saturating_sub(lag))
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_900_000_000_000 + self.clock.wall.load(Relaxed))
    }

    /// A task on the current runtime wakes it. It may be lost with the runtime.
    fn wake_at(&self, time: Instant, waker: Waker) {
        let process = self.process;
        let mut state = self.world.state();
        let runtime = state.current.runtime;
        let on = &state.processes[process].runtimes[runtime];
        let gone = on.stopped || on.refuses_until > state.now;
        // Without the alarm, the token is renewed after its 401. A clean world must not have that.
        let dropped = !state.watch.plan.clean && state.rng.chance(50);
        if gone || dropped {
            state.tally.count(Fault::AlarmDropped);
            state.note(|| format!("p{process}: runtime {runtime} drops the alarm"));
            return;
        }
        drop(state);
        let now = base() + Duration::from_millis(self.clock.true_ms());
        let span = ms(time.saturating_duration_since(now));
        let sleep = Sleep::new(&self.world, process, span);
        let work = Box::pin(async move {
            sleep.await;
            waker.wake();
        });
        let alarm = Task::new(process, runtime, Does::Alarm, work);
        self.world.state().spawned.push(alarm);
    }
}
