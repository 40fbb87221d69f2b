//! One login from election to report, store included: the same steps for both drivers.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{
    FormBody, LoginOrder, LoginOutcome, LoginTicket, Phase, RecordKey, Resumed, SendFailure, SessionRecord,
};
use http::{Request, Response, StatusCode};
use tracing::Instrument;

use crate::events::{SessionEvent, login_span};
use crate::shared::SharedSession;
use crate::store::{AsyncStoreLease, LeaseTerms, StoreError};

/// What a login needs from the outside. In the blocking driver every step is done when it returns, so that its
/// futures are never pending.
#[async_trait]
pub(crate) trait LoginIo: Send + Sync {
    /// The store's lease; `None` when there is no store.
    async fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Option<StoreAccess>, StoreError>;
    /// Sends a login or logout, bounded in time.
    async fn send(&self, request: Request<FormBody>) -> Result<Response<()>, SendError>;
}

pub(crate) type StoreAccess = Box<dyn AsyncStoreLease>;

/// No answer, and whether the server may have seen the request.
pub(crate) struct SendError {
    pub(crate) failure: SendFailure,
    pub(crate) error: Arc<dyn Error + Send + Sync>,
}

/// Makes the login that `order` asks for, or finds that another process made it already.
pub(crate) async fn log_in(flight: Flight, io: &dyn LoginIo) {
    let span = login_span(flight.session.number());
    steps(flight, io).instrument(span).await;
}

async fn steps(mut flight: Flight, io: &dyn LoginIo) {
    let session = &flight.session.clone();
    let mut store = match lease(session, io, full_wait(session)).await {
        Ok(store) => store,
        Err(StoreError::Busy) => return flight.fail(SendFailure::StoreBusy),
        Err(error) => {
            session.store_failed("lease", &error);
            Store(None)
        }
    };
    if flight.resume(store.load(session).await) {
        // A pause or debt that another clock wrote counts by ours from here on, or it might never end.
        if matches!(session.phase(), Phase::Cooling { .. } | Phase::Empty) {
            store.save(session).await;
        }
        return store.release(session).await;
    }
    // On record before it is sent: a process that dies in mid-login has spent this login all the same.
    store.save(session).await;
    // The store may have taken its time, and the session been closed meanwhile.
    let Some(request) = flight.take_off() else {
        session.tell(SessionEvent::LoginUnwanted);
        return store.release(session).await;
    };
    session.counters().logins.count();
    session.tell(SessionEvent::LoginSent);
    let answer = io.send(request).await;
    let succeeded = answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::OK);
    if !succeeded && flight.overtaken(store.load(session).await) {
        return store.release(session).await;
    }
    let orphan = flight.report(answer);
    store.save(session).await;
    store.release(session).await;
    if let Some(logout) = orphan {
        drop(io.send(*logout).await);
    }
}

/// Takes a token that the server rotated into the store, unless the store has a newer one or is in use: whoever
/// holds its lease is about to log in or has just done so.
pub(crate) async fn keep_rotated(session: &SharedSession, io: &dyn LoginIo) {
    let ours = session.record();
    match lease(session, io, Duration::ZERO).await {
        // Without a token: closed in the meantime.
        Ok(mut store) if ours.has_token() => {
            let kept = store.load(session).await;
            if kept.is_none_or(|kept| kept.generation() < ours.generation()) {
                store.write(session, &ours).await;
            }
            store.release(session).await;
        }
        Ok(store) => store.release(session).await,
        Err(StoreError::Busy) => {}
        Err(error) => session.store_failed("lease", &error),
    }
}

/// How a logout went. Whatever it says, the session is closed and its token forgotten here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoggedOut {
    /// There was no token to end.
    NoToken,
    /// The server answered with success, or with 401: the token was over already. Whether a 2xx really revokes
    /// is the server's word.
    Accepted(StatusCode),
    /// The server answered with something else; the token may live on there.
    Refused(StatusCode),
    /// The server did not answer; the token may live on there.
    Unreachable(Arc<dyn Error + Send + Sync>),
}

impl fmt::Display for LoggedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session is closed and its token forgotten here; ")?;
        match self {
            Self::NoToken => f.write_str("there was no token to end on the server"),
            Self::Accepted(status) => write!(f, "the server agreed (status {status})"),
            Self::Refused(status) => {
                write!(f, "the server answered {status}, so the token may live on there: check logout_path")
            }
            Self::Unreachable(error) => {
                f.write_str("the server gave no answer, so the token may live on there")?;
                let mut link: Option<&dyn Error> = Some(&**error);
                while let Some(error) = link {
                    write!(f, ": {error}")?;
                    link = error.source();
                }
                Ok(())
            }
        }
    }
}

/// Closes the session at once, takes its token out of the store if it is still there, and tells the server.
pub(crate) async fn log_out(session: &SharedSession, io: &dyn LoginIo) -> LoggedOut {
    let (closed, logout) = session.log_out();
    match lease(session, io, STORE_TIMEOUT).await {
        Ok(mut store) => {
            let kept = store.load(session).await.filter(|kept| kept.same_token(&closed));
            if let Some(kept) = kept {
                store.write(session, &kept.without_token()).await;
            }
            store.release(session).await;
        }
        Err(error) => session.store_failed("lease", &error),
    }
    let Some(logout) = logout else { return LoggedOut::NoToken };
    match io.send(logout).await {
        Ok(answer) => match answer.status() {
            status if status.is_success() || status == StatusCode::UNAUTHORIZED => {
                LoggedOut::Accepted(status)
            }
            status => LoggedOut::Refused(status),
        },
        Err(failed) => LoggedOut::Unreachable(failed.error),
    }
}

