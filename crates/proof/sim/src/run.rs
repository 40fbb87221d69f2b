//! One seed: builds its world, runs it dry, lets it heal, and tells what was seen.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ctc_core::{AppKey, Credentials, Endpoint, Session};
use ctc_driver::{AsyncDriver, AsyncSessionStore, SharedSession};

use crate::callers::{Caller, SimDriver};
use crate::clock::ProcessClock;
use crate::count::{Fault, Tally};
use crate::net::SimTransport;
use crate::plan::{Action, CallPlan, Faults, Ms, Plan};
use crate::rng::Rng;
use crate::secrets;
use crate::server::{APP_KEY, NEW_PASSWORD, PASSWORD, USERS, WRONG_PASSWORD};
use crate::store::SimStore;
use crate::tasks::Tasks;
use crate::watch::{Guarantee, Violation, probe};
use crate::wire::ORIGIN;
use crate::world::{Event, World};

/// What came of one seed.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What happened, as numbers.
    pub tally: Tally,
    /// The first guarantee that did not hold.
    pub violation: Option<Violation>,
    /// What happened, in words; empty unless asked for.
    pub trace: Vec<String>,
}

/// Runs the world of one seed. The same seed gives the same world, traced or not.
pub fn run(seed: u64, traced: bool) -> Report {
    let mut rng = Rng::new(seed);
    let plan = Plan::draw(&mut rng);
    let world = World::new(&plan, rng, traced);
    world.state().note(|| format!("{plan:?}"));
    let ran = catch_unwind(AssertUnwindSafe(|| Runner::new(&world, plan, seed).run()));
    let mut state = world.state();
    if ran.is_err() {
        state.violated(Guarantee::NoPanic, || "panicked".into());
    }
    state.tally.logins = state.server.logins;
    let (tally, violation, trace) = (
        state.tally.clone(),
        state.watch.violation.take(),
        state.take_trace(),
    );
    Report {
        seed,
        tally,
        violation,
        trace,
    }
}

struct Runner {
    world: Arc<World>,
    plan: Plan,
    seed: u64,
    tasks: Tasks,
    drivers: Vec<SimDriver>,
    dirty: Vec<bool>,
}

impl Runner {
    fn new(world: &Arc<World>, plan: Plan, seed: u64) -> Self {
        let count = plan.processes.len();
        let (world, tasks) = (Arc::clone(world), Tasks::default());
        let mut runner = Self {
            world,
            plan,
            seed,
            tasks,
            drivers: Vec::new(),
            dirty: vec![true; count],
        };
        runner.drivers = (0..count)
            .filter_map(|process| runner.start(process))
            .collect();
        for process in 0..count {
            for calls in runner.plan.processes[process].callers.clone() {
                runner.spawn_caller(process, calls, false);
            }
        }
        runner
    }

    fn run(&mut self) {
        while self.step() {}
        self.check_all_answered();
        self.heal();
        while self.step() {}
        self.check_all_answered();
        let adopted: u64 = self
            .drivers
            .iter()
            .map(|driver| driver.session().counts().adopted)
            .sum();
        self.world.state().tally.adopted += adopted;
    }

    /// Polls one task, or lets time pass until something happens. `false` when nothing is left.
    fn step(&mut self) -> bool {
        if self.world.state().watch.violation.is_some() {
            return false;
        }
        self.world.state().tally.events += 1;
        if let Some((task, process)) = self.tasks.choose(&self.world) {
            if !self.time_passes_anyway() {
                self.poll(task, process);
                return true;
            }
        } else {
            self.check_rest();
        }
        let event = self.world.state().advance();
        match event {
            Some(Event::Arrive {
                arrival,
                reply,
                fate,
            }) => self.world.state().arrive(&arrival, reply, fate),
            Some(Event::Reply { slot, result }) => slot.fill(result),
            Some(Event::Timer(timer)) => self.world.state().ring(timer),
            Some(Event::Thaw(process)) => self.world.state().thaw(process),
            Some(Event::Act(action)) => self.act(action),
            None => return false,
        }
        true
    }

