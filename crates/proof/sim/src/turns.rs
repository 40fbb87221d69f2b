//! Threads whose steps come in an order that the seed draws: a thread runs only while the world
//! polls the future that stands for it, and the world waits meanwhile.

use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::dispatcher;

/// How long the world waits for a thread, in real time: far longer than any step takes.
const STUCK: Duration = Duration::from_secs(30);

/// The right to run, which the world gives to a thread and gets back.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// Wakes the future that stands for the thread.
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The thread waits for something in virtual time, or has not begun.
    #[default]
    Rests,
    Runs,
    Over,
    /// Its future was dropped: the thread waits for nothing any more.
    Abandoned,
}

impl Turn {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        self.state().phase = phase;
        self.changed.notify_all();
    }

    /// Waits while the thread is in this phase, and returns the next one.
    fn wait_while(&self, is: impl Fn(Phase) -> bool) -> Phase {
        let state = self.state();
        let waited = self.changed.wait_while(state, |state| is(state.phase));
        waited.unwrap_or_else(PoisonError::into_inner).phase
    }

    /// Lets the thread run until it waits for virtual time. Returns whether it has ended.
    ///
    /// # Panics
    /// Panics if the thread waits for something else, which nobody in the world can end.
    fn give(&self, waker: &Waker) -> bool {
        self.state().waker = Some(waker.clone());
        self.set(Phase::Runs);
        let runs = |state: &mut State| state.phase == Phase::Runs;
        let waited = self.changed.wait_timeout_while(self.state(), STUCK, runs);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "a thread waits for real time");
        state.phase == Phase::Over
    }

    /// The thread's future was dropped. Returns once the thread has ended.
    fn abandon(&self) {
        let mut state = self.state();
        if state.phase != Phase::Over {
            state.phase = Phase::Abandoned;
            self.changed.notify_all();
            let is_left = |state: &mut State| state.phase == Phase::Abandoned;
            drop(self.changed.wait_timeout_while(state, STUCK, is_left));
        }
    }

    /// In the thread: waits for something of the world. `None` if the thread is abandoned.
    pub(crate) fn wait<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        loop {
            if self.wait_while(|phase| phase == Phase::Rests) == Phase::Abandoned {
                return None;
            }
            let waker = self.state().waker.clone();
            let waker = waker.as_ref().unwrap_or(Waker::noop());
            if let Poll::Ready(output) = work.as_mut().poll(&mut Context::from_waker(waker)) {
                return Some(output);
            }
            self.set(Phase::Rests);
        }
    }

    /// In the thread: the end of its work, panics included.
    pub(crate) fn until_end(&self) -> impl Drop + '_ {
        Ends(self)
    }
}

struct Ends<'a>(&'a Turn);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.set(Phase::Over);
    }
}

/// A future that another thread's work is part of: it gives that thread its turns.
pub(crate) struct Asking<F> {
    work: Pin<Box<F>>,
    turn: Arc<Turn>,
    has_begun: bool,
}

impl<F> Asking<F> {
    /// The first poll of `work` starts the thread, which ends with [`Turn::until_end`].
    pub(crate) fn new(work: F, turn: Arc<Turn>) -> Self {
        Self {
            work: Box::pin(work),
            turn,
            has_begun: false,
        }
    }
}

impl<F: Future> Future for Asking<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Woken by the world alone, or the moment would depend on the machine.
        let mut unwoken = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = self.work.as_mut().poll(&mut unwoken) {
                return Poll::Ready(output);
            }
            self.has_begun = true;
            if self.turn.state().phase == Phase::Over {
                // Its result is about to be there.
                thread::yield_now();
            } else if !self.turn.give(context.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl<F> Drop for Asking<F> {
    fn drop(&mut self) {
        if self.has_begun {
            self.turn.abandon();
        }
    }
}

/// Work that blocks, on a thread of its own.
pub(crate) struct OnThread<R> {
    turn: Arc<Turn>,
    work: Option<Box<dyn FnOnce() -> R + Send>>,
    thread: Option<JoinHandle<R>>,
}

impl<R> OnThread<R> {
    /// `turn` is of no other thread that runs.
    pub(crate) fn new(turn: &Arc<Turn>, work: impl FnOnce() -> R + Send + 'static) -> Self {
        turn.set(Phase::Rests);
        Self {
            turn: Arc::clone(turn),
            work: Some(Box::new(work)),
            thread: None,
        }
    }
}

impl<R: Send + 'static> Future for OnThread<R> {
    type Output = thread::Result<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(work) = self.work.take() {
            let turn = Arc::clone(&self.turn);
            let log = dispatcher::get_default(Clone::clone);
            self.thread = Some(thread::spawn(move || {
                let _end = turn.until_end();
                turn.wait(std::future::ready(()));
                dispatcher::with_default(&log, work)
            }));
        }
        if !self.turn.give(context.waker()) {
            return Poll::Pending;
        }
        let thread = self.thread.take();
        let result = thread.map(JoinHandle::join);
        Poll::Ready(result.unwrap_or_else(|| resume_unwind(Box::new("polled after its end"))))
    }
}

impl<R> Drop for OnThread<R> {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.turn.abandon();
        }
    }
}
