//! The right to make one login, from election to report.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use ctc_core::{
    FormBody, Instant, LoginOutcome, LoginReading, LoginTicket, OpenRecord, Resumed, SendFailure,
    Session,
};
use http::Request;
use tracing::Span;

use super::io::SendError;
use crate::events::{SessionEvent, login_span};
use crate::limiter::Place;
use crate::session::{RunningLogin, SharedSession};

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
    pub(super) ticket: Option<LoginTicket>,
    /// Once the credentials are there and until it is sent.
    pub(super) request: Option<Request<FormBody>>,
    pub(super) is_sent: bool,
    /// How often the source of the credentials may still be asked.
    pub(super) questions: u32,
    /// Only the store is asked: if it has no token, the right is given back.
    pub(crate) adopts_only: bool,
    /// The login was sent, or it is known that it need not be.
    pub(super) settled: Arc<AtomicBool>,
    /// Made at the election, to have the elected caller's span as its parent.
    pub(super) span: Span,
    pub(super) session: SharedSession,
    /// In the line of the session's limiter, or its turn.
    pub(super) place: Option<Place>,
    /// Dropped last, when all is done.
    running: RunningLogin,
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
            settled: Arc::default(),
            span: login_span(session.who()),
            session: session.clone(),
            place: None,
            running: RunningLogin::new(session),
        }
    }

    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::SeqCst);
    }

    /// The token is saved: only the logout of an orphan may be left to do.
    pub(super) fn saved(&mut self) {
        self.running.saved();
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

    /// Returns the request to send, if the login is still wanted.
    pub(super) fn start(&mut self) -> Option<Request<FormBody>> {
        if !self.ask(Session::login_starting) {
            return None;
        }
        self.settle();
        self.is_sent = true;
        if let Some(place) = &mut self.place {
            place.spend();
        }
        self.request.take()
    }

    pub(super) fn is_wanted(&mut self) -> bool {
        self.ask(|session, ticket, now| session.login_is_wanted(ticket, now))
    }

    /// Asks whether the login is still wanted. If not, it is not sent, and costs nothing.
    fn ask(&mut self, ask: impl FnOnce(&mut Session, &LoginTicket, Instant) -> bool) -> bool {
        let ticket = self.ticket.as_ref();
        let wanted = self
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
            Ok(reading) => {
                let ticket = self.ticket.take()?;
                let outcome = self
                    .session
                    .with(|session, now| session.login_response(ticket, reading, now));
                self.tell(outcome)
            }
            Err(SendError { failure, error }) => self
                .report_failure(Some(error), |session, ticket, now| {
                    session.login_failed(ticket, failure, now)
                }),
        }
    }

    /// Reports a failure, and keeps the error that it came of. Returns the logout of a token that
    /// nobody holds.
    pub(super) fn report_failure(
        &mut self,
        mut error: Option<Arc<dyn Error + Send + Sync>>,
        report: impl FnOnce(&mut Session, LoginTicket, Instant) -> LoginOutcome,
    ) -> Option<Box<Request<FormBody>>> {
        let ticket = self.ticket.take()?;
        self.settle();
        let outcome = self.session.with(|session, now| {
            let outcome = report(session, ticket, now);
            if let LoginOutcome::Failed(denial) = &outcome {
                self.session.swap_login_error(denial, &mut error);
            }
            outcome
        });
        // The previous error, or one that says nothing any more: code of the user's.
        drop(error);
        self.tell(outcome)
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