    /// A busy machine: a task is ready, but the next event comes first.
    fn time_passes_anyway(&self) -> bool {
        let mut state = self.world.state();
        let soon = state.next_at().is_some_and(|at| at <= state.now + 50);
        let slow = state.faults.slow_scheduler;
        soon && state.strikes(slow, Fault::SlowScheduler)
    }

    fn poll(&mut self, task: usize, process: usize) {
        let clock = {
            let mut state = self.world.state();
            let back = state.faults.clock_back;
            let lag = if state.strikes(back, Fault::ClockBack) {
                50
            } else {
                0
            };
            let clock = Arc::clone(&state.processes[process].clock);
            clock.lag.store(lag, std::sync::atomic::Ordering::Relaxed);
            clock
        };
        self.tasks.poll(task);
        clock.lag.store(0, std::sync::atomic::Ordering::Relaxed);
        self.check_step(process);
    }

    fn check_step(&mut self, process: usize) {
        self.dirty[process] = true;
        let session = self.drivers[process].session();
        let (held, counts) = (probe(session), session.counts());
        let mut shown = format!("{:?}", self.drivers[process]);
        if held.is_some() && counts.calls.is_multiple_of(8) {
            shown += &format!("{:?}", session.admit(&mut ctc_core::Call::new(false)));
        }
        let mut state = self.world.state();
        if let Some(leak) = secrets::find(&shown).or_else(secrets::logged) {
            state.violated(Guarantee::Secrets, || {
                format!("Debug or a log line shows {leak}")
            });
        }
        state.check_step(process, held, counts.logins_failed);
    }

    fn check_rest(&mut self) {
        for process in 0..self.drivers.len() {
            let stopped = self.world.state().processes[process]
                .stopped_until
                .is_some();
            if !stopped && std::mem::take(&mut self.dirty[process]) {
                let phase = self.drivers[process].session().phase();
                self.world.state().check_rest(process, &phase);
            }
        }
    }

    fn check_all_answered(&self) {
        let mut state = self.world.state();
        let hang = state.watch.calls.iter().position(|call| !call.done);
        if let Some(call) = hang {
            state.violated(Guarantee::NoWedge, || format!("call {call} never ended"));
        }
    }

    /// Mends everything; a day later each process must be able to make a call.
    fn heal(&mut self) {
        {
            let mut state = self.world.state();
            state.faults = Faults::healed();
            state.server.heal();
            let tomorrow = state.now + 24 * 3_600_000;
            state.note(|| "all faults are mended, and a day goes by".into());
            state.tick(tomorrow);
        }
        for process in 0..self.drivers.len() {
            for action in [
                Action::RightCredentials(process),
                Action::Reset(process),
                Action::Reopen(process),
            ] {
                self.act(action);
            }
            let call = CallPlan {
                think: 600_000,
                route: 1,
                post: false,
                always_replay: true,
                max_wait: 0,
                foreign: false,
                own_cookie: false,
                renew: false,
                cancel: None,
            };
            // The first may still meet what was left in a store; the last must find all well.
            self.spawn_caller(process, vec![call; 3], true);
        }
    }

