//! One login from election to report, store included: the same steps for both drivers.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use ctc_core::{
    Admit, FormBody, Instant, LoginOrder, LoginOutcome, LoginTicket, Pass, RecordKey, Resumed,
    SendFailure, Session, SessionRecord,
};
use http::{Request, Response, StatusCode};
use tracing::Instrument;

use crate::events::{SessionEvent, login_span};
use crate::saving::{SaveGuard, SaveOutcome, Store, full_wait, lease};
use crate::shared::SharedSession;
use crate::store::{AsyncStoreLease, LeaseTerms, StoreError};

/// What a login needs from the outside. In the blocking driver every step is done when it returns,
/// so that its futures are never pending.
#[async_trait]
pub(crate) trait LoginIo: Send + Sync {
    /// The store's lease; `None` when there is no store.
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Option<BoxedLease>, StoreError>;
    /// Sends a login or logout, bounded in time.
    async fn send(&self, request: Request<FormBody>) -> Result<Response<()>, SendError>;
}

pub(crate) type BoxedLease = Box<dyn AsyncStoreLease>;

/// No response, and whether the server may have seen the request.
pub(crate) struct SendError {
    pub(crate) failure: SendFailure,
    pub(crate) error: Arc<dyn Error + Send + Sync>,
}

/// Asks for a newer token than the present one, which serves meanwhile. A login under way will do.
pub(crate) fn renewal(session: &SharedSession) -> impl Fn(&mut Session, Instant) -> Admit + use<> {
    let before = session.with(|session, _| session.pass().map(Pass::generation));
    move |session, now| match session.pass() {
        Some(pass) if Some(pass.generation()) > before => Admit::Proceed(pass.clone()),
        _ => session.renew(now),
    }
}

/// Makes the login that `order` asks for, or finds that another process made it already.
pub(crate) async fn log_in(attempt: Attempt, io: &dyn LoginIo) {
    let span = login_span(attempt.session.number());
    steps(attempt, io).instrument(span).await;
}

async fn steps(mut attempt: Attempt, io: &dyn LoginIo) {
    let session = &attempt.session.clone();
    let Some((request, mut store)) = prepare(session, &mut attempt, io).await else {
        return;
    };
    session.counters().logins.count();
    session.tell(SessionEvent::LoginSent);
    let response = io.send(request).await;
    let succeeded = response
        .as_ref()
        .is_ok_and(|response| response.status() == StatusCode::OK);
    if !succeeded && attempt.overtaken(store.load(session).await) == Offered::NotNeeded {
        return store.release(session).await;
    }
    // Whoever drives this may all go half way: then one of them, or the next call, saves what it
    // brought.
    let saving = SaveGuard::of_login(session);
    let orphan = attempt.report(response);
    store.save(session).await;
    saving.complete();
    store.release(session).await;
    if let Some(logout) = orphan {
        drop(io.send(*logout).await);
    }
}

/// Takes the store's lease and asks its record. `None` when no login is to be sent.
async fn prepare(
    session: &SharedSession,
    attempt: &mut Attempt,
    io: &dyn LoginIo,
) -> Option<(Request<FormBody>, Store)> {
    let mut again = true;
    loop {
        let mut store = match lease(session, io, full_wait(session)).await {
            Ok(store) => store,
            Err(StoreError::Busy) => {
                attempt.give_up();
                return None;
            }
            Err(error) => {
                session.store_failed("lease", &error);
                Store::none()
            }
        };
        let offered = attempt.resume(store.load(session).await);
        let goes = offered == Offered::Proceed && attempt.is_wanted();
        // On record before it is sent: a process that dies in mid-login has spent this login all
        // the same. And a pause or debt that another clock wrote counts by ours from here
        // on, or it might never end.
        let saves = goes || offered == Offered::Denied;
        if saves && store.save(session).await == SaveOutcome::LeaseLost && goes && again {
            // This process slept past its lease: another may have logged in by now. Once only: a
            // store that loses every lease is a broken one.
            again = false;
            continue;
        }
        // The store may have taken its time, and the session been closed meanwhile.
        if goes && let Some(request) = attempt.start() {
            return Some((request, store));
        }
        store.release(session).await;
        return None;
    }
}

/// What a store's record meant for a login.
#[derive(PartialEq, Eq)]
enum Offered {
    /// Nothing: it goes on.
    Proceed,
    /// Its history forbids it, and this session has taken that history over.
    Denied,
    /// It is needless, or no longer wanted.
    NotNeeded,
}

