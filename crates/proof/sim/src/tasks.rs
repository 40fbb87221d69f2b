//! A single-threaded executor whose order of polls is drawn by chance.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::plan::Cancel;
use crate::task::Task;
use crate::world::{Sleep, World};

#[derive(Default)]
pub(crate) struct Tasks {
    tasks: Vec<Option<Running>>,
    ready: Arc<Mutex<Vec<usize>>>,
}

struct Running {
    task: Task,
    waker: Waker,
    token: Arc<Token>,
}

struct Token {
    number: usize,
    queued: AtomicBool,
    ready: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Token {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Relaxed) {
            self.ready
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(self.number);
        }
    }
}

impl Tasks {
    pub(crate) fn spawn(&mut self, task: Task) {
        let number = self.tasks.len();
        let ready = Arc::clone(&self.ready);
        let token = Arc::new(Token {
            number,
            queued: AtomicBool::new(false),
            ready,
        });
        let waker = Waker::from(Arc::clone(&token));
        waker.wake_by_ref();
        self.tasks.push(Some(Running { task, waker, token }));
    }

    /// Returns a task that can run now, chosen by chance.
    pub(crate) fn choose(&self, world: &World) -> Option<usize> {
        let mut state = world.state();
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.retain(|&number| self.tasks[number].is_some());
        let runs = |state: &crate::world::State, number: usize| {
            self.tasks[number]
                .as_ref()
                .is_some_and(|running| state.runs(running.task.process, running.task.runtime))
        };
        let count = ready.iter().filter(|&&number| runs(&state, number)).count();
        if count == 0 {
            return None;
        }
        let chosen = state.rng.index(count);
        let at = ready
            .iter()
            .enumerate()
            .filter(|&(_, &number)| runs(&state, number))
            .nth(chosen)
            .map(|(at, _)| at)?;
        Some(ready[at])
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Task> {
        self.tasks[number].as_ref().map(|running| &running.task)
    }

    pub(crate) fn poll(&mut self, number: usize) {
        self.ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|&other| other != number);
        let Some(running) = &mut self.tasks[number] else {
            return;
        };
        running.token.queued.store(false, Relaxed);
        let work = running.task.work.as_mut();
        let done = work
            .poll(&mut Context::from_waker(&running.waker))
            .is_ready();
        if done {
            self.tasks[number] = None;
        }
    }

    /// Removes all tasks of a kind, so that the caller can drop them.
    pub(crate) fn take(&mut self, which: impl Fn(&Task) -> bool) -> Vec<Task> {
        let taken = self
            .tasks
            .iter_mut()
            .filter(|slot| slot.as_ref().is_some_and(|running| which(&running.task)));
        taken
            .filter_map(|slot| slot.take().map(|running| running.task))
            .collect()
    }
}

/// A call's future that may be dropped before its end, as when its task is cancelled. It returns
/// `None` then.
pub(crate) struct Cancelling<F> {
    work: Option<Pin<Box<F>>>,
    plan: Option<Cancel>,
    polls: u64,
    sleep: Option<Pin<Box<Sleep>>>,
    world: Arc<World>,
    process: usize,
    call: usize,
}

impl<F> Cancelling<F> {
    pub(crate) fn new(
        work: F,
        plan: Option<Cancel>,
        world: Arc<World>,
        process: usize,
        call: usize,
    ) -> Self {
        Self {
            work: Some(Box::pin(work)),
            plan,
            polls: 0,
            sleep: None,
            world,
            process,
            call,
        }
    }
}

impl<F: Future> Future for Cancelling<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.world.state().call_is_polled(this.call);
        let over = this
            .sleep
            .as_mut()
            .is_some_and(|sleep| sleep.as_mut().poll(context).is_ready());
        if !over {
            let Some(work) = &mut this.work else {
                return Poll::Ready(None);
            };
            if let Poll::Ready(result) = work.as_mut().poll(context) {
                return Poll::Ready(Some(result));
            }
            this.polls += 1;
            match this.plan {
                Some(Cancel { polls, after }) if polls == this.polls && after > 0 => {
                    let mut sleep = Box::pin(Sleep::new(&this.world, this.process, after));
                    let _ = sleep.as_mut().poll(context);
                    this.sleep = Some(sleep);
                    return Poll::Pending;
                }
                Some(Cancel { polls, after: 0 }) if polls == this.polls => {}
                _ => return Poll::Pending,
            }
        }
        this.work = None;
        Poll::Ready(None)
    }
}
