//! A login on its way: who is elected, how it is reported, and what becomes of the report.

use std::sync::Arc;

use http::{Request, Response};

use super::login::{
    Admit, LoginFailure, LoginOrder, LoginOutcome, LoginReading, LoginTicket, SendFailure,
};
use super::pass::Generation;
use super::record::TokenTimes;
use super::{Session, Wait};
use crate::secret::{Credentials, FormBody};
use crate::time::{Instant, later};

/// A login on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) ticket: u64,
    started: Instant,
    pub(super) lease_until: Instant,
    credentials: Credentials,
    /// The session was closed since. The login decides nothing any more, but until it is reported
    /// or its lease ends it keeps others from being sent beside it.
    pub(super) void: bool,
}

impl Session {
    /// Reports the answer to a login.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn login_response<B>(
        &mut self,
        ticket: LoginTicket,
        response: &Response<B>,
        now: Instant,
    ) -> LoginOutcome {
        let now = self.tick(now);
        // In this order: a rule of the user's own that panics ends the login, and nothing else.
        let landed = self.land(&ticket, now);
        let reading = LoginReading::of(
            response.status(),
            response.headers(),
            self.settings.login_rule,
        );
        match landed {
            Some(flight) if !flight.void => self.settle(&flight, reading, now),
            landed => {
                let unwanted = self.has_issued(&ticket) && (self.closed || landed.is_some());
                let orphan = if unwanted { self.orphan(reading) } else { None };
                LoginOutcome::Stale { orphan }
            }
        }
    }

    /// Reports a login that had no answer.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn login_failed(
        &mut self,
        ticket: LoginTicket,
        failure: SendFailure,
        now: Instant,
    ) -> LoginOutcome {
        let cause = match failure {
            SendFailure::NotSent => LoginFailure::NotSent,
            SendFailure::MaybeSent => LoginFailure::MaybeSent,
        };
        self.fail(&ticket, cause, now)
    }

    /// Reports a login that was not tried: another process held the store's login lease for too
    /// long.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn store_busy(&mut self, ticket: LoginTicket, now: Instant) -> LoginOutcome {
        self.fail(&ticket, LoginFailure::StoreBusy, now)
    }

    /// The elected caller goes away without a report; the next caller is elected. Callable from
    /// `Drop`.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn abandon(&mut self, ticket: LoginTicket) {
        if self.is_ours(&ticket) {
            self.flight = None;
            self.bump();
        }
    }

    /// The elected caller goes away without having sent the login: as [`abandon`](Self::abandon),
    /// and it does not count against the budget.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn withdraw(&mut self, ticket: LoginTicket, now: Instant) {
        let now = self.tick(now);
        if self.land(&ticket, now).is_some() {
            self.governor.refund(now);
        }
    }

    /// Whether this ticket's login is still wanted. One that is not sent yet is better not sent
    /// when it is not: the session was closed, the credentials have changed, or the lease is
    /// over.
    pub fn holds(&self, ticket: &LoginTicket, now: Instant) -> bool {
        let wanted =
            |flight: &Flight| !flight.void && flight.credentials.is_same(&self.credentials);
        self.is_ours(ticket) && self.is_flying(now) && self.flight.as_ref().is_some_and(wanted)
    }

    /// As [`holds`](Self::holds), for a login that is about to be sent after the elected caller had
    /// to wait, say for a store: its lease and the token's lifetime count from now.
    pub fn launch(&mut self, ticket: &LoginTicket, now: Instant) -> bool {
        let now = self.tick(now);
        let wanted = self.holds(ticket, now);
        if let Some(flight) = self.flight.as_mut().filter(|_| wanted) {
            (flight.started, flight.lease_until) = (now, later(now, self.settings.lease));
        }
        wanted
    }

    /// No token: a login on its way is waited for; otherwise the asking caller makes it, if one may
    /// be made.
    pub(super) fn elect(&mut self, now: Instant) -> Admit {
        if let Some(flight) = &self.flight {
            if flight.lease_until > now {
                return Admit::Wait(Wait {
                    epoch: self.epoch,
                    deadline: flight.lease_until,
                });
            }
            self.flight = None;
            self.bump();
        }
        if let Err(denial) = self.governor.permit(now) {
            return Admit::Deny(denial);
        }
        self.governor.debit(now);
        self.tickets += 1;
        self.flight = Some(Flight {
            ticket: self.tickets,
            started: now,
            lease_until: later(now, self.settings.lease),
            credentials: self.credentials.clone(),
            void: false,
        });
        Admit::Login(Box::new(LoginOrder {
            ticket: LoginTicket {
                owner: Arc::clone(&self.owner),
                number: self.tickets,
            },
            request: self.requests.login(&self.key, &self.credentials),
        }))
    }

    /// Ends the flight that the ticket stands for. `None` when it no longer counts.
    pub(super) fn land(&mut self, ticket: &LoginTicket, now: Instant) -> Option<Flight> {
        if !self.is_ours(ticket) {
            return None;
        }
        self.bump();
        self.flight.take().filter(|flight| flight.lease_until > now)
    }

    /// Whether a login is on its way and its lease is not over.
    pub(super) fn is_flying(&self, now: Instant) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|flight| flight.lease_until > now)
    }

    fn is_ours(&self, ticket: &LoginTicket) -> bool {
        self.has_issued(ticket)
            && self
                .flight
                .as_ref()
                .is_some_and(|flight| flight.ticket == ticket.number)
    }

    fn has_issued(&self, ticket: &LoginTicket) -> bool {
        Arc::ptr_eq(&ticket.owner, &self.owner)
    }

    /// There is no answer. A login that surely was not sent does not count against the budget.
    fn fail(&mut self, ticket: &LoginTicket, cause: LoginFailure, now: Instant) -> LoginOutcome {
        let now = self.tick(now);
        let Some(flight) = self.land(ticket, now) else {
            return LoginOutcome::Stale { orphan: None };
        };
        if cause != LoginFailure::MaybeSent {
            self.governor.refund(now);
        }
        if flight.void {
            return LoginOutcome::Stale { orphan: None };
        }
        self.settle(&flight, LoginReading::Failed { cause, pause: None }, now)
    }

    /// Acts on the answer to a login that still counts.
    fn settle(&mut self, flight: &Flight, reading: LoginReading, now: Instant) -> LoginOutcome {
        self.overrides_record = false;
        let same_account = flight.credentials.username() == self.credentials.username();
        let (cause, pause) = match reading {
            reading @ LoginReading::Token { .. } if !same_account => {
                return LoginOutcome::Stale {
                    orphan: self.orphan(reading),
                };
            }
            LoginReading::Token { token, .. } if self.has_refused(&token) => {
                // Once only: a server that knows one token an account must not lock it out for
                // ever.
                self.refused_token = None;
                (LoginFailure::SameToken, None)
            }
            LoginReading::Token { token, lifetime } => {
                let ends = lifetime.map(|lifetime| later(flight.started, lifetime));
                let found = TokenTimes {
                    token,
                    since: Some(flight.started),
                    ends,
                };
                if let Some(generation) = self.open_with(found, None) {
                    self.governor.forgive();
                    return LoginOutcome::Opened(generation);
                }
                (LoginFailure::UnusableToken, None)
            }
            // Old credentials were refused: that says nothing about the new ones.
            LoginReading::Refused(_) if !flight.credentials.is_same(&self.credentials) => {
                return LoginOutcome::Stale { orphan: None };
            }
            LoginReading::Refused(status) => {
                return LoginOutcome::Failed(self.governor.rejected(status));
            }
            LoginReading::Failed { cause, pause } => (cause, pause),
        };
        LoginOutcome::Failed(self.governor.failed(cause, pause, now))
    }

    /// The request that ends a token which nobody wants any more.
    fn orphan(&self, reading: LoginReading) -> Option<Box<Request<FormBody>>> {
        let LoginReading::Token { token, .. } = reading else {
            return None;
        };
        let pass = self.make_pass(Generation::default(), token)?;
        self.requests.logout(&pass).map(Box::new)
    }
}
