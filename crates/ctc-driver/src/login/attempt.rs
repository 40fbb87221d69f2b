//! The right to make one login, from election to report: its credentials, its turn, its outcome.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::SystemTime;

use ctc_core::{
    Credentials, FormBody, Instant, LoginOutcome, LoginReading, LoginTicket, NoResponse,
    OpenRecord, Resumed, SendFailure, Session,
};
use futures_util::future::select;
use http::Request;
use tracing::Span;

use super::io::{Io, SendError, SendLogin};
use crate::events::{SessionEvent, login_span};
use crate::limiter::Place;
use crate::ports::CredentialsError;
use crate::session::{LoginEnd, RunningLogin, SharedSession};

/// What a store's record meant for a login.
#[derive(PartialEq, Eq)]
pub(super) enum Offered {
    /// Nothing: the login proceeds.
    Proceed,
    /// Its history forbids the login, and this session has merged that history.
    Denied,
    /// The login is not needed, or no longer wanted.
    NotNeeded,
}

/// The right to make one login. Dropped before its report, it gives that right back.
pub(crate) struct Attempt {
    ticket: Option<LoginTicket>,
    /// Once the credentials are there and until it is sent.
    pub(super) request: Option<Request<FormBody>>,
    pub(super) is_sent: bool,
    /// How often the source of the credentials may still be asked.
    pub(super) questions: u32,
    /// Only the store is asked: if it has no token, the right is given back.
    pub(crate) adopts_only: bool,
    /// It was sent, or it is known that it need not be. Otherwise its runtime has dropped it, or
    /// does not run it.
    pub(super) is_settled: Arc<AtomicBool>,
    /// Made at the election, to have the elected caller's span as its parent.
    pub(super) span: Span,
    session: SharedSession,
    /// In the line of the session's limiter, or its turn.
    pub(super) place: Option<Place>,
    /// Until its token is saved: after that, only the logout of an orphan may be left to do.
    pub(super) unsaved: Option<RunningLogin>,
    /// Dropped last, when all is done.
    _running: RunningLogin,
}

impl Attempt {
    /// Without a request, the credentials are asked for first.
    pub(crate) fn new(
        session: &SharedSession,
        ticket: LoginTicket,
        request: Option<Request<FormBody>>,
    ) -> Self {
        Self {
            ticket: Some(ticket),
            is_sent: false,
            questions: if request.is_none() { 2 } else { 0 },
            adopts_only: false,
            request,
            is_settled: Arc::default(),
            span: login_span(session.who()),
            session: session.clone(),
            place: None,
            unsaved: Some(RunningLogin::new(session, LoginEnd::Saved)),
            _running: RunningLogin::new(session, LoginEnd::LoggedOut),
        }
    }

    fn settle(&self) {
        self.is_settled.store(true, SeqCst);
    }

    /// Offers the record of a store: by [`Session::login_resumed`] before the login is sent, which
    /// it may make needless or forbid; by [`Session::login_overtaken`] after the login failed,
    /// since another process may have logged in.
    pub(super) fn offer(
        &mut self,
        record: Option<OpenRecord>,
        verb: impl FnOnce(&mut Session, LoginTicket, &OpenRecord, Instant, SystemTime) -> Resumed,
    ) -> Offered {
        let wall = self.session.wall();
        let Some((record, ticket)) = record.and_then(|record| Some((record, self.ticket.take()?)))
        else {
            return Offered::Proceed;
        };
        let resumed = self
            .session
            .with(|session, now| verb(session, ticket, &record, now, wall));
        if let Resumed::Continue(ticket) = resumed {
            self.ticket = Some(ticket);
            return Offered::Proceed;
        }
        self.settle();
        match resumed {
            Resumed::Continue(_) => {}
            Resumed::Adopted(generation) => {
                self.session.store_view().set_saved(record.auth_token());
                self.session.tell(SessionEvent::Adopted { generation });
            }
            Resumed::Denied(denial) => {
                self.session
                    .tell(SessionEvent::DeniedByStore { denial: &denial });
                return Offered::Denied;
            }
            Resumed::Stale if self.is_sent => self.session.tell(SessionEvent::LoginLate),
            Resumed::Stale => self.session.tell(SessionEvent::LoginUnwanted),
        }
        Offered::NotNeeded
    }

