//! Blocking work on a thread of its own, and whether a thread is running a login.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use event_listener::Event;
use tracing::{Span, dispatcher};

use crate::session::sync::thread_local;

thread_local! {
    /// The numbers of the sessions whose login steps this thread is running.
    static LOGINS_HERE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Runs the steps of a login of the session with this number. A call made from within them (by an
/// observer, a store or an HTTP client) would wait for itself: [`is_inside_login`] tells.
pub(crate) fn inside_login<R>(
    session: u64,
    mut steps: Pin<Box<impl Future<Output = R>>>,
) -> impl Future<Output = R> {
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            LOGINS_HERE.with(|logins| logins.borrow_mut().pop());
        }
    }
    std::future::poll_fn(move |context| {
        LOGINS_HERE.with(|logins| logins.borrow_mut().push(session));
        let _inside = Inside;
        steps.as_mut().poll(context)
    })
}

/// Returns whether this thread is running the steps of a login of the session with this number.
pub(crate) fn is_inside_login(session: u64) -> bool {
    LOGINS_HERE.with(|logins| logins.borrow().contains(&session))
}

/// Does `work` on a thread of its own, within the caller's span and logins. Returns a future of
/// what it returns, or of its panic. The work goes on if that future is dropped, and its result is
/// lost.
pub(crate) fn on_thread<R: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<impl Future<Output = thread::Result<R>> + Send> {
    let place = Arc::new((Mutex::new(None), Event::new()));
    let ended = place.1.listen();
    let there = Arc::clone(&place);
    let (span, subscriber) = (Span::current(), dispatcher::get_default(Clone::clone));
    let work = move || dispatcher::with_default(&subscriber, || span.in_scope(work));
    let logins = LOGINS_HERE.with(|logins| logins.borrow().clone());
    let work = move || {
        LOGINS_HERE.with(|here| *here.borrow_mut() = logins);
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
