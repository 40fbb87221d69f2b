//! The session: a state machine that is told what happened and says what to do.
//!
//! ```text
//!              admit (first caller)                 200 + authToken
//!    Empty ───────────────────────────▶ Opening ───────────────────────▶ Open(generation n)
//!      ▲                                 │  │  │                            │
//!      │  ticket abandoned / lease over  │  │  └─ refused ─▶ Rejected       │ 401 on generation n and a login
//!      ├─────────────────────────────────┘  └─ trouble ─▶ Cooling(until)    │ may be made; a clearing cookie
//!      └────────────────────────────────────────────────────────────────────┘
//!    any ── logout() / close() ─▶ Closed         Cooling ── until passed ─▶ Empty
//!    Rejected ── set_credentials() / reset() ─▶ Empty      Closed ── reopen() ─▶ Empty
//! ```
//!
//! Inside, [`Phase`] is derived from three facts that change on their own: is there a token, is a login on its
//! way, and does the governor allow one. That is why a renewal can run, and fail, while the old token serves.

mod call;
mod governor;
mod login;
mod pass;
mod record;
mod routes;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Request, Response, StatusCode};

pub use call::{Call, Route, Unauthorized, Verdict};
pub use login::{Admit, Denial, LoginFailure, LoginOrder, LoginOutcome, LoginTicket, Resumed, SendFailure};
pub use pass::{Generation, Pass, StampError};
pub use record::{RecordKey, SessionRecord};

use crate::Endpoint;
use crate::secret::{AppKey, AuthToken, Credentials, FormBody};
use crate::settings::{FairUse, Settings, SettingsError};
use crate::time::{Instant, later};
use crate::wire::{Requests, TokenChange, read_token_change};
use governor::{Governor, Stop};
use login::LoginReading;
use record::{Clocks, Marks, Snapshot, TokenTimes};
use routes::RefusedRoutes;

/// One account's session with one CTC instance.
///
/// Every method that needs the time takes `now`. A `now` older than the last one seen counts as the last one.
/// The methods never block, never panic, and change nothing when a report comes too late.
pub struct Session {
    endpoint: Endpoint,
    key: AppKey,
    credentials: Credentials,
    settings: Settings,
    requests: Requests,
    marks: Marks,

    open: Option<Open>,
    flight: Option<Flight>,
    governor: Governor,
    closed: bool,

    /// Of the newest token, whether it still serves or not.
    generation: Generation,
    /// The token that the server last refused, so that it is not taken up again.
    refused: Option<AuthToken>,
    refused_routes: RefusedRoutes,
    /// Someone lifted a rejection; a record that still holds it does not count.
    overrides_record: bool,

    epoch: Epoch,
    latest: Option<Instant>,
    /// Tells this session's tickets from those of any other.
    owner: Arc<()>,
    tickets: u64,
}

#[derive(Debug)]
struct Open {
    pass: Pass,
    since: Instant,
    /// A hint from the cookie. The server alone ends a token, so nothing is decided by it.
    ends: Option<Instant>,
}

#[derive(Debug)]
struct Flight {
    ticket: u64,
    started: Instant,
    lease_until: Instant,
    credentials: Credentials,
}

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// No token, and the next caller may log in (as far as the budget allows).
    Empty,
    /// A login is on its way.
    Opening,
    /// There is a token. A renewal may be on its way all the same.
    Open(Generation),
    /// No token, and the last login failed: the next is allowed at `until`.
    Cooling {
        /// When the pause ends.
        until: Instant,
    },
    /// No token, and the credentials were refused.
    Rejected {
        /// The status of the refusal.
        status: StatusCode,
    },
    /// Logged out.
    Closed,
}

/// Counts the transitions that may free a waiter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch(u64);

/// Wait until the session's [`Epoch`] is no longer `epoch`, or until `deadline`; then ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The epoch at the time of asking.
    pub epoch: Epoch,
    /// When the login's lease ends.
    pub deadline: Instant,
}

