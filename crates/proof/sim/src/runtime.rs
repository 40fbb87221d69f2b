//! The runtimes of a process: login tasks that the world schedules like callers, and timers in
//! virtual time. A runtime may stop, be idle for a while, or drop each new task.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ctc_driver::{BoxFuture, Runtime};

use crate::count::Fault;
use crate::plan::{Ms, ms};
use crate::task::{Does, Task, Work};
use crate::watch::Guarantee;
use crate::world::{Sleep, World};

/// The payload of a panic that the world draws.
pub(crate) struct Thrown;

/// How many timers one poll of a task may create. More mean that it spins.
const MOST_TIMERS: u32 = 1000;

/// How long a login task may wait for its first poll, as in `ctc-driver`.
const START_TIMEOUT: Ms = 10_000;

/// The runtime of a driver. Logins run on the runtime of the elected caller, or all on one.
pub(crate) struct SimRuntime {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
}

impl Runtime for SimRuntime {
    fn spawn(&self, task: BoxFuture<()>) {
        let process = self.process;
        let mut state = self.world.state();
        let call = state.current.call;
        if let Some(call) = call {
            let serves = state.watch.sessions[process].has_serving_token();
            let call = &mut state.watch.calls[call];
            call.elected = true;
            call.elected_without_token |= !serves;
        }
        let logins_on = state.watch.plan.processes[process].logins_on;
        let runtime = logins_on.unwrap_or(state.current.runtime);
        let clock = state.processes[process].clock.true_ms();
        let election = state.watch.elected(process, clock);
        let now = state.now;
        let on = &state.processes[process].runtimes[runtime];
        if on.stopped || on.refuses_until > now {
            state.tally.count(Fault::Refused);
            state.note(|| format!("p{process}: runtime {runtime} drops login task {election}"));
            // While there is a valid token, the session counts that as a login that was not sent.
            state.watch.sessions[process].period += 1;
            // While there is a valid token the caller uses that one, and the next login is made
            // later.
            let serves = state.watch.sessions[process].has_serving_token();
            let before = call.map(|call| &mut state.watch.calls[call].refused);
            if serves || !before.is_some_and(|before| std::mem::replace(before, true)) {
                let panics = state.rng.chance(300);
                drop(state);
                if panics {
                    // The task is dropped while the stack unwinds.
                    resume_unwind(Box::new(Thrown));
                }
                return;
            }
            // If this caller were elected for ever, it would spin for ever.
            state.violated(Guarantee::NoWedge, || {
                format!(
                    "p{process}: a caller whose task was dropped was not told, but elected again"
                )
            });
        }
        state.note(|| format!("p{process}: runtime {runtime} takes login task {election}"));
        if let Some(call) = call {
            state.watch.calls[call].starts_by = Some(clock + START_TIMEOUT);
        }
        let login = &mut state.watch.sessions[process].login;
        login.tasks += 1;
        let over = Over {
            world: Arc::clone(&self.world),
            process,
            elected: call,
            life: state.processes[process].life,
            election,
            ended: false,
        };
        let work: Work = Box::pin(LoginTask { work: task, over });
        state
            .spawned
            .push(Task::new(process, runtime, Does::Login(election), work));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        let mut state = self.world.state();
        state.current.timers += 1;
        if state.current.timers > MOST_TIMERS {
            state.violated(Guarantee::NoWedge, || {
                format!("p{}: a task spins", self.process)
            });
            return Box::pin(std::future::pending());
        }
        drop(state);
        Box::pin(Sleep::new(&self.world, self.process, ms(duration)))
    }
}

/// A login task that tells the observer when it ends.
struct LoginTask {
    work: BoxFuture<()>,
    // Dropped after the work.
    over: Over,
}

impl Future for LoginTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.over.starts();
        let polled = self.work.as_mut().poll(context);
        self.over.ended = polled.is_ready();
        polled
    }
}

struct Over {
    world: Arc<World>,
    process: usize,
    life: u64,
    election: u64,
    /// The call of the elected caller, until the task starts.
    elected: Option<usize>,
    ended: bool,
}

impl Over {
    fn starts(&mut self) {
        if let Some(call) = self.elected.take() {
            self.world.state().watch.calls[call].starts_by = None;
        }
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        self.starts();
        let mut state = self.world.state();
        if state.processes[self.process].life == self.life {
            state.login_task_over(self.process, self.election, self.ended);
        }
    }
}
