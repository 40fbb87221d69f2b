//! Small stand-ins for `arc-swap` and `event-listener`. What is shown with them is that *our use*
//! of those crates misses no change; the crates themselves have tests of their own.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use shuttle::sync::Mutex;

pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

pub(crate) struct Loaded<T>(Option<Arc<T>>);

impl<T> ArcSwapOption<T> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Loaded<T> {
        Loaded(self.0.lock().expect("no panic").clone())
    }

    pub(crate) fn store(&self, next: Option<Arc<T>>) {
        *self.0.lock().expect("no panic") = next;
    }
}

impl<T> Deref for Loaded<T> {
    type Target = Option<Arc<T>>;

    fn deref(&self) -> &Option<Arc<T>> {
        &self.0
    }
}

/// Wakes all that listened before.
pub(crate) struct Event(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    notified: u64,
    wakers: Vec<Waker>,
}

pub(crate) struct EventListener {
    inner: Arc<Inner>,
    since: u64,
}

impl Event {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn listen(&self) -> EventListener {
        let since = self.0.state.lock().expect("no panic").notified;
        EventListener {
            inner: Arc::clone(&self.0),
            since,
        }
    }

    pub(crate) fn notify(&self, _: usize) {
        let wakers = {
            let mut state = self.0.state.lock().expect("no panic");
            state.notified += 1;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Future for EventListener {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.inner.state.lock().expect("no panic");
        if state.notified != self.since {
            return Poll::Ready(());
        }
        state.wakers.push(context.waker().clone());
        Poll::Pending
    }
}
