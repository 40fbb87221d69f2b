//! One session for many callers: what drivers use. The lock, the published pass, and the waiting.

use std::cell::RefCell;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::SystemTime;

use ctc_core::{
    Call, Denial, Endpoint, FormBody, Instant, OpenRecord, Pass, Route, Session, StampError,
    Unauthorized, Verdict, Wait,
};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};

use super::counters::Counters;
use super::keys::Keyring;
use super::sharded::Sharded;
use super::store_view::StoreView;
use super::sync::{EventListener, MutexGuard, Ordering, thread_local};
use super::{SharedSession, State};
use crate::error::Denied;
use crate::events::SessionEvent;
use crate::options::CallOptions;
use crate::ports::{Incoming, Outgoing, ReplayCopy, StoreError, mark_cookies_sensitive, stamp};

/// The current pass, in memory of its own for each core: stamping clones its header values, and
/// cores would fight over their reference counts.
pub(super) struct Published {
    pass: Pass,
    /// Made when first used: a rotated token must not cost its caller a copy for every core.
    copies: Sharded<OnceLock<Pass>>,
}

impl Published {
    fn new(pass: Pass) -> Self {
        Self {
            pass,
            copies: Sharded::new(OnceLock::new),
        }
    }

    #[inline]
    fn local(&self) -> &Pass {
        match self.copies.local().get() {
            Some(pass) => pass,
            None => self.copy(),
        }
    }

    #[cold]
    fn copy(&self) -> &Pass {
        self.copies.local().get_or_init(|| self.pass.deep_clone())
    }
}

/// What a response meant.
pub(crate) struct Observation {
    pub(crate) verdict: Verdict,
    /// There is something that a store should know of, such as a new token in the response.
    pub(crate) unsaved: bool,
}

/// What the driver holds of a request that is out.
pub(crate) enum SentRequest<R: Outgoing> {
    /// All that it takes to send it a second time.
    Replayable(R::ReplayCopy),
    /// The route of one that is not sent a second time.
    Once(Route),
}

impl<R: Outgoing> SentRequest<R> {
    // Inlined, so that what is held is made where it stays: it is large, and moving it shows.
    #[inline(always)]
    pub(crate) fn of(request: &R, options: &CallOptions) -> Self {
        if options.may_replay(request.method())
            && let Some(copy) = request.replay_copy()
        {
            return Self::Replayable(copy);
        }
        Self::Once(request.route())
    }

    fn route(&self) -> Route {
        match self {
            Self::Replayable(copy) => copy.route(),
            Self::Once(route) => *route,
        }
    }

    pub(crate) fn into_request(self) -> Option<R> {
        match self {
            Self::Replayable(copy) => Some(copy.into_request()),
            Self::Once(_) => None,
        }
    }
}

impl SharedSession {
    /// Makes a request ready to be sent. While there is no token it returns `false`: the request
    /// may go out after the call was admitted.
    #[inline]
    pub(crate) fn stamp_for_sending<R: Outgoing>(
        &self,
        call: &mut Call,
        request: &mut R,
        sent: &SentRequest<R>,
    ) -> Result<bool, StampError> {
        call.set_replayable(matches!(sent, SentRequest::Replayable(_)));
        if self.try_stamp(call, request)? {
            self.counters().calls.count();
            if call.was_replayed() {
                self.counters().replays.count();
                self.tell(SessionEvent::CallReplayed);
            }
            return Ok(true);
        }
        // A request that can never be stamped must not cost a login first.
        if self.0.endpoint.is_origin_of(request.target()) {
            return Ok(false);
        }
        Err(StampError::ForeignOrigin {
            endpoint: self.0.endpoint.origin().to_owned(),
        })
    }

    /// The path of a call while the session is open: stamps the request with the published pass,
    /// without a lock, a clock or an allocation.
    #[inline]
    pub(crate) fn try_stamp<R: Outgoing>(
        &self,
        call: &mut Call,
        request: &mut R,
    ) -> Result<bool, StampError> {
        let published = self.0.published.load();
        let Some(published) = &*published else {
            return Ok(false);
        };
        let pass = published.local();
        stamp(pass, request)?;
        call.carry(pass.generation());
        Ok(true)
    }