/// The right to make one login; gives it back to the session when it is dropped half way.
pub(crate) struct Attempt {
    session: SharedSession,
    ticket: Option<LoginTicket>,
    /// Until it is sent.
    request: Option<Request<FormBody>>,
}

impl Attempt {
    pub(crate) fn new(session: &SharedSession, order: LoginOrder) -> Self {
        Self {
            session: session.clone(),
            ticket: Some(order.ticket),
            request: Some(order.request),
        }
    }

    /// Whether the record of a store makes the login needless, or forbids it.
    fn resume(&mut self, record: Option<SessionRecord>) -> Offered {
        let wall = self.session.wall();
        self.offer(record, |session, ticket, record, now| {
            session.login_resumed(ticket, record, now, wall)
        })
    }

    /// Whether another process logged in while this login failed.
    fn overtaken(&mut self, record: Option<SessionRecord>) -> Offered {
        let wall = self.session.wall();
        self.offer(record, |session, ticket, record, now| {
            session.login_overtaken(ticket, record, now, wall)
        })
    }

    fn offer(
        &mut self,
        record: Option<SessionRecord>,
        verb: impl FnOnce(&mut Session, LoginTicket, &SessionRecord, Instant) -> Resumed,
    ) -> Offered {
        let Some((record, ticket)) = record.and_then(|record| Some((record, self.ticket.take()?)))
        else {
            return Offered::Proceed;
        };
        match self
            .session
            .with(|session, now| verb(session, ticket, &record, now))
        {
            Resumed::Continue(ticket) => {
                self.ticket = Some(ticket);
                return Offered::Proceed;
            }
            Resumed::Adopted(generation) => {
                self.session.store_view().set_saved(&record);
                self.session.counters().adopted.count();
                self.session.tell(SessionEvent::Adopted { generation });
            }
            Resumed::Denied(denial) => {
                self.session
                    .tell(SessionEvent::DeniedByStore { denial: &denial });
                return Offered::Denied;
            }
            Resumed::Stale => self.session.tell(SessionEvent::LoginLate),
        }
        Offered::NotNeeded
    }

    /// The request to send, if the login is still wanted.
    fn start(&mut self) -> Option<Request<FormBody>> {
        let launched = self.ask(Session::login_starting);
        if launched { self.request.take() } else { None }
    }

    fn is_wanted(&mut self) -> bool {
        self.ask(|session, ticket, now| session.login_is_wanted(ticket, now))
    }

    /// Asks whether the login is still wanted. If not it is not sent, and costs nothing.
    fn ask(&mut self, ask: impl FnOnce(&mut Session, &LoginTicket, Instant) -> bool) -> bool {
        let ticket = self.ticket.as_ref();
        let wanted = self
            .session
            .with(|session, now| ticket.is_some_and(|ticket| ask(session, ticket, now)));
        if !wanted && let Some(ticket) = self.ticket.take() {
            // Given back first, told second: an observer that panics holds nobody up.
            self.session
                .with(|session, now| session.cancel_unsent(ticket, now));
            self.session.tell(SessionEvent::LoginUnwanted);
        }
        wanted
    }

    /// Reports the response. Returns the logout of a token that nobody holds.
    fn report(
        &mut self,
        response: Result<Response<()>, SendError>,
    ) -> Option<Box<Request<FormBody>>> {
        match response {
            Ok(response) => {
                // Read outside of the lock: that may run a rule of the user's own.
                let reader = self.session.with(|session, _| session.login_reader());
                let reading = reader.read(response.status(), response.headers(), &[]);
                let ticket = self.ticket.take()?;
                let outcome = self
                    .session
                    .with(|session, now| session.login_response(ticket, reading, now));
                self.tell(outcome)
            }
            Err(failed) => {
                let ticket = self.ticket.take()?;
                let outcome = self.session.with(|session, now| {
                    let outcome = session.login_failed(ticket, failed.failure, now);
                    if let LoginOutcome::Failed(denial) = &outcome {
                        self.session.set_login_error(denial.clone(), failed.error);
                    }
                    outcome
                });
                self.tell(outcome)
            }
        }
    }

    /// Another process has the store's lease, and keeps it for too long.
    fn give_up(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let outcome = self
                .session
                .with(|session, now| session.store_busy(ticket, now));
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
                self.session
                    .tell(SessionEvent::LoginFailed { denial: &denial });
                None
            }
            LoginOutcome::Stale { orphan, .. } => {
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

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let sent = self.request.is_none();
            self.session.with(|session, now| match sent {
                true => session.abandon(ticket),
                false => session.cancel_unsent(ticket, now),
            });
            self.session
                .tell_while_dropping(SessionEvent::LoginAbandoned);
        }
    }
}
