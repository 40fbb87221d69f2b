//! One seed: builds its world, runs it dry, lets it heal, and tells what was seen.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use ctc_core::{AppKey, Credentials, Endpoint, Session};
use ctc_driver::__adapter::by_hand;
use ctc_driver::{AsyncDriver, AsyncSessionStore, SharedSession};

use crate::callers::{Caller, SimDriver};
use crate::clock::ProcessClock;
use crate::count::{Fault, Tally};
use crate::net::SimTransport;
use crate::observer::{observer, rule};
use crate::plan::{Action, CallPlan, Faults, Ms, Plan};
use crate::rng::Rng;
use crate::runtime::{SimRuntime, Thrown};
use crate::secrets;
use crate::server::{APP_KEY, NEW_PASSWORD, PASSWORD, USERS, WRONG_PASSWORD};
use crate::store::SimStore;
use crate::task::Task;
use crate::tasks::Tasks;
use crate::watch::{Guarantee, Violation, probe};
use crate::wire::ORIGIN;
use crate::world::{Current, Event, RuntimeState, World};

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

/// No world of this size has as many events, unless something spins.
const MOST_EVENTS: u64 = 1_000_000;

struct Runner {
    world: Arc<World>,
    plan: Plan,
    seed: u64,
    tasks: Tasks,
    sessions: Vec<SharedSession>,
    /// `None` while all clients are gone.
    drivers: Vec<Option<SimDriver>>,
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
            sessions: Vec::new(),
            drivers: Vec::new(),
            dirty: vec![true; count],
        };
        runner.sessions = (0..count)
            .filter_map(|process| runner.start(process))
            .collect();
        for process in 0..count {
            let driver = runner.driver(process);
            runner.drivers.push(Some(driver));
            runner.spawn_callers(process, usize::MAX, |_| true);
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
            .sessions
            .iter()
            .map(|session| session.counts().adopted)
            .sum();
        let mut state = self.world.state();
        state.tally.adopted += adopted;
        for process in &mut state.processes {
            process.dying = true;
        }
    }

    /// Polls one task, or lets time pass until something happens. `false` when nothing is left.
    fn step(&mut self) -> bool {
        if self.world.state().watch.violation.is_some() {
            return false;
        }
        {
            let mut state = self.world.state();
            state.tally.events += 1;
            if state.tally.events > MOST_EVENTS {
                state.violated(Guarantee::NoWedge, || "the world comes to no rest".into());
                return false;
            }
        }
        if let Some(task) = self.tasks.choose(&self.world) {
            if !self.time_passes_anyway() {
                self.poll(task);
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
            Some(Event::Resume) => self.world.state().resume(),
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

    fn poll(&mut self, number: usize) {
        let Some(task) = self.tasks.get(number) else {
            return;
        };
        let (process, runtime, login) = (task.process, task.runtime, task.login);
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
            state.current = Current {
                runtime,
                login,
                ..Current::default()
            };
            clock
        };
        self.tasks.poll(number);
        let spawned = {
            let mut state = self.world.state();
            state.call_was_polled();
            state.current = Current::default();
            std::mem::take(&mut state.spawned)
        };
        spawned
            .into_iter()
            .for_each(|login| self.tasks.spawn(login));
        clock.lag.store(0, std::sync::atomic::Ordering::Relaxed);
        self.check_step(process);
    }

    fn check_step(&mut self, process: usize) {
        self.dirty[process] = true;
        let session = &self.sessions[process];
        let (held, counts) = (probe(session), session.counts());
        let mut shown = format!("{:?}", self.drivers[process]);
        if held.is_some() && counts.calls.is_multiple_of(8) {
            let mut call = ctc_core::Call::new(false);
            shown += &format!("{:?}", by_hand::admit(session, &mut call));
        }
        let mut state = self.world.state();
        if let Some(leak) = secrets::find(&shown).or_else(secrets::logged) {
            state.violated(Guarantee::Secrets, || {
                format!("Debug or a log line shows {leak}")
            });
        }
        state.check_step(process, held, &counts);
    }

    fn check_rest(&mut self) {
        for process in 0..self.sessions.len() {
            let stopped = self.world.state().processes[process]
                .stopped_until
                .is_some();
            if !stopped && std::mem::take(&mut self.dirty[process]) {
                let phase = self.sessions[process].phase();
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
            for process in &mut state.processes {
                process.runtimes = [RuntimeState::default(); 2];
            }
            let tomorrow = state.now + 24 * 3_600_000;
            state.note(|| "all faults are mended, and a day goes by".into());
            state.tick(tomorrow);
        }
        for process in 0..self.sessions.len() {
            for action in [
                Action::Return(process),
                Action::RightCredentials(process),
                Action::Reset(process),
                Action::Reopen(process),
            ] {
                self.act(action);
            }
            let call = CallPlan {
                // The last comes after the longest debt that a record can hold: 20 refills.
                think: 2_400_000,
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
            self.spawn_caller(process, 0, vec![call; 3], true);
        }
    }

    fn act(&mut self, action: Action) {
        self.world.state().note(|| format!("{action:?}"));
        match action {
            Action::Close(p) => {
                self.count(Fault::Lifecycle).watch.closed(p);
                self.sessions[p].close();
                self.check_step(p);
            }
            Action::Logout(p) => {
                let Some(driver) = self.drivers[p].clone() else {
                    return;
                };
                let world = Arc::clone(&self.world);
                drop(self.count(Fault::Lifecycle));
                let work = Box::pin(async move { log_out(&world, &driver, p).await });
                self.tasks.spawn(Task::new(p, 0, None, work));
            }
            Action::Reopen(p) => {
                self.count(Fault::Lifecycle).watch.reopened(p);
                self.sessions[p].reopen();
                self.check_step(p);
            }
            Action::Reset(p) => {
                self.count(Fault::Credentials).watch.was_reset(p);
                self.sessions[p].reset();
                self.check_step(p);
            }
            Action::RightCredentials(p) => self.set_credentials(p, USERS[0], PASSWORD),
            Action::WrongCredentials(p) => self.set_credentials(p, USERS[0], WRONG_PASSWORD),
            Action::OtherUser(p) => self.set_credentials(p, USERS[1], PASSWORD),
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
            self.sessions[process].set_credentials(credentials);
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

    /// A runtime is shut down while the stack unwinds, with all that it ran.
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
                .take(|task| task.process == process && task.login.is_none()),
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

    fn start(&self, process: usize) -> Option<SharedSession> {
        let mut settings = self.plan.settings.clone();
        let clock = {
            let state = self.world.state();
            let of_process = state.processes.get(process)?;
            settings.seed = self.seed ^ (of_process.life << 8) ^ process as u64;
            Arc::clone(&of_process.clock)
        };
        settings.login_rule = Some(rule(&self.world));
        let endpoint = Endpoint::new(ORIGIN).ok()?;
        let credentials = Credentials::new(USERS[0], PASSWORD).ok()?;
        let session =
            Session::new(endpoint, AppKey::new(APP_KEY).ok()?, credentials, settings).ok()?;
        let session = SharedSession::with_clock(session, ProcessClock(clock));
        session.set_observer(observer(&self.world, process));
        Some(session)
    }

    /// A client of a process's session.
    fn driver(&self, process: usize) -> SimDriver {
        let session = self.sessions[process].clone();
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
        let runtime = SimRuntime {
            world: world(),
            process,
        };
        AsyncDriver::new(session, transport, runtime, store)
    }

    /// Lets a process's callers begin, each with so many calls.
    fn spawn_callers(&mut self, process: usize, calls: usize, on: impl Fn(usize) -> bool) {
        let plan = &self.plan.processes[process];
        let runtimes = plan.runtimes;
        for (number, mut plans) in plan.callers.clone().into_iter().enumerate() {
            let runtime = number % runtimes;
            let stopped = self.world.state().processes[process].runtimes[runtime].stopped;
            if on(runtime) && !stopped {
                plans.truncate(calls);
                self.spawn_caller(process, runtime, plans, false);
            }
        }
    }

    fn spawn_caller(&mut self, process: usize, runtime: usize, calls: Vec<CallPlan>, healed: bool) {
        let Some(driver) = self.drivers[process].clone() else {
            return;
        };
        let caller = Caller {
            world: Arc::clone(&self.world),
            driver,
            process,
            runtime,
            healed,
        };
        let work = Box::pin(caller.make(calls));
        self.tasks.spawn(Task::new(process, runtime, None, work));
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

/// Also says how a process may be held up.
impl Plan {
    pub(crate) fn stalls(&self, process: usize) -> bool {
        self.actions.iter().any(|(_, action)| match action {
            Action::Freeze(who, _) | Action::Suspend(who, _) | Action::Idle(who, ..) => {
                *who == process
            }
            _ => false,
        })
    }

    pub(crate) fn longest_stall(&self) -> Ms {
        let spans = self.actions.iter().map(|(_, action)| match action {
            Action::Freeze(_, span) | Action::Idle(_, _, span) => *span,
            _ => 0,
        });
        spans.sum()
    }
}
