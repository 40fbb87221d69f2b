//! Blocking work on a thread of its own.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use event_listener::Event;
use tracing::{Span, dispatcher};

/// Does `work` on a thread of its own, within the caller's span. Returns a future of what it
/// returns, or of its panic. The work goes on if that future is dropped, and its result is lost.
pub(crate) fn on_thread<R: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<impl Future<Output = thread::Result<R>> + Send> {
    let place = Arc::new((Mutex::new(None), Event::new()));
    let ended = place.1.listen();
    let there = Arc::clone(&place);
    let (span, subscriber) = (Span::current(), dispatcher::get_default(Clone::clone));
    let work = move || dispatcher::with_default(&subscriber, || span.in_scope(work));
    let work = move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        *there.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        there.1.notify(usize::MAX);
    };
    thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(async move {
        ended.await;
        let result = place
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        result.expect("there is a result before the event")
    })
}

/// Runs `work` to its end on this thread.
#[cfg(not(shuttle))]
pub(crate) fn block_on<R>(work: impl Future<Output = R>) -> R {
    use std::task::{Context, Poll, Wake, Waker};

    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut work = std::pin::pin!(work);
    loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(shuttle)]
pub(crate) use shuttle::future::block_on;
