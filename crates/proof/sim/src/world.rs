//! One world: virtual time, the queue of events, the server, the stores and every process's clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use http::Response;

use crate::clock::SimClock;
use crate::count::{Fault, Tally};
use crate::plan::{Action, Faults, Ms, Plan};
use crate::rng::Rng;
use crate::server::{Arrival, Scene, Server, USERS};
use crate::shelf::Shelf;
use crate::task::{OwnLogin, Task};
use crate::watch::{Guarantee, Violation, Watch};
use crate::wire::SimError;

/// Shared by everything in one world. Its lock is never held while the driver or a session runs.
pub(crate) struct World(Mutex<State>);

pub(crate) struct State {
    pub(crate) now: Ms,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    queue: BinaryHeap<Reverse<Entry>>,
    entries: u64,
    pub(crate) server: Server,
    pub(crate) shelves: Vec<Shelf>,
    /// What each process's source of credentials has: user and password.
    pub(crate) sources: Vec<(&'static str, &'static str)>,
    pub(crate) processes: Vec<Process>,
    pub(crate) watch: Watch,
    pub(crate) tally: Tally,
    /// What is being polled.
    pub(crate) current: Current,
    /// Login tasks that a runtime took, and that are not scheduled yet.
    pub(crate) spawned: Vec<Task>,
    trace: Option<Vec<String>>,
}

/// One process as the world sees it.
pub(crate) struct Process {
    pub(crate) clock: Arc<SimClock>,
    /// Not scheduled before then.
    pub(crate) stopped_until: Option<Ms>,
    pub(crate) suspended: bool,
    /// How long its monotonic clock has stood still in total.
    slept: Ms,
    wall_ahead: i64,
    /// Counts its restarts, to recognize what belongs to a process that was killed.
    pub(crate) life: u64,
    pub(crate) dying: bool,
    /// All its callers and clients are dropped.
    pub(crate) left: bool,
    pub(crate) runtimes: [RuntimeState; 2],
    /// The login that its caller makes on its own thread, with the blocking driver.
    pub(crate) own_login: Option<OwnLogin>,
    /// When each runtime last ran again after it was idle, on the monotonic clock.
    pub(crate) ran_at: [Ms; 2],
}

/// One of a process's runtimes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RuntimeState {
    /// It is shut down: its tasks are dropped, and so is each new task.
    pub(crate) stopped: bool,
    /// Until then it polls nothing; 0 while it runs.
    pub(crate) idle_until: Ms,
    /// Until then it drops each new task.
    pub(crate) refuses_until: Ms,
    /// Its tasks are being dropped.
    pub(crate) dying: bool,
}

/// What is being polled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Current {
    pub(crate) runtime: usize,
    pub(crate) login: Option<u64>,
    pub(crate) call: Option<usize>,
    /// How many timers it made.
    pub(crate) timers: u32,
}

/// An event that is yet to come.
pub(crate) enum Event {
    Arrive {
        arrival: Arrival,
        reply: Slot,
        fate: Fate,
    },
    Reply {
        slot: Slot,
        result: Answered,
    },
    Timer(Arc<Timer>),
    Act(Action),
    Thaw(usize),
    /// A runtime runs again. The event only lets time pass until then.
    Resume,
}

/// What happens to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered { after: Ms },
    Lost { error_after: Option<Ms> },
}

struct Entry {
    at: Ms,
    /// Shuffles what happens at the same time.
    tie: u64,
    number: u64,
    event: Event,
}

