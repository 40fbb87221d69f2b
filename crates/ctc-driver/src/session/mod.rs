//! One session for many callers: what its users see. What drivers use is in `driving.rs`.

mod alarm;
mod calls;
pub(crate) mod counters;
mod driving;
pub(crate) mod keys;
pub(crate) mod sharded;
pub(crate) mod store_view;
pub(crate) mod sync;

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use ctc_core::{
    Credentials, Denial, Endpoint, Instant, OpenRecord, Pass, Phase, RecordKey, Session, Settings,
    UnprotectedToken,
};

pub(crate) use calls::SentRequest;
pub(crate) use driving::{LoginEnd, RunningLogin};

use crate::clock::{Clock, SystemClock};
use crate::events::SessionEvent;
use crate::limiter::LoginLimiter;
use crate::ports::credentials::Source;
use crate::ports::{AsyncCredentialsSource, CredentialsSource};
use calls::Published;
use counters::{Counters, Counts};
use keys::Keyring;
use store_view::StoreView;
use sync::{ArcSwapOption, AtomicBool, Condvar, Event, Mutex, lock};

/// One session, shared: cloning gives another handle to the same session.
///
/// While the session is open a call takes no lock: the current pass is published by an atomic swap.
/// No lock is held during I/O or while your code runs.
#[derive(Clone)]
pub struct SharedSession(Arc<Inner>);

struct Inner {
    /// A copy of the session's, which never changes: readable without the lock.
    endpoint: Endpoint,
    /// The pass that calls go out with while the session is open.
    published: ArcSwapOption<Published>,
    /// Whether every response matters; see [`Session::needs_every_response`].
    needs_every_response: AtomicBool,
    state: Mutex<State>,
    /// The error of the last failed login with its denial, for callers that only see the denial.
    login_error: Mutex<Option<(Denial, Arc<dyn Error + Send + Sync>)>>,
    /// Callers that wait for a change of the state. A thousand threads leave a condition variable
    /// faster than an event.
    waiting_tasks: Event,
    waiting_threads: Condvar,
    store_view: StoreView,
    keys: Keyring,
    counters: Counters,
    observer: Mutex<Option<Arc<dyn Observer>>>,
    /// Asked by logins while the session has no credentials of its own.
    source: Mutex<Option<Source>>,
    /// Shared with other sessions.
    limiter: OnceLock<LoginLimiter>,
    number: u64,
    clock: Arc<dyn Clock>,
}

struct State {
    session: Session,
    /// Logins in progress, for each [`LoginEnd`].
    running_logins: [usize; 2],
    /// When the alarm rings for early renewal.
    alarm: Option<Instant>,
}