impl Session {
    /// A session that has not logged in yet.
    ///
    /// # Errors
    /// [`SettingsError`] when the settings contradict each other.
    pub fn new(
        endpoint: Endpoint,
        key: AppKey,
        credentials: Credentials,
        settings: Settings,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            requests: Requests::new(&endpoint, &settings)?,
            marks: Marks::of(&endpoint, &key, &credentials),
            governor: Governor::new(settings.fair_use.clone(), settings.seed),
            endpoint,
            key,
            credentials,
            settings,
            open: None,
            flight: None,
            closed: false,
            generation: Generation::default(),
            refused: None,
            refused_routes: RefusedRoutes::default(),
            overrides_record: false,
            epoch: Epoch::default(),
            latest: None,
            owner: Arc::new(()),
            tickets: 0,
        })
    }

    /// May this call go out, and with what?
    pub fn admit(&mut self, call: &mut Call, now: Instant) -> Admit {
        let now = self.tick(now);
        if self.closed {
            return Admit::Deny(Denial::Closed);
        }
        if let Some(open) = &self.open {
            call.carry(open.pass.generation());
            return Admit::Proceed(open.pass.clone());
        }
        let answer = self.elect(now);
        call.saw_login |= matches!(answer, Admit::Login(_) | Admit::Wait(_));
        answer
    }

    /// Asks for a login although there is a token, which goes on serving until the new one is there, and after
    /// a failure too. Never answers [`Admit::Proceed`].
    ///
    /// Fair use asks to keep a token until it is refused: this is for a caller who knows better.
    pub fn renew(&mut self, now: Instant) -> Admit {
        let now = self.tick(now);
        if self.closed { Admit::Deny(Denial::Closed) } else { self.elect(now) }
    }

    /// What does this answer say about the session, and what is to become of it?
    ///
    /// Needed only for a 401, for an answer with `Set-Cookie`, and while
    /// [`watches_routes`](Self::watches_routes): any other is [`Verdict::Deliver`] and changes nothing.
    pub fn observe(
        &mut self,
        call: &mut Call,
        route: Route,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Verdict {
        let now = self.tick(now);
        let Some(carried) = call.carried else { return Verdict::Deliver };
        if carried == self.generation && !self.closed {
            self.take_token_change(status, headers, now);
        }
        if status != StatusCode::UNAUTHORIZED {
            self.refused_routes.forget(route);
            return Verdict::Deliver;
        }
        if self.closed {
            return Verdict::Unauthorized(Unauthorized::Closed);
        }
        if let Some(open) = self.open.as_ref().filter(|open| open.pass.generation() == carried) {
            let fair_use = &self.settings.fair_use;
            let fresh = now.saturating_duration_since(open.since) < fair_use.short_life;
            if fresh && (call.saw_login || call.replayed) {
                self.refused_routes.mark(route, fair_use.refused_route_memory, now);
                return Verdict::Unauthorized(Unauthorized::RouteRefused);
            }
            if self.refused_routes.knows(route, now) {
                return Verdict::Unauthorized(Unauthorized::RouteRefused);
            }
            // A 401 takes the token away only when another can be had for it.
            if !self.is_flying(now)
                && let Err(denial) = self.governor.permit(now)
            {
                return Verdict::Unauthorized(Unauthorized::NoLogin(denial));
            }
            self.drop_token(now);
        }
        call.replay()
    }

    /// Reports the answer to a login.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn login_response<B>(
        &mut self,
        ticket: LoginTicket,
        response: &Response<B>,
        now: Instant,
    ) -> LoginOutcome {
        let now = self.tick(now);
        let reading = LoginReading::of(response.status(), response.headers(), self.settings.login_rule);
        let Some(flight) = self.land(&ticket, now) else {
            return LoginOutcome::Stale { orphan: self.orphan(reading) };
        };
        self.settle(&flight, reading, now)
    }

    /// Reports a login that had no answer.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn login_failed(&mut self, ticket: LoginTicket, failure: SendFailure, now: Instant) -> LoginOutcome {
        let now = self.tick(now);
        let Some(flight) = self.land(&ticket, now) else {
            return LoginOutcome::Stale { orphan: None };
        };
        let cause = match failure {
            SendFailure::NotSent => LoginFailure::NotSent,
            SendFailure::MaybeSent => LoginFailure::MaybeSent,
            SendFailure::StoreBusy => LoginFailure::StoreBusy,
        };
        if failure != SendFailure::MaybeSent {
            self.governor.refund(now);
        }
        self.settle(&flight, LoginReading::Failed { cause, pause: None }, now)
    }

    /// Before the login is sent: offers the record that a store holds, read under the store's lock.
    ///
    /// A token that is newer than the one refused is adopted. Otherwise the record's history counts as this
    /// session's own: other processes' logins, a pause, a rejection of these very credentials.
    pub fn login_resumed(
        &mut self,
        ticket: LoginTicket,
        record: &SessionRecord,
        now: Instant,
        wall: SystemTime,
    ) -> Resumed {
        let clocks = Clocks { now: self.tick(now), wall };
        if !self.holds(&ticket, clocks.now) {
            return Resumed::Stale;
        }
        if !record.belongs_to(self.endpoint.origin(), &self.marks) {
            return Resumed::Continue(ticket);
        }
        // Not sent yet, so not counted yet.
        self.governor.refund(clocks.now);
        let history = record.history(&self.marks, self.longest_pause(), clocks);
        let history =
            if self.overrides_record { governor::History { stop: None, ..history } } else { history };
        self.governor.learn(history, clocks.now);
        if let Some(generation) = self.adopt(&ticket, record, clocks) {
            return Resumed::Adopted(generation);
        }
        match self.governor.permit(clocks.now) {
            Ok(()) => {
                self.governor.debit(clocks.now);
                Resumed::Continue(ticket)
            }
            Err(denial) => {
                self.land(&ticket, clocks.now);
                Resumed::Denied(denial)
            }
        }
    }

    /// After a login that did not succeed and before it is reported: another process may have logged in at the
    /// same time. Adopts the record's token when it is newer; never [`Resumed::Denied`].
    pub fn login_overtaken(
        &mut self,
        ticket: LoginTicket,
        record: &SessionRecord,
        now: Instant,
        wall: SystemTime,
    ) -> Resumed {
        let clocks = Clocks { now: self.tick(now), wall };
        if !self.holds(&ticket, clocks.now) {
            return Resumed::Stale;
        }
        if !record.belongs_to(self.endpoint.origin(), &self.marks) {
            return Resumed::Continue(ticket);
        }
        self.adopt(&ticket, record, clocks).map_or(Resumed::Continue(ticket), Resumed::Adopted)
    }

    /// Whether a report with this ticket still counts. A login that is not sent yet is better not sent when it
    /// does not: the session was closed, or the lease is over.
    pub fn holds(&self, ticket: &LoginTicket, now: Instant) -> bool {
        self.is_ours(ticket) && self.is_flying(now)
    }

    /// The elected caller goes away without a report; the next caller is elected. Callable from `Drop`.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn abandon(&mut self, ticket: LoginTicket) {
        if self.is_ours(&ticket) {
            self.flight = None;
            self.bump();
        }
    }

    /// Closes the session at once and forgets the token. The request, when there was a token, ends it on the
    /// server: sending it is best effort, and its answer changes nothing.
    ///
    /// Its address is our assumption ([`Settings::logout_path`]).
    pub fn logout(&mut self) -> Option<Request<FormBody>> {
        self.close().and_then(|pass| self.requests.logout(&pass))
    }

    /// Closes the session at once and forgets the token, which stays valid on the server. Returns what was its
    /// pass. Calls under way finish; none triggers a login.
    pub fn close(&mut self) -> Option<Pass> {
        let open = self.open.take();
        self.closed = true;
        self.flight = None;
        self.forget_account();
        self.bump();
        open.map(|open| open.pass)
    }

    /// Lets a closed session log in again.
    pub fn reopen(&mut self) {
        if self.closed {
            self.closed = false;
            self.bump();
        }
    }

    /// Takes new credentials: a rejection or pause is lifted, a login under way with the old ones no longer
    /// decides anything but its own success. The token stays unless the user name is another.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        if credentials.username() != self.credentials.username() {
            self.open = None;
            self.forget_account();
        }
        self.marks = Marks::of(&self.endpoint, &self.key, &credentials);
        self.credentials = credentials;
        self.governor.reset();
        self.bump();
    }

    /// Lifts a rejection or a pause with the same credentials, say after an account was unlocked. The login
    /// budget stays as it is.
    pub fn reset(&mut self) {
        self.governor.reset();
        self.refused_routes.clear();
        self.overrides_record = true;
        self.bump();
    }

    /// The session as a store should keep it.
    pub fn record(&self, now: Instant, wall: SystemTime) -> SessionRecord {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        let token = self.open.as_ref().map(|open| TokenTimes {
            token: open.pass.token().clone(),
            since: open.since,
            ends: open.ends,
        });
        let snapshot = Snapshot {
            origin: self.endpoint.origin(),
            marks: &self.marks,
            generation: self.generation,
            token,
            history: self.governor.history(now),
        };
        SessionRecord::take(snapshot, Clocks { now, wall })
    }

    /// What the session's record is filed under.
    pub fn record_key(&self) -> RecordKey {
        RecordKey { origin: self.endpoint.origin().to_owned(), account: self.marks.account.clone() }
    }

    /// Where the session stands.
    pub fn phase(&self, now: Instant) -> Phase {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        if self.closed {
            return Phase::Closed;
        }
        if let Some(open) = &self.open {
            return Phase::Open(open.pass.generation());
        }
        if self.is_flying(now) {
            return Phase::Opening;
        }
        match self.governor.stop_at(now) {
            Some(Stop::Cooling { until, .. }) => Phase::Cooling { until: *until },
            Some(Stop::Rejected { status }) => Phase::Rejected { status: *status },
            None => Phase::Empty,
        }
    }

    /// The pass that calls go out with while the session is open: what a driver publishes.
    pub fn pass(&self) -> Option<&Pass> {
        self.open.as_ref().map(|open| &open.pass)
    }

    /// Changes whenever a waiter may have something to do.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether every answer is worth an [`observe`](Self::observe): some route's 401 is remembered, and an answer
    /// other than 401 would end that.
    pub fn watches_routes(&self) -> bool {
        !self.refused_routes.is_empty()
    }

    /// When something ends by itself: a login's lease or a pause. `None` when nothing will.
    pub fn next_deadline(&self) -> Option<Instant> {
        let lease = self.flight.as_ref().map(|flight| flight.lease_until);
        let pause = self.latest.and_then(|now| match self.governor.stop_at(now) {
            Some(Stop::Cooling { until, .. }) => Some(*until),
            _ => None,
        });
        lease.into_iter().chain(pause).min()
    }

    /// The origin that the session is bound to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// No token: a login on its way is waited for; otherwise the asking caller makes it, if one may be made.
    fn elect(&mut self, now: Instant) -> Admit {
        if let Some(flight) = &self.flight {
            if flight.lease_until > now {
                return Admit::Wait(Wait { epoch: self.epoch, deadline: flight.lease_until });
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
        });
        Admit::Login(Box::new(LoginOrder {
            ticket: LoginTicket { owner: Arc::clone(&self.owner), number: self.tickets },
            request: self.requests.login(&self.key, &self.credentials),
        }))
    }

    /// Acts on the answer to a login that still counts.
    fn settle(&mut self, flight: &Flight, reading: LoginReading, now: Instant) -> LoginOutcome {
        self.overrides_record = false;
        let same_account = flight.credentials.username() == self.credentials.username();
        let failed = match reading {
            LoginReading::Token { .. } if !same_account => return LoginOutcome::Stale { orphan: None },
            LoginReading::Token { token, .. } if self.refused.as_ref() == Some(&token) => {
                // Once only: a server that knows one token an account must not lock it out for ever.
                self.refused = None;
                (LoginFailure::SameToken, None)
            }
            LoginReading::Token { token, lifetime } => {
                let ends = lifetime.map(|lifetime| later(flight.started, lifetime));
                match self.open_with(TokenTimes { token, since: flight.started, ends }, Generation::default())
                {
                    Some(generation) => {
                        self.governor.succeeded();
                        return LoginOutcome::Opened(generation);
                    }
                    None => (LoginFailure::UnusableToken, None),
                }
            }
            // Old credentials were refused: that says nothing about the new ones.
            LoginReading::Refused(_) if !flight.credentials.is_same(&self.credentials) => {
                return LoginOutcome::Stale { orphan: None };
            }
            LoginReading::Refused(status) => return LoginOutcome::Failed(self.governor.rejected(status)),
            LoginReading::Failed { cause, pause } => (cause, pause),
        };
        LoginOutcome::Failed(self.governor.failed(failed.0, failed.1, now))
    }

    /// The request that ends a token which came when the session was closed already.
    fn orphan(&self, reading: LoginReading) -> Option<Box<Request<FormBody>>> {
        let LoginReading::Token { token, .. } = reading else { return None };
        let pass = self.closed.then(|| self.make_pass(Generation::default(), token))??;
        self.requests.logout(&pass).map(Box::new)
    }

    /// Takes up a record's token when it is newer than the one refused.
    fn adopt(&mut self, ticket: &LoginTicket, record: &SessionRecord, clocks: Clocks) -> Option<Generation> {
        let found = record.token_times(clocks)?;
        let held = self.open.as_ref().map(|open| open.pass.token());
        if [self.refused.as_ref(), held].contains(&Some(&found.token)) {
            return None;
        }
        let generation = self.open_with(found, record.generation())?;
        self.land(ticket, clocks.now);
        self.overrides_record = false;
        Some(generation)
    }

    fn open_with(&mut self, found: TokenTimes, at_least: Generation) -> Option<Generation> {
        let TokenTimes { token, since, ends } = found;
        let generation = self.generation.next().max(at_least);
        let pass = self.make_pass(generation, token)?;
        self.generation = generation;
        self.open = Some(Open { pass, since, ends });
        self.bump();
        Some(generation)
    }

    fn make_pass(&self, generation: Generation, token: AuthToken) -> Option<Pass> {
        Pass::new(generation, self.endpoint.clone(), &self.key, token, self.settings.attachment)
    }

    /// What an answer to a call with the newest token says about that token.
    fn take_token_change(&mut self, status: StatusCode, headers: &HeaderMap, now: Instant) {
        match read_token_change(headers) {
            // The 401 says that a login is needed, whatever else it carries.
            TokenChange::Set { .. } if status == StatusCode::UNAUTHORIZED => {}
            TokenChange::Set { token, lifetime } => {
                let ends = lifetime.map(|lifetime| later(now, lifetime));
                match &mut self.open {
                    Some(open) if *open.pass.token() == token => open.ends = ends,
                    _ if self.refused.as_ref() == Some(&token) => {}
                    _ => {
                        self.open_with(TokenTimes { token, since: now, ends }, Generation::default());
                    }
                }
            }
            TokenChange::Cleared => self.drop_token(now),
            TokenChange::None | TokenChange::Unusable => {}
        }
    }

    /// What is known so far no longer counts; a late answer to an earlier call says nothing any more.
    fn forget_account(&mut self) {
        self.generation = self.generation.next();
        self.refused = None;
        self.refused_routes.clear();
    }

    fn drop_token(&mut self, now: Instant) {
        if let Some(open) = self.open.take() {
            self.governor.token_died(now.saturating_duration_since(open.since), now);
            self.refused = Some(open.pass.token().clone());
            self.bump();
        }
    }

    /// Ends the flight that the ticket stands for, if it still counts.
    fn land(&mut self, ticket: &LoginTicket, now: Instant) -> Option<Flight> {
        if !self.is_ours(ticket) {
            return None;
        }
        self.bump();
        self.flight.take().filter(|flight| flight.lease_until > now)
    }

    /// Whether a login is on its way and its lease is not over.
    fn is_flying(&self, now: Instant) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.lease_until > now)
    }

    fn is_ours(&self, ticket: &LoginTicket) -> bool {
        let same_session = Arc::ptr_eq(&ticket.owner, &self.owner);
        same_session && self.flight.as_ref().is_some_and(|flight| flight.ticket == ticket.number)
    }

    fn longest_pause(&self) -> Duration {
        let FairUse { backoff_cap, retry_after_cap, .. } = self.settings.fair_use;
        backoff_cap.max(retry_after_cap)
    }

    fn tick(&mut self, now: Instant) -> Instant {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(now);
        now
    }

    fn bump(&mut self) {
        self.epoch.0 = self.epoch.0.wrapping_add(1);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("endpoint", &self.endpoint)
            .field("open", &self.open)
            .field("flight", &self.flight)
            .field("governor", &self.governor)
            .field("closed", &self.closed)
            .field("generation", &self.generation)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
