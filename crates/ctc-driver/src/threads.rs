//! Blocking work on a thread of its own.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener, Listener};
use tracing::{Span, dispatcher};

/// Work that another thread does. It goes on when this is dropped, and its result is lost.
pub(crate) struct Working<R> {
    shared: Arc<Shared<R>>,
    ended: EventListener,
}

struct Shared<R> {
    result: Mutex<Option<thread::Result<R>>>,
    ended: Event,
}

/// Does `work` on a thread of its own, within the caller's span.
pub(crate) fn on_thread<R: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<Working<R>> {
    let shared = Arc::new(Shared {
        result: Mutex::new(None),
        ended: Event::new(),
    });
    let ended = shared.ended.listen();
    let there = Arc::clone(&shared);
    let (span, subscriber) = (Span::current(), dispatcher::get_default(Clone::clone));
    let work = move || dispatcher::with_default(&subscriber, || span.in_scope(work));
    let work = move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        *there.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        there.ended.notify(usize::MAX);
    };
    thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(Working { shared, ended })
}

impl<R> Working<R> {
    /// Returns what the work returned, or its panic: for tasks.
    pub(crate) async fn ended(self) -> thread::Result<R> {
        self.ended.await;
        result(&self.shared)
    }

    /// As [`ended`](Self::ended), for threads. `None` if the work is not done within `limit`.
    pub(crate) fn ended_within(self, limit: Duration) -> Option<thread::Result<R>> {
        self.ended.wait_timeout(limit)?;
        Some(result(&self.shared))
    }
}

/// Does `work` on this thread, which sleeps while the work is pending. Returns whether it was done
/// within `limit`.
pub(crate) fn wait_within(
    limit: Duration,
    mut work: Pin<Box<dyn Future<Output = ()> + Send + '_>>,
) -> bool {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let began = Instant::now();
    loop {
        if work
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            return true;
        }
        let left = limit.saturating_sub(began.elapsed());
        if left.is_zero() {
            return false;
        }
        thread::park_timeout(left);
    }
}

fn result<R>(shared: &Shared<R>) -> thread::Result<R> {
    let result = &mut *shared.result.lock().unwrap_or_else(PoisonError::into_inner);
    result.take().expect("there is a result before the event")
}
