//! One session for many callers: what drivers use. The lock, waiting, events.

use std::cell::RefCell;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use ctc_core::{Denial, Endpoint, FormBody, Instant, OpenRecord, Pass, Session, Wait};

use super::calls::Published;
use super::counters::Counters;
use super::keys::Keyring;
use super::store_view::StoreView;
use super::sync::{EventListener, MutexGuard, Ordering, lock, thread_local};
use super::{SharedSession, State};
use crate::error::Denied;
use crate::events::SessionEvent;
use crate::ports::StoreError;

impl SharedSession {
    /// Waits until the session's epoch differs from the one in `wait`, or its deadline has passed:
    /// for threads. Returns whether it differs.
    pub(crate) fn wait(&self, wait: Wait) -> bool {
        let limit = wait.deadline.saturating_duration_since(self.now());
        let is_same = |state: &mut State| state.session.epoch() == wait.epoch;
        let threads = &self.0.waiting_threads;
        let waited = threads.wait_timeout_while(self.lock(), limit, is_same);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Returns a listener for the next change: for tasks. Listen first, ask second: a change in
    /// between is then never missed.
    pub(crate) fn listen(&self) -> EventListener {
        self.0.waiting_tasks.listen()
    }

    /// Waits for the running logins: for tasks.
    pub(crate) async fn running_logins_end(&self, until: LoginEnd) {
        loop {
            let changed = self.listen();
            if self.lock().logins_before(until) == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Changes the session under the lock, publishes what came of it, and wakes the callers that
    /// wait for it.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut Session, Instant) -> R) -> R {
        let now = self.now();
        let mut locked = Locked::new(self, now);
        change(&mut locked.state().session, now)
    }

    pub(crate) fn denied(&self, denial: Denial) -> Denied {
        self.0.counters.denied.count();
        self.tell(SessionEvent::CallDenied { denial: &denial });
        // Another process may have caused it just as well.
        let login_error = lock(&self.0.login_error).clone();
        let source = login_error.and_then(|(of, error)| (of == denial).then_some(error));
        let retry_after = denial.retry_after(self.now());
        Denied::new(denial, retry_after).with_source(source)
    }

    /// Keeps the error that a denial came of, if there is one, and leaves the previous one in its
    /// place. Called under the session's lock, before anybody sees the denial; errors are
    /// dropped outside of it.
    pub(crate) fn swap_login_error(
        &self,
        denial: &Denial,
        error: &mut Option<Arc<dyn Error + Send + Sync>>,
    ) {
        if let Some(new) = error.take() {
            let previous = lock(&self.0.login_error).replace((denial.clone(), new));
            *error = previous.map(|(_, previous)| previous);
        }
    }

    /// Closes the session at once. Returns what it was, for the store, and the request that tells
    /// the server.
    pub(crate) fn log_out(&self) -> (OpenRecord, Option<http::Request<FormBody>>) {
        let wall = self.wall();
        let closed = self.with(|session, now| (session.record(now, wall), session.logout()));
        self.tell(SessionEvent::LoggedOut);
        closed
    }

    pub(crate) fn store_failed(&self, operation: &'static str, error: &StoreError) {
        self.0.counters.store_failures.count();
        let first = self.0.store_view.mark_down();
        self.tell(SessionEvent::StoreFailed {
            operation,
            error,
            first,
        });
    }

    /// Tells `tracing` and the observer. No lock is held meanwhile. A panic of either ends here: it
    /// must not cost a caller its response, or all callers a login. (The panic hook has reported
    /// it.)
    pub(crate) fn tell(&self, event: SessionEvent<'_>) {
        let tell = || {
            event.trace(self.who());
            let observer = lock(&self.0.observer).clone();
            if let Some(observer) = observer {
                observer.on_event(self, &event);
            }
        };
        let _ = catch_unwind(AssertUnwindSafe(tell));
    }

    pub(crate) fn bound_to(&self) -> &Endpoint {
        &self.0.endpoint
    }

    pub(crate) fn store_view(&self) -> &StoreView {
        &self.0.store_view
    }

    pub(crate) fn keys(&self) -> &Keyring {
        &self.0.keys
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn now(&self) -> Instant {
        self.0.clock.now()
    }

    pub(crate) fn wall(&self) -> SystemTime {
        self.0.clock.wall()
    }

    fn publish(&self, session: &Session, now: Instant) {
        self.0
            .needs_every_response
            .store(session.needs_every_response(), Ordering::Release);
        // A call without a pass takes the lock, and may be elected for the renewal.
        let next = session.pass().filter(|_| !session.renewal_is_due(now));
        let current = self.0.published.load();
        let current = current.as_ref().map(|published| published.generation());
        if current != next.map(Pass::generation) {
            self.0
                .published
                .store(next.map(|pass| Arc::new(Published::new(pass.clone()))));
        }
    }

    fn wake(&self) {
        self.0.waiting_tasks.notify(usize::MAX);
        self.0.waiting_threads.notify_all();
    }

    /// A panic elsewhere cannot leave the session half changed: its methods do not panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

/// The session under its lock. Publishes and wakes when it is dropped, so that it does when
/// something unwinds, too.
struct Locked<'a> {
    shared: &'a SharedSession,
    state: Option<MutexGuard<'a, State>>,
    epoch: ctc_core::Epoch,
    now: Instant,
}

impl<'a> Locked<'a> {
    fn new(shared: &'a SharedSession, now: Instant) -> Self {
        let state = shared.lock();
        let epoch = state.session.epoch();
        Self {
            shared,
            state: Some(state),
            epoch,
            now,
        }
    }

    fn state(&mut self) -> &mut State {
        self.state.as_mut().expect("locked until dropped")
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Some(mut state) = self.state.take() else {
            return;
        };
        self.shared.publish(&state.session, self.now);
        let changed = state.session.epoch() != self.epoch;
        let alarm = state.session.renewal_at(self.now);
        let alarm = alarm.filter(|time| *time > self.now && state.alarm.replace(*time) != alarm);
        // Wakers run foreign code: not under the lock.
        drop(state);
        if changed {
            self.shared.wake();
        }
        if let Some(time) = alarm {
            self.shared.set_alarm(time);
        }
    }
}

/// How long to wait for the logins in progress.
#[derive(Clone, Copy)]
pub(crate) enum LoginEnd {
    /// Until their tokens are saved.
    Saved,
    /// Until their orphans are logged out, too.
    LoggedOut,
}

impl State {
    fn logins_before(&self, end: LoginEnd) -> usize {
        match end {
            LoginEnd::Saved => self.unsaved_logins,
            LoginEnd::LoggedOut => self.running_logins,
        }
    }
}

/// A login in progress, from its election to its end.
pub(crate) struct RunningLogin {
    session: SharedSession,
    saved: bool,
}

impl RunningLogin {
    pub(crate) fn new(session: &SharedSession) -> Self {
        let mut state = session.lock();
        state.running_logins += 1;
        state.unsaved_logins += 1;
        Self {
            session: session.clone(),
            saved: false,
        }
    }

    /// Its token is saved.
    pub(crate) fn saved(&mut self) {
        if !std::mem::replace(&mut self.saved, true) {
            self.session.lock().unsaved_logins -= 1;
            self.session.wake();
        }
    }
}

impl Drop for RunningLogin {
    fn drop(&mut self) {
        self.saved();
        self.session.lock().running_logins -= 1;
        self.session.wake();
    }
}

thread_local! {
    /// The sessions whose login steps this thread is running.
    static LOGINS_HERE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Runs a login's steps. A call made from within them (by an observer, a store or an HTTP client)
/// would wait for itself: [`SharedSession::is_inside_login`] tells.
pub(crate) async fn inside_login<R>(session: &SharedSession, steps: impl Future<Output = R>) -> R {
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            LOGINS_HERE.with(|logins| logins.borrow_mut().pop());
        }
    }
    let number = session.number();
    let mut steps = pin!(steps);
    std::future::poll_fn(|context| {
        LOGINS_HERE.with(|logins| logins.borrow_mut().push(number));
        let _inside = Inside;
        steps.as_mut().poll(context)
    })
    .await
}

impl SharedSession {
    /// Returns whether this thread is running the steps of a login of this session.
    pub(crate) fn is_inside_login(&self) -> bool {
        LOGINS_HERE.with(|logins| logins.borrow().contains(&self.0.number))
    }
}
