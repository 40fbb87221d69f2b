//! One session for many callers: the lock, the published pass, and the waiting.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use ctc_core::{
    Admit, Call, Credentials, Denial, Endpoint, Pass, Phase, RecordKey, Route, Session,
    SessionRecord, Settings, StampError, Verdict, Wait,
};
use futures_util::future::{BoxFuture, WeakShared};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};

use crate::clock::{Clock, SystemClock};
use crate::counters::{Counters, Counts};
use crate::error::Denied;
use crate::events::{Observer, SessionEvent};
use crate::pending::{NotAdmitted, Observation, Panic, SharedLogin};
use crate::ports::{Outgoing, stamp};
use crate::saving::StoreView;
use crate::sharded::Sharded;
use crate::store::StoreError;
use crate::sync::{
    ArcSwapOption, AtomicBool, Condvar, Event, EventListener, Mutex, MutexGuard, Ordering,
};

/// One session, shared: cloning gives another handle to the same session.
///
/// While the session is open a call takes no lock: the current pass is published by an atomic swap.
/// No lock is ever held while anybody does I/O.
#[derive(Clone)]
pub struct SharedSession(Arc<Inner>);

struct Inner {
    /// The session's, which never changes: to be read without its lock.
    endpoint: Endpoint,
    /// The pass that calls go out with while the session is open, in memory of its own for each
    /// lane.
    published: ArcSwapOption<Sharded<Pass>>,
    /// Whether every response is worth a look; see [`Session::needs_every_response`].
    needs_every_response: AtomicBool,
    session: Mutex<Session>,
    flight: Mutex<Option<WeakShared<BoxFuture<'static, Option<Panic>>>>>,
    /// The transport's error of a login, and the denial that came of it: for those who only hear
    /// of that one.
    login_error: Mutex<Option<(Denial, Arc<dyn Error + Send + Sync>)>>,
    /// Who waits for another epoch. Threads leave a condition variable sooner than an event, by
    /// the thousand.
    waiting_tasks: Event,
    waiting_threads: Condvar,
    store_view: StoreView,
    counters: Counters,
    observer: Mutex<Option<Arc<dyn Observer>>>,
    number: u64,
    clock: Arc<dyn Clock>,
}

