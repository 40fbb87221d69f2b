//! One session for many callers: what drivers use. The lock, waiting, events.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use ctc_core::{
    Denial, Endpoint, FormBody, Instant, OpenRecord, Pass, Session, Unauthorized, Wait,
};

use super::calls::Published;
use super::keys::Keyring;
use super::store_view::StoreView;
use super::sync::{EventListener, MutexGuard, Ordering, lock};
use super::{SharedSession, State};
use crate::error::{CallError, Denied};
use crate::events::{SessionEvent, Who};
use crate::limiter::LoginLimiter;
use crate::ports::{Incoming, StoreError, TransportError};
use crate::threads;

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
            if self.lock().running_logins[until as usize] == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Changes the session under the lock, publishes what came of it, and wakes the callers that
    /// wait for it.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut Session, Instant) -> R) -> R {
        let now = self.now();
        let state = self.lock();
        let mut locked = Locked {
            shared: self,
            epoch: state.session.epoch(),
            state: Some(state),
            now,
        };
        let state = locked.state.as_mut().expect("locked until dropped");
        change(&mut state.session, now)
    }

    pub(crate) fn denied(&self, denial: Denial) -> Denied {
        self.tell(SessionEvent::CallDenied { denial: &denial });
        // Another process may have caused it just as well.
        let login_error = lock(&self.0.login_error).clone();
        let source = login_error.and_then(|(of, error)| (of == denial).then_some(error));
        let retry_after = denial.retry_after(self.now());
        Denied::new(denial, retry_after).with_source(source)
    }

    /// Ends a call that may not be sent. "Denied" says that nothing was: a call that waits for its
    /// second request gets its 401.
    pub(crate) fn deny<R: Incoming, E: TransportError>(
        &self,
        denial: Denial,
        unauthorized: Option<R>,
    ) -> Result<R, CallError<E>> {
        let Some(mut response) = unauthorized else {
            return Err(self.denied(denial).into());
        };
        self.attach_reason(&mut response, Unauthorized::no_login(denial));
        Ok(response)
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
        let first = self.0.store_view.mark_down();
        self.tell(SessionEvent::StoreFailed {
            operation,
            error,
            first,
        });
    }

    /// Counts an event, and tells `tracing` and the observer. No lock is held meanwhile. A panic of
    /// any of them ends here: it must not cost a caller its response, or all callers a login. (The
    /// panic hook has reported it.)
    pub(crate) fn tell(&self, event: SessionEvent<'_>) {
        let tell = || {
            event.trace(self.who(), &self.0.counters);
            let observer = lock(&self.0.observer).clone();
            if let Some(observer) = observer {
                observer.on_event(self, &event);
            }
        };
        let _ = catch_unwind(AssertUnwindSafe(tell));
    }

    /// Returns whether this thread is running the steps of a login of this session.
    pub(crate) fn is_inside_login(&self) -> bool {
        threads::is_inside_login(self.0.number)
    }

    pub(crate) fn limiter(&self) -> Option<&LoginLimiter> {
        self.0.limiter.get()
    }

    pub(crate) fn who(&self) -> Who<'_> {
        Who {
            number: self.0.number,
            label: self.label(),
        }
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

/// How far the logins in progress are to get.
#[derive(Clone, Copy)]
pub(crate) enum LoginEnd {
    /// Until their tokens are saved.
    Saved,
    /// Until their orphans are logged out, too.
    LoggedOut,
}

/// A login in progress, until it gets as far as this.
pub(crate) struct RunningLogin(SharedSession, LoginEnd);

impl RunningLogin {
    pub(crate) fn new(session: &SharedSession, until: LoginEnd) -> Self {
        session.lock().running_logins[until as usize] += 1;
        Self(session.clone(), until)
    }
}

impl Drop for RunningLogin {
    fn drop(&mut self) {
        self.0.lock().running_logins[self.1 as usize] -= 1;
        self.0.wake();
    }
}