    fn act(&mut self, action: Action) {
        self.world.state().note(|| format!("{action:?}"));
        match action {
            Action::Close(p) => {
                self.count(Fault::Lifecycle).watch.closed(p);
                self.drivers[p].session().close();
                self.check_step(p);
            }
            Action::Logout(p) => {
                let (world, driver) = (Arc::clone(&self.world), self.drivers[p].clone());
                drop(self.count(Fault::Lifecycle));
                self.tasks.spawn(
                    p,
                    Box::pin(async move { log_out(&world, &driver, p).await }),
                );
            }
            Action::Reopen(p) => {
                self.count(Fault::Lifecycle).watch.reopened(p);
                self.drivers[p].session().reopen();
                self.check_step(p);
            }
            Action::Reset(p) => {
                self.count(Fault::Credentials).watch.was_reset(p);
                self.drivers[p].session().reset();
                self.check_step(p);
            }
            Action::RightCredentials(p) => self.set_credentials(p, USERS[0], PASSWORD),
            Action::WrongCredentials(p) => self.set_credentials(p, USERS[0], WRONG_PASSWORD),
            Action::OtherUser(p) => self.set_credentials(p, USERS[1], PASSWORD),
            Action::Kill(p) => self.kill(p),
            other => self.act_on_world(other),
        }
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
            Action::WallJump(p, by) => {
                state.jump_wall(p, by);
                Fault::WallJump
            }
            other => {
                if matches!(other, Action::Revoke) {
                    state.watch.revoked_at = Some(now);
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

    fn set_credentials(&mut self, process: usize, user: &str, password: &str) {
        let other = self.world.state().watch.sessions[process].user() != user;
        let mut state = self.count(Fault::Credentials);
        state.watch.other_credentials(process, other);
        state.watch.sessions[process].set_user(user);
        drop(state);
        if let Ok(credentials) = Credentials::new(user, password) {
            self.drivers[process].session().set_credentials(credentials);
        }
        self.check_step(process);
    }

    /// `kill -9`, and a new start of the same program.
    fn kill(&mut self, process: usize) {
        self.count(Fault::Killed).processes[process].dying = true;
        let adopted = self.drivers[process].session().counts().adopted;
        drop(self.tasks.take_all_of(process));
        {
            let mut state = self.world.state();
            state.tally.adopted += adopted;
            let mut lost = 0;
            for call in state
                .watch
                .calls
                .iter_mut()
                .filter(|call| call.process == process && !call.done)
            {
                call.done = true;
                lost += 1;
            }
            state.tally.unanswered += lost;
            state.processes[process].life += 1;
            state.processes[process].dying = false;
            state.watch.restarted(process);
        }
        if let Some(driver) = self.start(process) {
            self.drivers[process] = driver;
        }
        self.check_step(process);
        for mut calls in self.plan.processes[process].callers.clone() {
            calls.truncate(3);
            self.spawn_caller(process, calls, false);
        }
    }

    fn start(&self, process: usize) -> Option<SimDriver> {
        let mut settings = self.plan.settings.clone();
        let clock = {
            let state = self.world.state();
            let of_process = state.processes.get(process)?;
            settings.seed = self.seed ^ (of_process.life << 8) ^ process as u64;
            Arc::clone(&of_process.clock)
        };
        let endpoint = Endpoint::new(ORIGIN).ok()?;
        let credentials = Credentials::new(USERS[0], PASSWORD).ok()?;
        let session =
            Session::new(endpoint, AppKey::new(APP_KEY).ok()?, credentials, settings).ok()?;
        let session = SharedSession::with_clock(session, ProcessClock(clock));
        let world = || Arc::clone(&self.world);
        let store = self.plan.processes[process].store.map(|shelf| {
            Arc::new(SimStore {
                world: world(),
                process,
                shelf,
            }) as Arc<dyn AsyncSessionStore>
        });
        let transport = SimTransport {
            world: world(),
            process,
            session: session.clone(),
        };
        Some(AsyncDriver::new(session, transport, store))
    }

    fn spawn_caller(&mut self, process: usize, calls: Vec<CallPlan>, healed: bool) {
        let (world, driver) = (Arc::clone(&self.world), self.drivers[process].clone());
        let caller = Caller {
            world,
            driver,
            process,
            healed,
        };
        self.tasks.spawn(process, Box::pin(caller.make(calls)));
    }

    fn count(&self, fault: Fault) -> std::sync::MutexGuard<'_, crate::world::State> {
        let mut state = self.world.state();
        state.tally.count(fault);
        state
    }
}

async fn log_out(world: &Arc<World>, driver: &SimDriver, process: usize) {
    world.state().watch.closed(process);
    let outcome = driver.logout().await;
    if let Some(leak) = secrets::find(&format!("{outcome:?}")) {
        world.state().violated(Guarantee::Secrets, || {
            format!("the outcome of a logout shows {leak}")
        });
    }
}

/// Also says how long a call may be held up by stalls of its process.
impl Plan {
    pub(crate) fn longest_stall(&self) -> Ms {
        let spans = self.actions.iter().map(|(_, action)| match action {
            Action::Freeze(_, span) => *span,
            _ => 0,
        });
        spans.sum()
    }
}