/// Of the session that is made next in this process.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl SharedSession {
    /// Shares `session`, on this machine's clock.
    pub fn new(session: Session) -> Self {
        Self::with_clock(session, SystemClock)
    }

    /// Shares `session`, on a clock of your own: for tests in virtual time.
    pub fn with_clock(session: Session, clock: impl Clock + 'static) -> Self {
        Self(Arc::new(Inner {
            endpoint: session.endpoint().clone(),
            published: ArcSwapOption::empty(),
            needs_every_response: AtomicBool::new(false),
            session: Mutex::new(session),
            flight: Mutex::new(None),
            login_error: Mutex::new(None),
            waiting_tasks: Event::new(),
            waiting_threads: Condvar::new(),
            store_view: StoreView::default(),
            counters: Counters::new(),
            observer: Mutex::default(),
            number: NEXT_NUMBER.fetch_add(1, Relaxed),
            clock: Arc::new(clock),
        }))
    }

    /// Where the session stands.
    pub fn phase(&self) -> Phase {
        let now = self.now();
        self.lock().phase(now)
    }

    /// What it did so far.
    pub fn counts(&self) -> Counts {
        self.0.counters.snapshot()
    }

    /// The number of this session in this process, counted from 1: the field `session` of its
    /// events.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Whom to tell what happens to this session, in place of whoever was told before.
    pub fn set_observer(&self, observer: impl Observer + 'static) {
        *self
            .0
            .observer
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(observer));
    }

    /// What its record is filed under in a store.
    pub fn record_key(&self) -> RecordKey {
        self.lock().record_key()
    }

    /// The session as a store keeps it.
    pub fn record(&self) -> SessionRecord {
        let (now, wall) = (self.now(), self.wall());
        self.lock().record(now, wall)
    }

    /// The origin that it is bound to.
    pub fn endpoint(&self) -> Endpoint {
        self.0.endpoint.clone()
    }

    pub(crate) fn bound_to(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        self.lock().settings().clone()
    }

    /// See [`Session::set_credentials`].
    pub fn set_credentials(&self, credentials: Credentials) -> bool {
        let changed = self.with(|session, _| session.set_credentials(credentials));
        if changed {
            self.tell(SessionEvent::CredentialsReplaced);
        }
        changed
    }

    /// See [`Session::reset`].
    pub fn reset(&self) {
        self.with(|session, _| session.reset());
        self.tell(SessionEvent::Reset);
    }

    /// See [`Session::close`].
    pub fn close(&self) {
        self.with(|session, _| session.close());
        self.tell(SessionEvent::Closed);
    }

    /// See [`Session::reopen`].
    pub fn reopen(&self) {
        self.with(|session, _| session.reopen());
        self.tell(SessionEvent::Reopened);
    }

    /// The path of a call while the session is open: stamps the request with the published pass,
    /// without a lock, a clock or an allocation. `false` when there is none: then
    /// [`admit`](Self::admit).
    ///
    /// # Errors
    /// [`StampError`], and then the request is untouched.
    #[inline]
    pub fn try_stamp<R: Outgoing>(
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

    /// Whether a request may go out at all: asked before a login is spent on it.
    pub(crate) fn check_origin<R: Outgoing>(&self, request: &R) -> Result<(), StampError> {
        let endpoint = &self.0.endpoint;
        if endpoint.is_origin_of(request.target()) {
            return Ok(());
        }
        Err(StampError::ForeignOrigin {
            endpoint: endpoint.origin().to_owned(),
        })
    }

    /// See [`Session::admit`]. For tests and measurements: the login that it may hand out is made
    /// by drivers only.
    #[doc(hidden)]
    pub fn admit(&self, call: &mut Call) -> Admit {
        self.with(|session, now| session.admit(call, now))
    }

    /// See [`Session::observe`]. Takes the lock only when the response can matter to the session.
    #[inline]
    pub fn observe(
        &self,
        call: &mut Call,
        route: impl FnOnce() -> Route,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Verdict {
        self.observe_answer(call, route, status, headers).verdict
    }

    /// Waits until the session's epoch differs from the one in `wait`, or its deadline has passed:
    /// for threads. Whether it differs.
    #[doc(hidden)]
    pub fn wait(&self, wait: Wait) -> bool {
        let limit = wait.deadline.saturating_duration_since(self.now());
        let same = |session: &mut Session| session.epoch() == wait.epoch;
        let waited = self
            .0
            .waiting_threads
            .wait_timeout_while(self.lock(), limit, same);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// As [`observe`](Self::observe), and whether there is something to be saved.
    #[inline]
    pub(crate) fn observe_answer(
        &self,
        call: &mut Call,
        route: impl FnOnce() -> Route,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Observation {
        // By a walk, which for few headers costs less than to look a name up; and once for all who
        // ask.
        let sets_cookies = headers.keys().any(|name| name == SET_COOKIE);
        let may_be_news = sets_cookies || status == StatusCode::UNAUTHORIZED;
        let needs_every_response =
            self.0.needs_every_response.load(Ordering::Acquire) || call.was_replayed();
        let verdict =
            if needs_every_response || (may_be_news && Session::affects_session(status, headers)) {
                self.observe_closely(call, route(), status, headers)
            } else {
                Verdict::Deliver
            };
        Observation {
            verdict,
            unsaved: self.0.store_view.has_unsaved(),
            sets_cookies,
        }
    }

    fn observe_closely(
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
                self.tell(SessionEvent::TokenInvalidated { generation, status })
            }
            _ => {}
        }
        if status == StatusCode::UNAUTHORIZED {
            self.0.counters.unauthorized.count();
        }
        match &verdict {
            Verdict::Deliver => {}
            Verdict::Unauthorized(why) => self.tell(SessionEvent::UnauthorizedDelivered { why }),
            Verdict::Replay => {
                self.0.counters.replays.count();
                self.tell(SessionEvent::CallReplayed);
            }
        }
        verdict
    }

    /// A listener for the end of `wait`, or `None` when that has come already.
    pub(crate) fn listen(&self, wait: Wait) -> Option<EventListener> {
        // Listen first, look second: a change in between is then never missed.
        let listener = self.0.waiting_tasks.listen();
        (self.lock().epoch() == wait.epoch).then_some(listener)
    }

    /// A listener for any change at all.
    pub(crate) fn listen_to_any_change(&self) -> EventListener {
        self.0.waiting_tasks.listen()
    }

    /// Asks for leave and, in one step with it, lets the elected caller publish its flight or all
    /// others find it.
    pub(crate) fn admit_with_flight(
        &self,
        ask: impl FnOnce(&mut Session, Instant) -> Admit,
        begin: impl FnOnce(Box<ctc_core::LoginOrder>) -> SharedLogin,
    ) -> Result<(), NotAdmitted> {
        let mut slot = self.0.flight.lock().unwrap_or_else(PoisonError::into_inner);
        match self.with(ask) {
            Admit::Proceed(_) => Ok(()),
            Admit::Deny(denial) => Err(NotAdmitted::Denied(denial)),
            Admit::Login(order) => {
                let flight = begin(order);
                *slot = flight.downgrade();
                Err(NotAdmitted::Attempt { flight, wait: None })
            }
            Admit::Wait(wait) => match slot.as_ref().and_then(WeakShared::upgrade) {
                Some(flight) if flight.peek().is_none() => Err(NotAdmitted::Attempt {
                    flight,
                    wait: Some(wait),
                }),
                // The leader is a thread, in the blocking driver.
                _ => Err(NotAdmitted::Wait(wait)),
            },
        }
    }

    /// Changes the session under the lock, publishes what came of it, and wakes who waits for it.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut Session, Instant) -> R) -> R {
        let now = self.now();
        let mut session = self.lock();
        let epoch = session.epoch();
        let result = change(&mut session, now);
        self.publish(&session);
        let woken = session.epoch() != epoch;
        drop(session);
        if woken {
            self.0.waiting_tasks.notify(usize::MAX);
            self.0.waiting_threads.notify_all();
        }
        result
    }

    pub(crate) fn denied(&self, denial: Denial) -> Denied {
        self.0.counters.denied.count();
        self.tell(SessionEvent::CallDenied { denial: &denial });
        // Another process may have caused it just as well.
        let source = self
            .login_error()
            .clone()
            .and_then(|(of, error)| (of == denial).then_some(error));
        let retry_after = denial.retry_after(self.now());
        Denied::new(denial, retry_after).with_source(source)
    }

    /// Called before anybody hears of the denial.
    pub(crate) fn set_login_error(&self, denial: Denial, error: Arc<dyn Error + Send + Sync>) {
        *self.login_error() = Some((denial, error));
    }

    /// The session is closed at once. Returns what it was, for the store, and the request that
    /// tells the server.
    pub(crate) fn log_out(&self) -> (SessionRecord, Option<http::Request<ctc_core::FormBody>>) {
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

    /// Tells `tracing` and the observer. No lock is held meanwhile.
    pub(crate) fn tell(&self, event: SessionEvent<'_>) {
        event.trace(self.0.number);
        let observer = self
            .0
            .observer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(observer) = observer {
            observer.on_event(&event);
        }
    }

    pub(crate) fn store_view(&self) -> &StoreView {
        &self.0.store_view
    }

    /// As [`tell`](Self::tell), for what is told from a `drop`. An observer that panics there too,
    /// while its first panic unwinds, would abort the process.
    pub(crate) fn tell_while_dropping(&self, event: SessionEvent<'_>) {
        // The panic hook has said it already.
        let _ = catch_unwind(AssertUnwindSafe(|| self.tell(event)));
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn now(&self) -> Instant {
        self.0.clock.now()
    }

    pub(crate) fn wall(&self) -> std::time::SystemTime {
        self.0.clock.wall()
    }

    fn publish(&self, session: &Session) {
        self.0
            .needs_every_response
            .store(session.needs_every_response(), Ordering::Release);
        let next = session.pass();
        let current = self.0.published.load();
        let current = current
            .as_ref()
            .map(|published| published.local().generation());
        if current != next.map(Pass::generation) {
            let next = next.map(|pass| Sharded::new(|| pass.deep_clone()));
            self.0.published.store(next.map(Arc::new));
        }
    }

    /// A panic elsewhere cannot leave the session half changed: its methods do not panic.
    fn lock(&self) -> MutexGuard<'_, Session> {
        self.0
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn login_error(&self) -> MutexGuard<'_, Option<(Denial, Arc<dyn Error + Send + Sync>)>> {
        self.0
            .login_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SharedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSession")
            .field("phase", &self.phase())
            .field("counts", &self.counts())
            .finish()
    }
}
