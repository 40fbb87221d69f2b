//! What happens to processes and to the server: the actions that a seed drew.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, MutexGuard};

use ctc_core::Credentials;
use ctc_driver::AsyncDriver;

use crate::count::Fault;
use crate::driver::SimDriver;
use crate::net::SimTransport;
use crate::observer::POLL_SLACK;
use crate::plan::{Action, CallPlan, Ms, NEW_PASSWORD, PASSWORD, WRONG_PASSWORD};
use crate::run::Runner;
use crate::runtime::Thrown;
use crate::secrets;
use crate::server::USERS;
use crate::task::{Does, Task};
use crate::watch::Guarantee;
use crate::world::{Event, RuntimeState, State, World};

impl Runner {
    pub(crate) fn act(&mut self, action: Action) {
        self.world.state().note(|| format!("{action:?}"));
        if self.is_for_tasks(action) {
            return;
        }
        match action {
            Action::Close(p) => {
                self.count(Fault::Lifecycle).watch.closed(p);
                self.sessions[p].close();
                self.check_step(p);
            }
            Action::Logout(p) => {
                let Some(SimDriver::Async(driver)) = self.drivers[p].clone() else {
                    return;
                };
                let world = Arc::clone(&self.world);
                drop(self.count(Fault::Lifecycle));
                let work = Box::pin(async move { log_out(&world, &driver, p).await });
                self.tasks.spawn(Task::new(p, 0, Does::Call, work));
            }
            Action::Reopen(p) => {
                self.count(Fault::Lifecycle).watch.reopened(p);
                self.sessions[p].reopen();
                self.check_step(p);
            }
            Action::LogoutAndBack(p, span) => {
                self.act(Action::Logout(p));
                let mut state = self.world.state();
                let at = state.now + span;
                state.plan(at, Event::Act(Action::BackAgain(p)));
            }
            Action::BackAgain(p) => {
                self.act(Action::Reopen(p));
                self.spawn_caller(p, 0, vec![CallPlan::plain(0, 1)], false);
            }
            Action::Reset(p) => {
                self.count(Fault::Credentials).watch.was_reset(p);
                self.sessions[p].reset();
                self.check_step(p);
            }
            Action::RightCredentials(p) => self.set_credentials(p, (USERS[0], PASSWORD)),
            Action::WrongCredentials(p) => self.set_credentials(p, (USERS[0], WRONG_PASSWORD)),
            Action::OtherUser(p) => self.set_credentials(p, (USERS[1], PASSWORD)),
            Action::Kill(p) => self.kill(p),
            Action::Stop(p, runtime, span) => self.stop(p, runtime, span),
            Action::Restart(p, runtime) => {
                self.world.state().processes[p].runtimes[runtime].stopped = false;
                if self.drivers[p].is_some() {
                    self.spawn_callers(p, 3, |of| of == runtime);
                }
            }
            Action::Leave(p, span) => self.leave(p, span),
            Action::Return(p) => {
                if self.drivers[p].is_none() {
                    self.world.state().processes[p].left = false;
                    self.drivers[p] = Some(self.driver(p));
                    self.spawn_callers(p, 3, |_| true);
                }
            }
            other => self.act_on_world(other),
        }
    }

    /// Whether the action needs tasks or a second caller, and its process has the blocking driver.
    fn is_for_tasks(&self, action: Action) -> bool {
        let process = match action {
            Action::Logout(p)
            | Action::LogoutAndBack(p, _)
            | Action::BackAgain(p)
            | Action::Stop(p, ..)
            | Action::Refuse(p, ..)
            | Action::Leave(p, _) => p,
            _ => return false,
        };
        self.plan.processes[process].source.is_blocking()
    }

    fn act_on_world(&self, action: Action) {
        let mut state = self.world.state();
        let now = state.now;
        let fault = match action {
            Action::Freeze(p, span) => {
                state.stop(p, span, false);
                Fault::Frozen
            }
            Action::Suspend(p, span) => {
                state.stop(p, span, true);
                Fault::Suspended
            }
            Action::Idle(p, runtime, span) => {
                state.idle(p, runtime, span);
                Fault::Idle
            }
            Action::Refuse(p, runtime, span) => {
                state.refuse(p, runtime, span);
                return; // each task that it drops is counted
            }
            Action::WallJump(p, by) => {
                state.jump_wall(p, by);
                Fault::WallJump
            }
            other => {
                if matches!(other, Action::Revoke) {
                    state.watch.revoked_at = Some(now);
                }
                let changes_password =
                    matches!(other, Action::ChangePassword | Action::RestorePassword);
                for p in 0..state.sources.len() {
                    if changes_password && state.watch.plan.processes[p].source.is_some() {
                        let at = now + state.rng.pick(&[0, 200, 10_000, 120_000]);
                        state.plan(at, Event::Act(Action::MendSource(p)));
                    }
                }
                if let Action::MendSource(p) = other {
                    state.sources[p].1 = state.server.password;
                }
                let server = &mut state.server;
                match other {
                    Action::Revoke => server.revoke_all(),
                    Action::ChangePassword => server.change_password(NEW_PASSWORD),
                    Action::RestorePassword => server.change_password(PASSWORD),
                    Action::Lock(span) => server.locked_until = now + span,
                    Action::Outage(span) => server.outage_until = now + span,
                    Action::Throttle(span) => server.throttled_until = now + span,
                    _ => {}
                }
                Fault::ServerState
            }
        };
        state.tally.count(fault);
    }