    /// Returns the request to send, if the login is still wanted.
    pub(super) fn start(&mut self, io: &Io<dyn SendLogin>) -> Option<Request<FormBody>> {
        if !self.ask(io, Session::login_starting) {
            return None;
        }
        self.is_sent = true;
        self.settle();
        if let Some(place) = &mut self.place {
            place.spend();
        }
        self.request.take()
    }

    pub(super) fn is_wanted(&mut self, io: &Io<dyn SendLogin>) -> bool {
        self.ask(io, |session, ticket, now| {
            session.login_is_wanted(ticket, now)
        })
    }

    /// Asks whether the login is still wanted. If not, or if nobody is left who could use it, it is
    /// not sent, and costs nothing.
    fn ask(
        &mut self,
        io: &Io<dyn SendLogin>,
        ask: impl FnOnce(&mut Session, &LoginTicket, Instant) -> bool,
    ) -> bool {
        let ticket = self.ticket.as_ref();
        let wanted = !self.adopts_only
            && io.is_in_use()
            && self
                .session
                .with(|session, now| ticket.is_some_and(|ticket| ask(session, ticket, now)));
        if !wanted {
            self.cancel();
        }
        wanted
    }

    /// Gives the right back unused: the login is not wanted any more.
    pub(crate) fn cancel(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.settle();
            self.session
                .with(|session, now| session.cancel_unsent(ticket, now));
            self.session.tell(SessionEvent::LoginUnwanted);
        }
    }

    /// Reports the response, or that there was none. Returns the logout of a token that nobody
    /// holds.
    pub(super) fn report(
        &mut self,
        response: Result<LoginReading, SendError>,
    ) -> Option<Box<Request<FormBody>>> {
        match response {
            Ok(reading) => self.report_by(None, |session, ticket, now| {
                session.login_response(ticket, reading, now)
            }),
            Err(SendError { failure, error }) => self.report_failure(failure, Some(error)),
        }
    }

    /// Reports a failure, with the error that it came of.
    pub(super) fn report_failure(
        &mut self,
        why: impl Into<NoResponse>,
        error: Option<Arc<dyn Error + Send + Sync>>,
    ) -> Option<Box<Request<FormBody>>> {
        self.report_by(error, |session, ticket, now| {
            session.login_failed(ticket, why, now)
        })
    }

    fn report_by(
        &mut self,
        mut error: Option<Arc<dyn Error + Send + Sync>>,
        verb: impl FnOnce(&mut Session, LoginTicket, Instant) -> LoginOutcome,
    ) -> Option<Box<Request<FormBody>>> {
        let ticket = self.ticket.take()?;
        self.settle();
        let outcome = self.session.with(|session, now| {
            let outcome = verb(session, ticket, now);
            if let LoginOutcome::Failed(denial) = &outcome {
                self.session.swap_login_error(denial, &mut error);
            }
            outcome
        });
        // The previous error, or one that says nothing any more: code of the user's.
        drop(error);
        let tell = |event| self.session.tell(event);
        match outcome {
            LoginOutcome::Opened(generation) => tell(SessionEvent::LoggedIn { generation }),
            LoginOutcome::Failed(denial) => tell(SessionEvent::LoginFailed { denial: &denial }),
            LoginOutcome::Stale { orphan, .. } => {
                tell(SessionEvent::LoginLate);
                if orphan.is_some() {
                    tell(SessionEvent::Orphaned);
                }
                return orphan;
            }
        }
        None
    }
}