/// How long a store operation may take; a longer one counts as a store out of reach.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that a login may wait for another process's: what is left of its own lease must be enough to load,
/// save and log in.
fn full_wait(session: &SharedSession) -> Duration {
    let settings = session.settings();
    settings.lease.saturating_sub(settings.login_timeout).saturating_sub(2 * STORE_TIMEOUT)
}

async fn lease(session: &SharedSession, io: &dyn LoginIo, wait: Duration) -> Result<Store, StoreError> {
    let terms = LeaseTerms { wait, ttl: session.settings().lease };
    Ok(Store(io.lease(&session.record_key(), terms).await?))
}

/// The right to make one login; gives it back to the session when it is dropped half way.
pub(crate) struct Flight {
    session: SharedSession,
    ticket: Option<LoginTicket>,
    /// Until it is sent.
    request: Option<Request<FormBody>>,
}

impl Flight {
    pub(crate) fn new(session: &SharedSession, order: LoginOrder) -> Self {
        Self { session: session.clone(), ticket: Some(order.ticket), request: Some(order.request) }
    }

    /// Whether the record of a store makes the login needless, or forbids it.
    fn resume(&mut self, record: Option<SessionRecord>) -> bool {
        let wall = self.session.wall();
        self.offer(record, |session, ticket, record, now| session.login_resumed(ticket, record, now, wall))
    }

    /// Whether another process logged in while this login failed.
    fn overtaken(&mut self, record: Option<SessionRecord>) -> bool {
        let wall = self.session.wall();
        self.offer(record, |session, ticket, record, now| session.login_overtaken(ticket, record, now, wall))
    }

    fn offer(
        &mut self,
        record: Option<SessionRecord>,
        verb: impl FnOnce(&mut ctc_core::Session, LoginTicket, &SessionRecord, ctc_core::Instant) -> Resumed,
    ) -> bool {
        let Some((record, ticket)) = record.and_then(|record| Some((record, self.ticket.take()?))) else {
            return false;
        };
        match self.session.with(|session, now| verb(session, ticket, &record, now)) {
            Resumed::Continue(ticket) => {
                self.ticket = Some(ticket);
                return false;
            }
            Resumed::Adopted(generation) => {
                self.session.counters().adopted.count();
                self.session.tell(SessionEvent::Adopted { generation });
            }
            Resumed::Denied(denial) => self.session.tell(SessionEvent::HeldBackByStore { denial: &denial }),
            Resumed::Stale => self.session.tell(SessionEvent::LoginLate),
        }
        true
    }

    /// The request to send, if the login is still wanted.
    fn take_off(&mut self) -> Option<Request<FormBody>> {
        let ticket = self.ticket.as_ref()?;
        let wanted = self.session.with(|session, now| session.holds(ticket, now));
        if wanted { self.request.take() } else { None }
    }

    /// Reports the answer. Returns the logout of a token that nobody holds.
    fn report(&mut self, answer: Result<Response<()>, SendError>) -> Option<Box<Request<FormBody>>> {
        match answer {
            Ok(response) => {
                let ticket = self.ticket.take()?;
                let outcome =
                    self.session.with(|session, now| session.login_response(ticket, &response, now));
                self.tell(outcome)
            }
            Err(failed) => {
                self.session.keep_login_error(failed.error);
                self.fail(failed.failure);
                None
            }
        }
    }

    fn fail(&mut self, failure: SendFailure) {
        if let Some(ticket) = self.ticket.take() {
            let outcome = self.session.with(|session, now| session.login_failed(ticket, failure, now));
            self.tell(outcome);
        }
    }

    fn tell(&self, outcome: LoginOutcome) -> Option<Box<Request<FormBody>>> {
        let counters = self.session.counters();
        match outcome {
            LoginOutcome::Opened(generation) => {
                self.session.tell(SessionEvent::LoggedIn { generation });
                None
            }
            LoginOutcome::Failed(denial) => {
                counters.logins_failed.count();
                self.session.tell(SessionEvent::LoginFailed { denial: &denial });
                None
            }
            LoginOutcome::Stale { orphan } => {
                self.session.tell(SessionEvent::LoginLate);
                if orphan.is_some() {
                    counters.orphans.count();
                    self.session.tell(SessionEvent::Orphaned);
                }
                orphan
            }
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.session.tell(SessionEvent::LoginAbandoned);
            let sent = self.request.is_none();
            self.session.with(|session, now| match sent {
                true => session.abandon(ticket),
                false => session.withdraw(ticket, now),
            });
        }
    }
}

/// The store's lease, if there is a store and it works. Its failures are noted and go no further.
struct Store(Option<StoreAccess>);

impl Store {
    async fn load(&mut self, session: &SharedSession) -> Option<SessionRecord> {
        let result = self.0.as_mut()?.load().await;
        result.unwrap_or_else(|error| {
            session.store_failed("load", &error);
            None
        })
    }

    /// Saves the session as it is now.
    async fn save(&mut self, session: &SharedSession) {
        if self.0.is_some() {
            self.write(session, &session.record()).await;
        }
    }

    async fn write(&mut self, session: &SharedSession, record: &SessionRecord) {
        if let Some(lease) = &mut self.0
            && let Err(error) = lease.save(record).await
        {
            session.store_failed("save", &error);
        }
    }

    async fn release(self, session: &SharedSession) {
        if let Some(lease) = self.0
            && let Err(error) = lease.release().await
        {
            session.store_failed("release", &error);
        }
    }
}