/// The number of the next session in this process.
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
            state: Mutex::new(State {
                session,
                running_logins: [0; 2],
                alarm: None,
            }),
            login_error: Mutex::new(None),
            waiting_tasks: Event::new(),
            waiting_threads: Condvar::new(),
            store_view: StoreView::default(),
            keys: Keyring::default(),
            counters: Counters::new(),
            observer: Mutex::default(),
            source: Mutex::default(),
            limiter: OnceLock::new(),
            number: NEXT_NUMBER.fetch_add(1, Relaxed),
            clock: Arc::new(clock),
        }))
    }

    /// Returns the phase that the session is in.
    pub fn phase(&self) -> Phase {
        let now = self.now();
        self.lock().session.phase(now)
    }

    /// Returns when the token ends, as far as the server stated it; see [`Session::known_end`].
    pub fn token_ends(&self) -> Option<Instant> {
        self.lock().session.known_end()
    }

    /// Returns a snapshot of this session's counters.
    pub fn counts(&self) -> Counts {
        self.0.counters.snapshot()
    }

    /// Copies the present token out of the session's protection, for another tool; `None` if there
    /// is none (log in first). Read [`UnprotectedToken`] before you use it.
    pub fn unprotected_token(&self) -> Option<UnprotectedToken> {
        self.lock().session.pass().map(Pass::unprotected_token)
    }

    /// Returns the number of this session in this process, counted from 1: the field `session` of
    /// its events.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Sets the observer of this session's events, replacing any previous one.
    pub fn set_observer(&self, observer: impl Observer + 'static) {
        let previous = lock(&self.0.observer).replace(Arc::new(observer));
        // Dropping the previous one may run your code: not under the lock.
        drop(previous);
    }

    /// Returns what the session's record is filed under in a store.
    pub fn record_key(&self) -> RecordKey {
        self.lock().session.record_key()
    }

    /// Returns the session in the clear, as of now. A store gets it sealed.
    pub fn record(&self) -> OpenRecord {
        let (now, wall) = (self.now(), self.wall());
        self.lock().session.record(now, wall)
    }

    /// Returns the origin that the session is bound to.
    pub fn endpoint(&self) -> Endpoint {
        self.0.endpoint.clone()
    }

    /// Returns whether the session speaks to a server on this machine without TLS: its endpoint, or
    /// its token endpoint. What it sends must not go through a proxy then.
    pub fn is_plain_http(&self) -> bool {
        self.lock().session.is_plain_http()
    }

    /// Returns the settings in force.
    pub fn settings(&self) -> Settings {
        self.lock().session.settings().clone()
    }

    /// See [`Session::set_credentials`].
    pub fn set_credentials(&self, credentials: Credentials) -> bool {
        let changed = self.with(|session, _| session.set_credentials(credentials));
        if changed {
            self.tell(SessionEvent::CredentialsReplaced);
        }
        changed
    }

    /// Sets the source that each login from now on asks for its credentials, in place of the
    /// present credentials or source: for drivers of either kind.
    ///
    /// The token stays, and so does a rejection or backoff: see [`reset`](Self::reset).
    pub fn set_credentials_source(&self, source: impl CredentialsSource + 'static) {
        self.set_source(Source::blocking(source));
    }

    /// As [`set_credentials_source`](Self::set_credentials_source), with an asynchronous source:
    /// for asynchronous drivers. A blocking driver makes no login with it.
    pub fn set_async_credentials_source(&self, source: impl AsyncCredentialsSource + 'static) {
        self.set_source(Source::asynchronous(source));
    }

    pub(crate) fn set_source(&self, source: Source) {
        let previous = lock(&self.0.source).replace(source);
        self.with(|session, _| session.forget_credentials());
        // Dropping it may run your code: not under a lock.
        drop(previous);
    }

    pub(crate) fn credentials_source(&self) -> Option<Source> {
        lock(&self.0.source).clone()
    }

    /// Sets the label that this session's events, spans and metrics carry, such as the customer's
    /// number. It is visible in logs and metrics. Returns `false`, and changes nothing, if there
    /// is one already: with another one the session would appear as two.
    pub fn set_label(&self, label: impl Into<Arc<str>>) -> bool {
        self.0.counters.label.set(label.into()).is_ok()
    }

    /// Returns the label, if there is one.
    pub fn label(&self) -> Option<&str> {
        self.0.counters.label.get().map(|label| &**label)
    }

    /// Sets the limiter that this session's logins share with those of other sessions. Returns
    /// `false`, and changes nothing, if there is one already.
    pub fn set_login_limiter(&self, limiter: &LoginLimiter) -> bool {
        self.0.limiter.set(limiter.clone()).is_ok()
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
}

/// Hears what happens to a session, as it happens; see [`SharedSession::set_observer`].
///
/// It is called on the thread where it happens, with no lock held: it may ask the session anything,
/// and should be quick. It gets the session, so that it need not keep a handle to it, which would
/// keep the session alive for ever. A panic of an observer is caught and has no effect.
///
/// A call that it makes from within a login cannot wait for that login, and is denied
/// ([`Denial::InsideLogin`]): make such a call on another thread or task.
///
/// Ordinary calls are not told of, so that they cost nothing: [`Counts`] has their number.
pub trait Observer: Send + Sync {
    /// Called when something happened to `session`.
    fn on_event(&self, session: &SharedSession, event: &SessionEvent<'_>);
}

impl<F: Fn(&SharedSession, &SessionEvent<'_>) + Send + Sync> Observer for F {
    fn on_event(&self, session: &SharedSession, event: &SessionEvent<'_>) {
        self(session, event);
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