    fn set_credentials(&mut self, process: usize, credentials: (&'static str, &'static str)) {
        let mut state = self.count(Fault::Credentials);
        if self.plan.processes[process].source.is_some() {
            state.sources[process] = credentials;
            return;
        }
        // Setting the same credentials again changes nothing. Above all, it does not end a
        // rejection.
        let differ = state.watch.sessions[process].credentials != credentials;
        if differ {
            state.watch.new_credentials(process, credentials);
        }
        drop(state);
        let (user, password) = credentials;
        let changed = Credentials::new(user, password)
            .is_ok_and(|credentials| self.sessions[process].set_credentials(credentials));
        if changed != differ {
            self.world.state().violated(Guarantee::Stopped, || {
                format!("p{process}: new credentials: {differ}, and the session says {changed}")
            });
        }
        self.check_step(process);
    }

    /// `kill -9`, and a new start of the same program.
    fn kill(&mut self, process: usize) {
        self.count(Fault::Killed).processes[process].dying = true;
        let adopted = self.sessions[process].counts().adopted;
        drop(self.tasks.take(|task| task.process == process));
        self.drivers[process] = None;
        self.calls_are_over(process, |_| true);
        {
            let mut state = self.world.state();
            state.tally.adopted += adopted;
            let of_process = &mut state.processes[process];
            of_process.life += 1;
            (of_process.dying, of_process.left) = (false, false);
            of_process.own_login = None;
            of_process.runtimes = [RuntimeState::default(); 2];
            state.watch.restarted(process);
        }
        if let Some(session) = self.start(process) {
            self.sessions[process] = session;
        }
        self.drivers[process] = Some(self.driver(process));
        self.check_step(process);
        self.spawn_callers(process, 3, |_| true);
    }

    /// Shuts a runtime down, with all its tasks, while the stack unwinds.
    fn stop(&mut self, process: usize, runtime: usize, span: Ms) {
        {
            let mut state = self.count(Fault::Stopped);
            let of_process = &mut state.processes[process].runtimes[runtime];
            if of_process.stopped {
                return;
            }
            (of_process.stopped, of_process.dying) = (true, true);
            let at = state.now + span;
            state.plan(at, Event::Act(Action::Restart(process, runtime)));
        }
        let on_it = |task: &Task| task.process == process && task.runtime == runtime;
        let tasks = self.tasks.take(on_it);
        let _ = catch_unwind(AssertUnwindSafe(move || {
            let _dropped_meanwhile = tasks;
            resume_unwind(Box::new(Thrown));
        }));
        self.calls_are_over(process, |of| of == runtime);
        self.world.state().processes[process].runtimes[runtime].dying = false;
        self.check_step(process);
    }

    /// All callers and clients are dropped; logins go on.
    fn leave(&mut self, process: usize, span: Ms) {
        let Some(driver) = self.drivers[process].take() else {
            return;
        };
        let mut state = self.count(Fault::Left);
        let at = state.now + span;
        state.plan(at, Event::Act(Action::Return(process)));
        drop(state);
        drop(
            self.tasks
                .take(|task| task.process == process && task.does == Does::Call),
        );
        drop(driver);
        self.world.state().processes[process].left = true;
        self.calls_are_over(process, |_| true);
        self.check_step(process);
    }

    fn calls_are_over(&self, process: usize, on: impl Fn(usize) -> bool) {
        let mut state = self.world.state();
        let mut lost = 0;
        for call in &mut state.watch.calls {
            if call.process == process && !call.done && on(call.runtime) {
                call.done = true;
                lost += 1;
            }
        }
        state.tally.unanswered += lost;
    }

    fn count(&self, fault: Fault) -> MutexGuard<'_, State> {
        let mut state = self.world.state();
        state.tally.count(fault);
        state
    }
}

/// How long a logout may take by default, as in `ctc-driver`.
const LOGOUT_TIMEOUT: Ms = 5000;

async fn log_out(world: &Arc<World>, driver: &AsyncDriver<SimTransport>, process: usize) {
    let began = {
        let mut state = world.state();
        state.watch.logged_out(process);
        state.processes[process].clock.true_ms()
    };
    let outcome = driver.logout().await;
    {
        let mut state = world.state();
        let took = state.processes[process].clock.true_ms() - began;
        // Orchestrators kill a program soon after they ask it to end.
        if took > LOGOUT_TIMEOUT + POLL_SLACK && !state.watch.plan.stalls(process) {
            state.violated(Guarantee::NoWedge, || {
                format!("p{process}: a logout took {took} ms")
            });
        }
    }
    if let Some(leak) = secrets::find(&format!("{outcome:?}")) {
        world.state().violated(Guarantee::Secrets, || {
            format!("the outcome of a logout shows {leak}")
        });
    }
}