/// The credentials of a login whose session has none: the source is asked.
impl Attempt {
    /// Asks for the credentials and makes the request of them. If it returns `false`, no login is
    /// to be made.
    pub(super) async fn obtain_credentials(&mut self, io: &Io<dyn SendLogin>) -> bool {
        match self.ask_source(io).await {
            Ok(credentials) => {
                let is_wanted = io.is_in_use() && self.take(Session::login_with, &credentials);
                if !is_wanted {
                    self.cancel();
                }
                is_wanted
            }
            Err(error) => {
                let why = match error {
                    CredentialsError::Unavailable(_) => NoResponse::CredentialsUnavailable,
                    CredentialsError::Unusable(_) => NoResponse::CredentialsUnusable,
                };
                self.report_failure(why, Some(Arc::new(error)));
                false
            }
        }
    }

    /// Asks once more, after the server rejected what the source said. Returns whether there is
    /// another login to be sent; if not, the rejection is to be reported.
    pub(super) async fn ask_again(&mut self, io: &Io<dyn SendLogin>) -> bool {
        let Ok(credentials) = self.ask_source(io).await else {
            return false;
        };
        let is_another = self.take(Session::login_again, &credentials);
        self.is_sent = !is_another;
        is_another
    }

    async fn ask_source(
        &mut self,
        io: &Io<dyn SendLogin>,
    ) -> Result<Credentials, CredentialsError> {
        self.questions -= 1;
        io.credentials().await
    }

    /// Makes the request of credentials, if `verb` has one for them.
    fn take(&mut self, verb: Verb, credentials: &Credentials) -> bool {
        let Some(ticket) = &self.ticket else {
            return false;
        };
        let (request, is_other) = self.session.with(|session, now| {
            let is_first = session.record_key().account.is_empty();
            let before = session.seal_seed();
            let request = verb(session, ticket, credentials, now);
            (request, !is_first && session.seal_seed() != before)
        });
        if is_other {
            self.session.tell(SessionEvent::CredentialsReplaced);
        }
        self.request = request;
        self.request.is_some()
    }
}

type Verb = fn(&mut Session, &LoginTicket, &Credentials, Instant) -> Option<Request<FormBody>>;

/// The turn of a login whose session shares a limiter with others.
impl Attempt {
    /// Returns whether the limiter lets this login be sent now. If not, the login is in line.
    pub(super) fn has_turn(&mut self) -> bool {
        let Some(limiter) = self.session.limiter() else {
            return true;
        };
        let now = self.session.now();
        let place = self.place.get_or_insert_with(|| limiter.join());
        place.take(now).is_ok()
    }

    /// Waits for the turn, for as long as one login may take. If it returns `false`, the login is
    /// not sent. The caller must hold neither lock nor lease meanwhile.
    pub(super) async fn wait_for_turn(&mut self, io: &Io<dyn SendLogin>) -> bool {
        let session = self.session.clone();
        let (began, limit) = (session.now(), session.settings().login_timeout);
        // Its runtime runs it, so its caller may be elected again.
        self.settle();
        let ahead = self.place.as_ref().map_or(0, Place::ahead);
        session.tell(SessionEvent::LoginQueued { ahead });
        loop {
            // Listen first, ask second: a change in between is then never missed.
            let changed = session.listen();
            if !self.is_wanted(io) {
                self.place = None;
                return false;
            }
            let Some(place) = &mut self.place else {
                return true;
            };
            let called = place.called();
            let now = session.now();
            let Err(pause) = place.take(now) else {
                return true;
            };
            let left = limit.saturating_sub(now.saturating_duration_since(began));
            if left.is_zero() {
                let why = NoResponse::Limited(place.outlook(now));
                self.place = None;
                self.report_failure(why, None);
                return false;
            }
            let pause = pause.unwrap_or(left).min(left);
            io.within(pause, select(changed, called)).await;
        }
    }
}

impl Drop for Attempt {
    /// The task was dropped half way, most likely by a runtime that is shutting down.
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let unsent = !self.is_sent;
        self.session.with(|session, now| match unsent {
            // After a pause: the token serves on, and no caller may be denied for the lack of a
            // task that renews it.
            true if session.is_renewing(now) => {
                let _ = session.login_failed(ticket, SendFailure::NotSent, now);
            }
            true => session.cancel_unsent(ticket, now),
            false => session.abandon(ticket),
        });
        self.session.tell(SessionEvent::LoginAbandoned);
    }
}
