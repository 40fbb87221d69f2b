//! One seed: builds its world, runs it to its end, stops all faults, and reports what was seen.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ctc_driver::__adapter::by_hand;
use ctc_driver::SharedSession;

use crate::count::{Fault, Tally};
use crate::driver::SimDriver;
use crate::held::probe;
use crate::logins::MOST_REFILLS;
use crate::plan::{Action, CallPlan, Faults, PASSWORD, Plan, ms};
use crate::rng::Rng;
use crate::secrets;
use crate::server::USERS;
use crate::task::Does;
use crate::tasks::Tasks;
use crate::watch::{Guarantee, Violation};
use crate::world::{Current, Event, RuntimeState, World};

/// The result of one seed.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What happened, as numbers.
    pub tally: Tally,
    /// The first violation of a guarantee.
    pub violation: Option<Violation>,
    /// What happened, in words; empty unless requested.
    pub trace: Vec<String>,
}

/// Runs the world of one seed. The same seed gives the same world, traced or not.
pub fn run(seed: u64, traced: bool) -> Report {
    let mut rng = Rng::new(seed);
    let plan = Plan::draw(&mut rng, &mut Rng::new(!seed));
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

/// More events mean that something spins.
const MOST_EVENTS: u64 = 1_000_000;

pub(crate) struct Runner {
    pub(crate) world: Arc<World>,
    pub(crate) plan: Plan,
    pub(crate) seed: u64,
    pub(crate) tasks: Tasks,
    pub(crate) sessions: Vec<SharedSession>,
    /// `None` while all clients are dropped.
    pub(crate) drivers: Vec<Option<SimDriver>>,
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

    /// Polls one task, or lets time pass until the next event. Returns `false` when nothing is
    /// left.
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
            Some(Event::Resume) => {}
            Some(Event::Act(action)) => self.act(action),
            None => return false,
        }
        true
    }

    /// Draws whether the machine is busy: a task is ready, but the next event comes first.
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
        let (process, runtime, does) = (task.process, task.runtime, task.does);
        let clock = {
            let mut state = self.world.state();
            let back = state.faults.clock_back;
            let lag = if state.strikes(back, Fault::ClockBack) {
                50
            } else {
                0
            };
            let of_process = &state.processes[process];
            let login = match does {
                Does::Call => of_process.own_login.map(|login| login.election),
                Does::Login(election) => Some(election),
                Does::Alarm => None,
            };
            let clock = Arc::clone(&of_process.clock);
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

    pub(crate) fn check_step(&mut self, process: usize) {
        self.dirty[process] = true;
        let session = &self.sessions[process];
        let kind = self.plan.processes[process].kind;
        let (held, counts) = (probe(session, kind), session.counts());
        let mut shown = format!("{:?}", self.drivers[process]);
        // For OAuth, the question might elect this caller for a renewal.
        if held.is_some() && !kind.is_oauth() && counts.calls.is_multiple_of(8) {
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

    /// Stops all faults. A day later each process must be able to make a call.
    fn heal(&mut self) {
        {
            let mut state = self.world.state();
            state.faults = Faults::healed();
            state.server.heal();
            state.sources.fill((USERS[0], PASSWORD));
            for process in &mut state.processes {
                process.runtimes = [RuntimeState::default(); 2];
            }
            let tomorrow = state.now + 24 * 3_600_000;
            state.note(|| "all faults stop, and a day passes".into());
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
            // The first call may still be denied for what others left in a store: the longest
            // backoff, or the highest charge of a login. The second call comes after both.
            let fair_use = &self.plan.settings.fair_use;
            let longest = (fair_use.refill * MOST_REFILLS)
                .max(fair_use.backoff_cap)
                .max(fair_use.retry_after_cap);
            let call = CallPlan::plain(ms(longest), 1);
            self.spawn_caller(process, 0, vec![call; 2], true);
        }
    }
}