impl World {
    pub(crate) fn new(plan: &Plan, rng: Rng, traced: bool) -> Arc<Self> {
        let processes = plan
            .processes
            .iter()
            .map(|process| Process::new(process.wall_ahead))
            .collect();
        let mut state = State {
            now: 0,
            rng,
            faults: plan.faults.clone(),
            queue: BinaryHeap::new(),
            entries: 0,
            server: Server::new(plan.terms.clone()),
            shelves: vec![Shelf::default(), Shelf::default()],
            sources: plan
                .processes
                .iter()
                .map(|process| (USERS[0], process.password))
                .collect(),
            processes,
            watch: Watch::new(plan),
            tally: Tally::default(),
            current: Current::default(),
            spawned: Vec::new(),
            trace: traced.then(Vec::new),
        };
        state.tick(0);
        for (at, action) in &plan.actions {
            state.plan(*at, Event::Act(*action));
        }
        Arc::new(Self(Mutex::new(state)))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9}.{:03} s  {}", now / 1000, now % 1000, text()));
        }
    }

    pub(crate) fn violated(&mut self, guarantee: Guarantee, text: impl FnOnce() -> String) {
        if self.watch.violation.is_none() {
            let text = text();
            self.note(|| format!("VIOLATION of {}: {text}", guarantee.text()));
            self.watch.violation = Some(Violation { guarantee, text });
        }
    }

    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    pub(crate) fn strikes(&mut self, per_mille: u64, fault: Fault) -> bool {
        let strikes = self.rng.chance(per_mille);
        if strikes {
            self.tally.count(fault);
        }
        strikes
    }

    pub(crate) fn plan(&mut self, at: Ms, event: Event) {
        self.entries += 1;
        let tie = self.rng.next();
        self.queue.push(Reverse(Entry {
            at: at.max(self.now),
            tie,
            number: self.entries,
            event,
        }));
    }

    /// When the next event is due.
    pub(crate) fn next_at(&self) -> Option<Ms> {
        self.queue.peek().map(|Reverse(entry)| entry.at)
    }

    /// Lets time pass until the next event, and takes it.
    pub(crate) fn advance(&mut self) -> Option<Event> {
        let Reverse(entry) = self.queue.pop()?;
        self.tick(entry.at);
        Some(entry.event)
    }

    pub(crate) fn tick(&mut self, now: Ms) {
        self.now = self.now.max(now);
        for process in &mut self.processes {
            process.set_clock(self.now);
        }
    }

    /// The server handles a request and sends its response.
    pub(crate) fn arrive(&mut self, arrival: &Arrival, slot: Slot, fate: Fate) {
        let mut at = Scene {
            now: self.now,
            rng: &mut self.rng,
            faults: &self.faults,
            tally: &mut self.tally,
        };
        let response = self.server.response(arrival, &mut at);
        self.note(|| format!("server: {arrival:?} -> {}, {fate:?}", response.status()));
        match fate {
            Fate::Answered { after } => self.reply(after, slot, Ok(response)),
            Fate::Lost { error_after } => self.lose(error_after, slot),
        }
    }

    /// The client gets this after a while.
    pub(crate) fn reply(&mut self, after: Ms, slot: Slot, result: Answered) {
        self.plan(self.now + after, Event::Reply { slot, result });
    }

    /// The client gets an error after a while, or nothing.
    pub(crate) fn lose(&mut self, error_after: Option<Ms>, slot: Slot) {
        if let Some(after) = error_after {
            self.reply(after, slot, Err(SimError::Lost));
        }
    }

    /// A timer is due, unless its process was suspended meanwhile.
    pub(crate) fn ring(&mut self, timer: Arc<Timer>) {
        let process = &self.processes[timer.process];
        if timer.cancelled.load(Relaxed) || timer.life != process.life {
            return;
        }
        let left = timer.deadline.saturating_sub(process.clock.true_ms());
        if left == 0 {
            timer.waker.take_and_wake();
        } else {
            let resumes = process
                .stopped_until
                .filter(|_| process.suspended)
                .unwrap_or(self.now);
            self.plan(resumes + left, Event::Timer(timer));
        }
    }

    pub(crate) fn stop(&mut self, who: usize, span: Ms, suspended: bool) {
        let until = self.now + span;
        let process = &mut self.processes[who];
        if process.stopped_until.is_none() {
            process.stopped_until = Some(until);
            process.suspended = suspended;
            self.plan(until, Event::Thaw(who));
        }
    }

    /// Whether a runtime's tasks can run now.
    pub(crate) fn runs(&self, process: usize, runtime: usize) -> bool {
        let process = &self.processes[process];
        process.stopped_until.is_none() && process.runtimes[runtime].idle_until <= self.now
    }

    pub(crate) fn idle(&mut self, process: usize, runtime: usize, span: Ms) {
        let until = self.now + span;
        let runtime = &mut self.processes[process].runtimes[runtime];
        runtime.idle_until = runtime.idle_until.max(until);
        self.plan(until, Event::Resume);
    }

    pub(crate) fn refuse(&mut self, process: usize, runtime: usize, span: Ms) {
        self.processes[process].runtimes[runtime].refuses_until = self.now + span;
    }

    pub(crate) fn thaw(&mut self, who: usize) {
        let process = &mut self.processes[who];
        process.stopped_until = None;
        process.suspended = false;
        process.ran_at = [process.clock.true_ms(); 2];
    }

    pub(crate) fn jump_wall(&mut self, who: usize, by: i64) {
        self.processes[who].wall_ahead += by;
        self.tick(self.now);
    }
}

