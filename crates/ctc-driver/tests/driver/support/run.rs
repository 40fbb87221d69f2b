//! The smallest executor that can tell "waiting" from "running": it polls only what was woken.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ctc_driver::Runtime;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::clock::VirtualClock;

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

thread_local! {
    /// The tasks that this thread's virtual runtime runs.
    static SPAWNED: RefCell<Vec<BoxFuture<'static, ()>>> = const { RefCell::new(Vec::new()) };
    static IN_BLOCK_ON: Cell<bool> = const { Cell::new(false) };
}

/// A runtime in virtual time. Its tasks run while the thread that spawned them polls anything, or
/// on a thread of their own when that one parks in [`block_on`].
#[derive(Clone)]
pub(crate) struct Virtual(pub(crate) VirtualClock);

impl Runtime for Virtual {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        if IN_BLOCK_ON.get() {
            std::thread::spawn(|| block_on(task));
        } else {
            SPAWNED.with_borrow_mut(|spawned| spawned.push(task));
        }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let clock = self.0.clone();
        Box::pin(async move { clock.sleep(duration).await })
    }
}

/// Drops the tasks of this thread's virtual runtime, as one that shuts down does. Returns how many
/// there were.
pub(crate) fn shut_down() -> usize {
    let spawned = SPAWNED.take();
    spawned.len()
}

/// Polls the tasks of the virtual runtime. Returns whether one of them ended or came anew.
fn poll_spawned(context: &mut Context<'_>) -> bool {
    let mut tasks = SPAWNED.take();
    let before = tasks.len();
    tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
    let ended = tasks.len() != before;
    SPAWNED.with_borrow_mut(|spawned| {
        let anew = !spawned.is_empty();
        tasks.append(spawned);
        *spawned = tasks;
        ended || anew
    })
}

/// Polls `future`, and the tasks of the virtual runtime, for as long as somebody wakes them.
pub(crate) fn until_stalled<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut context = Context::from_waker(&waker);
    while flag.0.swap(false, SeqCst) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Poll::Ready(output);
        }
        while poll_spawned(&mut context) {}
    }
    Poll::Pending
}

/// Polls `future` once, and each task of the virtual runtime.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    let polled = future.poll(&mut context);
    poll_spawned(&mut context);
    polled
}

/// Runs the tasks of the virtual runtime, for as long as somebody wakes them.
pub(crate) fn run_spawned() {
    let nobody = std::pin::pin!(std::future::pending::<()>());
    assert!(until_stalled(nobody).is_pending());
}

/// Runs `future` to its end; where it waits for time, time passes.
pub(crate) fn run<F: Future>(clock: &VirtualClock, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = until_stalled(future.as_mut()) {
            return output;
        }
        assert!(
            clock.advance_to_next_timer(),
            "wedged: nobody will ever wake this task"
        );
    }
}

/// Runs `future` to its end in a thread of its own time: parks until it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let _inside = IN_BLOCK_ON.replace(true);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

/// Gives way once, so that there is a moment at which the task can be cancelled.
pub(crate) async fn give_way() {
    let mut gave = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Many tasks on one thread.
pub(crate) struct Tasks<T> {
    running: FuturesUnordered<BoxFuture<'static, T>>,
    pub(crate) done: Vec<T>,
}

impl<T> Tasks<T> {
    pub(crate) fn new() -> Self {
        Self {
            running: FuturesUnordered::new(),
            done: Vec::new(),
        }
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static) {
        self.running.push(task.boxed());
    }

    /// Polls all that were woken, until none is.
    pub(crate) fn run_until_stalled(&mut self) {
        loop {
            match until_stalled(std::pin::pin!(self.running.next())) {
                Poll::Ready(Some(output)) => self.done.push(output),
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.running.len()
    }

    /// All must be able to end without any time going by.
    pub(crate) fn finish(mut self) -> Vec<T> {
        self.run_until_stalled();
        assert_eq!(self.waiting(), 0, "wedged: these tasks are never woken");
        self.done
    }
}
