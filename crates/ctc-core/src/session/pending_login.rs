//! The login in progress: the election, the report, and what the report changes.

use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::denial::LoginFailure;
use super::login::{Admit, LoginOrder, LoginOutcome, LoginTicket, NoResponse, SendFailure};
use super::login_response::{LoginReading, Reading};
use super::open_record::{Marks, TokenTimes};
use super::pass::Generation;
use super::{Proven, Session, Wait};
use crate::secret::FormBody;
use crate::time::{Instant, later};

/// How much longer than `login_timeout` the lease of a sent login lasts. A driver asks its store
/// once more before it reports a failure, for up to 5 s; the rest is for a machine under load.
const REPORT_MARGIN: Duration = Duration::from_secs(10);

/// A login in progress.
#[derive(Debug)]
pub(super) struct PendingLogin {
    pub(super) ticket: u64,
    started: Instant,
    pub(super) lease_until: Instant,
    /// The server may have seen it.
    pub(super) sent: bool,
    /// Of the newest token at the election.
    generation: Generation,
    /// Of the credentials that it is made with.
    pub(super) marks: Marks,
    /// The session was closed since. The login no longer counts, but until it is reported or its
    /// lease expires no other may be sent.
    pub(super) superseded: bool,
}

impl Session {
    /// Reports the response to a login, as [`login_reader`](Self::login_reader) read it.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn login_response(
        &mut self,
        ticket: LoginTicket,
        reading: LoginReading,
        now: Instant,
    ) -> LoginOutcome {
        let now = self.tick(now);
        match self.take_pending(&ticket) {
            Some(pending_login) if !pending_login.superseded => {
                self.apply(&pending_login, reading, now)
            }
            pending => {
                let unwanted = self.has_issued(&ticket) && (self.closed || pending.is_some());
                let orphan = if unwanted {
                    self.orphan(reading.reading)
                } else {
                    None
                };
                LoginOutcome::Stale { orphan }
            }
        }
    }

    /// Reports a login that has no response. A login that certainly was not sent is not charged to
    /// the budget.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn login_failed(
        &mut self,
        ticket: LoginTicket,
        why: impl Into<NoResponse>,
        now: Instant,
    ) -> LoginOutcome {
        use SendFailure::{MaybeSent, NotSent};
        let now = self.tick(now);
        let stale = LoginOutcome::Stale { orphan: None };
        let Some(pending_login) = self.take_pending(&ticket) else {
            return stale;
        };
        let mut pause = None;
        let (cause, failure) = match why.into() {
            NoResponse::Client(NotSent) => (LoginFailure::NotSent, NotSent),
            NoResponse::Client(MaybeSent) => (LoginFailure::MaybeSent, MaybeSent),
            NoResponse::Panicked(failure) => (LoginFailure::Panicked, failure),
            NoResponse::StoreBusy => (LoginFailure::StoreBusy, NotSent),
            NoResponse::Limited(turn) => {
                pause = Some(turn);
                (LoginFailure::Limited, NotSent)
            }
            NoResponse::CredentialsUnavailable => (LoginFailure::CredentialsUnavailable, NotSent),
            NoResponse::CredentialsUnusable => {
                self.governor.refund(now);
                if pending_login.superseded || pending_login.marks != self.marks {
                    return stale;
                }
                return LoginOutcome::Failed(self.governor.no_credentials());
            }
        };
        if failure == NotSent {
            self.governor.refund(now);
        }
        if pending_login.superseded {
            return stale;
        }
        let reading = LoginReading {
            reading: Reading::Failed { cause, pause },
            arrived: None,
        };
        self.apply(&pending_login, reading, now)
    }

    /// Returns the ticket without a report; the next caller is elected. Can be called in `Drop`.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn abandon(&mut self, ticket: LoginTicket) {
        if self.is_ours(&ticket) {
            self.pending_login = None;
            self.advance_epoch();
        }
    }

    /// Returns the ticket of a login that was not sent: like [`abandon`](Self::abandon), but the
    /// login is not charged to the budget.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn cancel_unsent(&mut self, ticket: LoginTicket, now: Instant) {
        let now = self.tick(now);
        if self.take_pending(&ticket).is_some() {
            self.governor.refund(now);
        }
    }

    /// Returns whether a login that was not sent yet is still needed. It is not if the session was
    /// closed, the credentials have changed, the lease has expired, or the server has replaced the
    /// token with a newer one since.
    pub fn login_is_wanted(&self, ticket: &LoginTicket, now: Instant) -> bool {
        let is_replaced = |pending_login: &PendingLogin| {
            self.open.is_some() && self.generation > pending_login.generation
        };
        self.has_pending_login(now)
            && self.still_counts(ticket)
            && !self.pending_login.as_ref().is_some_and(is_replaced)
    }

    /// Announces a login that is sent right after this call, and returns what
    /// [`login_is_wanted`](Self::login_is_wanted) does. The lease and the token's lifetime count
    /// from now. A login that was not announced counts as not sent if its lease expires: it is not
    /// charged to the budget.
    ///
    /// The lease then lasts as long as the login may take
    /// ([`login_timeout`](crate::Settings::login_timeout)) and 10 s for the report, but no longer
    /// than [`lease`](crate::Settings::lease).
    pub fn login_starting(&mut self, ticket: &LoginTicket, now: Instant) -> bool {
        let now = self.tick(now);
        let wanted = self.login_is_wanted(ticket, now);
        let lease = self.settings.lease.min(self.longest_login());
        if let Some(pending_login) = self.pending_login.as_mut().filter(|_| wanted) {
            (pending_login.started, pending_login.lease_until) = (now, later(now, lease));
            pending_login.sent = true;
        }
        wanted
    }

    /// Without a token: wait for the login in progress, or elect this caller if a login may be
    /// made.
    pub(super) fn elect(&mut self, now: Instant) -> Admit {
        if let Some(pending_login) = &self.pending_login
            && pending_login.lease_until > now
        {
            // A login that is sent later has a shorter lease, of which callers that wait already
            // would not know.
            let limit = later(now, self.longest_login());
            return Admit::Wait(Wait {
                epoch: self.epoch,
                deadline: pending_login.lease_until.min(limit),
            });
        }
        // Its lease has expired, so it will not be sent any more.
        if self.pending_login.take_if(|login| !login.sent).is_some() {
            self.governor.refund(now);
            self.advance_epoch();
        }
        if let Err(denial) = self.governor.check(now) {
            return Admit::Deny(denial);
        }
        // Not before this caller may log in: until another is elected, a late report still counts.
        if self.pending_login.take().is_some() {
            self.advance_epoch();
        }
        self.governor.charge(now);
        self.tickets += 1;
        self.pending_login = Some(PendingLogin {
            ticket: self.tickets,
            started: now,
            lease_until: later(now, self.settings.lease),
            sent: false,
            generation: self.generation,
            marks: self.marks.clone(),
            superseded: false,
        });
        let ticket = LoginTicket {
            owner: Arc::clone(&self.owner),
            number: self.tickets,
        };
        let Some(credentials) = &self.credentials else {
            return Admit::NeedCredentials(ticket);
        };
        let request = self.requests.login(&self.key, credentials);
        Admit::Login(Box::new(LoginOrder { ticket, request }))
    }

    /// Ends the login of this ticket. `None` if another caller was elected since: otherwise a
    /// report after the lease's end still counts.
    pub(super) fn take_pending(&mut self, ticket: &LoginTicket) -> Option<PendingLogin> {
        if !self.is_ours(ticket) {
            return None;
        }
        self.advance_epoch();
        self.pending_login.take()
    }

    /// Whether the ticket's login still counts: no other caller was elected, and neither a close
    /// nor new credentials superseded it.
    pub(super) fn still_counts(&self, ticket: &LoginTicket) -> bool {
        let counts = |pending_login: &PendingLogin| {
            !pending_login.superseded && pending_login.marks == self.marks
        };
        self.is_ours(ticket) && self.pending_login.as_ref().is_some_and(counts)
    }

    /// How long a login may take from the moment it is sent to its report.
    fn longest_login(&self) -> Duration {
        self.settings.login_timeout.saturating_add(REPORT_MARGIN)
    }

    /// Whether a login is in progress and its lease has not expired.
    pub(super) fn has_pending_login(&self, now: Instant) -> bool {
        self.pending_login
            .as_ref()
            .is_some_and(|pending_login| pending_login.lease_until > now)
    }

    fn is_ours(&self, ticket: &LoginTicket) -> bool {
        self.has_issued(ticket)
            && self
                .pending_login
                .as_ref()
                .is_some_and(|pending_login| pending_login.ticket == ticket.number)
    }

    fn has_issued(&self, ticket: &LoginTicket) -> bool {
        Arc::ptr_eq(&ticket.owner, &self.owner)
    }

    /// Acts on the response to a login that still counts.
    fn apply(
        &mut self,
        pending_login: &PendingLogin,
        reading: LoginReading,
        now: Instant,
    ) -> LoginOutcome {
        let LoginReading { reading, arrived } = reading;
        let same_account = pending_login.marks.account == self.marks.account;
        let same_credentials = pending_login.marks == self.marks;
        let (cause, pause) = match reading {
            reading @ Reading::Token { .. } if !same_account => {
                return LoginOutcome::Stale {
                    orphan: self.orphan(reading),
                };
            }
            Reading::Token { token, .. } if self.has_rejected(&token) => {
                // Only once: otherwise a server with one token per account would lock the account
                // out for good.
                self.rejected_token = None;
                (LoginFailure::SameToken, None)
            }
            Reading::Token { token, lifetime } => {
                let ends = lifetime.map(|lifetime| later(pending_login.started, lifetime));
                let found = TokenTimes {
                    token,
                    since: Some(pending_login.started),
                    ends,
                };
                if let Some(generation) = self.open_with(found, None) {
                    self.governor.clear_stop();
                    // The server may return the same token again.
                    self.logged_out = None;
                    self.obtained_by = pending_login.marks.seed.clone();
                    if same_credentials {
                        self.overrides_record = false;
                        self.proven = Some(Proven { at: now, arrived });
                        self.overcome = self.overcome.max(self.refused_at.take());
                    }
                    return LoginOutcome::Opened(generation);
                }
                (LoginFailure::UnusableToken, None)
            }
            // A failed login with the old credentials says nothing about the new ones.
            _ if !same_credentials => return LoginOutcome::Stale { orphan: None },
            Reading::Rejected(rejection) => {
                // Only now that the server has responded: a login that was not sent, or got no
                // response, must not end a reset.
                self.overrides_record = false;
                (self.proven, self.overcome) = (None, None);
                self.refused_at = Some(self.generation.max(self.min_generation).number());
                return LoginOutcome::Failed(self.governor.rejected(rejection));
            }
            Reading::Failed { cause, pause } => (cause, pause),
        };
        if !same_credentials {
            return LoginOutcome::Stale { orphan: None };
        }
        LoginOutcome::Failed(self.governor.failed(cause, pause, now))
    }

    /// The request that logs out an orphan.
    fn orphan(&self, reading: Reading) -> Option<Box<Request<FormBody>>> {
        let Reading::Token { token, .. } = reading else {
            return None;
        };
        let pass = self.make_pass(Generation::default(), token)?;
        self.requests.logout(&pass).map(Box::new)
    }
}