impl Process {
    fn new(wall_ahead: Ms) -> Self {
        Self {
            clock: Arc::new(SimClock::new()),
            stopped_until: None,
            suspended: false,
            slept: 0,
            wall_ahead: i64::try_from(wall_ahead).unwrap_or_default(),
            life: 0,
            dying: false,
            left: false,
            runtimes: [RuntimeState::default(); 2],
            own_login: None,
            ran_at: [0; 2],
        }
    }

    fn set_clock(&mut self, now: Ms) {
        let clock = &self.clock;
        if self.suspended {
            self.slept = now.saturating_sub(clock.true_ms());
        }
        clock.mono.store(now.saturating_sub(self.slept), Relaxed);
        clock
            .wall
            .store(now.saturating_add_signed(self.wall_ahead), Relaxed);
        for (runtime, ran_at) in self.runtimes.iter_mut().zip(&mut self.ran_at) {
            // Not in an event of its own, since a task may be polled before that.
            if runtime.idle_until != 0 && runtime.idle_until <= now {
                runtime.idle_until = 0;
                *ran_at = clock.true_ms();
            }
        }
    }
}

/// Where a response will be found.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<(Mutex<Option<Answered>>, WakerCell)>);

pub(crate) type Answered = Result<Response<()>, SimError>;

impl Slot {
    pub(crate) fn fill(&self, result: Answered) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.0.1.take_and_wake();
    }
}

impl Future for Slot {
    type Output = Answered;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        let found = self
            .0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        found.map_or_else(
            || {
                self.0.1.set(context.waker());
                Poll::Pending
            },
            Poll::Ready,
        )
    }
}

/// One sleeping future.
pub(crate) struct Timer {
    process: usize,
    life: u64,
    /// On its process's monotonic clock.
    deadline: Ms,
    cancelled: AtomicBool,
    waker: WakerCell,
}

/// Sleeps on a process's monotonic clock.
pub(crate) struct Sleep(Arc<Timer>, Arc<SimClock>);

impl Sleep {
    pub(crate) fn new(world: &World, process: usize, span: Ms) -> Self {
        let mut state = world.state();
        let Process { clock, life, .. } = &state.processes[process];
        let (clock, life) = (Arc::clone(clock), *life);
        let timer = Arc::new(Timer {
            process,
            life,
            deadline: clock.true_ms().saturating_add(span),
            cancelled: AtomicBool::new(false),
            waker: WakerCell::default(),
        });
        let at = state.now.saturating_add(span);
        state.plan(at, Event::Timer(Arc::clone(&timer)));
        Self(timer, clock)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.1.true_ms() >= self.0.deadline {
            return Poll::Ready(());
        }
        self.0.waker.set(context.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.0.cancelled.store(true, Relaxed);
    }
}

#[derive(Default)]
struct WakerCell(Mutex<Option<Waker>>);

impl WakerCell {
    fn set(&self, waker: &Waker) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    fn take_and_wake(&self) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.tie, self.number).cmp(&(other.at, other.tie, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