    /// Asks what the response to a call means, and marks its cookies as sensitive.
    #[inline]
    pub(crate) fn observe<R: Outgoing>(
        &self,
        call: &mut Call,
        sent: &SentRequest<R>,
        response: &mut impl Incoming,
    ) -> Observation {
        // A walk costs less than a look-up in a map of a few headers.
        let sets_cookies = response.headers().keys().any(|name| name == SET_COOKIE);
        let (status, headers) = (response.status(), response.headers());
        let verdict = self.judge(call, || sent.route(), status, headers, sets_cookies);
        if sets_cookies {
            mark_cookies_sensitive(response.headers_mut());
        }
        Observation {
            verdict,
            unsaved: self.0.store_view.has_unsaved(),
        }
    }

    /// Takes the lock only if the response can matter to the session.
    #[inline]
    pub(crate) fn judge(
        &self,
        call: &mut Call,
        route: impl FnOnce() -> Route,
        status: StatusCode,
        headers: &HeaderMap,
        sets_cookies: bool,
    ) -> Verdict {
        let may_matter = sets_cookies || status == StatusCode::UNAUTHORIZED;
        if call.was_replayed()
            || self.0.needs_every_response.load(Ordering::Acquire)
            || (may_matter && Session::affects_session(status, headers))
        {
            self.observe_locked(call, route(), status, headers)
        } else {
            Verdict::Deliver
        }
    }

    fn observe_locked(
        &self,
        call: &mut Call,
        route: Route,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Verdict {
        let (verdict, before, after) = self.with(|session, now| {
            let before = session.pass().map(Pass::generation);
            let verdict = session.observe(call, route, status, headers, now);
            (verdict, before, session.pass().map(Pass::generation))
        });
        match (before, after) {
            (_, Some(generation)) if after != before => {
                self.0.store_view.note_unsaved();
                self.0.counters.rotations.count();
                self.tell(SessionEvent::TokenRotated { generation });
            }
            (Some(generation), None) => {
                let unchallenged = self.with(|session, _| session.lacks_challenge(headers));
                self.tell(SessionEvent::TokenInvalidated {
                    generation,
                    status,
                    unchallenged,
                });
            }
            _ => {}
        }
        if status == StatusCode::UNAUTHORIZED {
            self.0.counters.unauthorized.count();
        }
        verdict
    }

    /// Leaves the reason of a 401 that is about to be delivered where the caller finds it.
    pub(crate) fn attach_reason(&self, response: &mut impl Incoming, why: Unauthorized) {
        self.tell(SessionEvent::UnauthorizedDelivered { why: &why });
        response.extensions_mut().insert(why);
    }

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
        let login_error = self.login_error().clone();
        let source = login_error.and_then(|(of, error)| (of == denial).then_some(error));
        let retry_after = denial.retry_after(self.now());
        Denied::new(denial, retry_after).with_source(source)
    }

    /// Keeps the error that a denial came of, if there is one, and leaves the previous one in its
    /// place. Called under the session's lock, before anybody hears of the denial; errors are
    /// dropped outside of it.
    pub(crate) fn swap_login_error(
        &self,
        denial: &Denial,
        error: &mut Option<Arc<dyn Error + Send + Sync>>,
    ) {
        if let Some(new) = error.take() {
            *error = self
                .login_error()
                .replace((denial.clone(), new))
                .map(|(_, previous)| previous);
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
            let observer = self
                .0
                .observer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
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
        // A call without a pass asks for one, and hears of the renewal.
        let next = session.pass().filter(|_| !session.renewal_is_due(now));
        let current = self.0.published.load();
        let current = current
            .as_ref()
            .map(|published| published.pass.generation());
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
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn login_error(&self) -> MutexGuard<'_, Option<(Denial, Arc<dyn Error + Send + Sync>)>> {
        self.0
            .login_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        // Wakers run code of others: not under the lock.
        drop(state);
        if changed {
            self.shared.wake();
        }
        if let Some(time) = alarm {
            self.shared.set_alarm(time);
        }
    }
}

/// How far to wait for the logins that drivers are making.
#[derive(Clone, Copy)]
pub(crate) enum LoginEnd {
    /// Until the store has what they brought.
    Saved,
    /// Until a token that nobody wants is logged out, too.
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

/// A login that a driver is making, from its election to its end.
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

    /// The store has what it brought.
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
    /// The sessions whose logins this thread is in the middle of.
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
    /// Returns whether this thread is in the middle of a login of this session.
    pub(crate) fn is_inside_login(&self) -> bool {
        LOGINS_HERE.with(|logins| logins.borrow().contains(&self.0.number))
    }
}
