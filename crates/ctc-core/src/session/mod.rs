//! The session: a state machine that takes reports of what happened and returns what to do.
//!
//! The manual's page `driving_it_yourself` draws its states. [`Phase`] is not stored but derived
//! from three independent facts: the token, the login in progress, and whether the governor allows
//! a login. So a renewal can run, and fail, while the old token stays in use.

mod call;
mod credentials;
mod denial;
mod governor;
mod login;
mod login_response;
mod observe;
mod open_record;
mod overview;
mod pass;
mod pending_login;
mod phase;
mod record;
mod renewal;
mod resume;
mod routes;
mod unprotected;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Request;

pub use call::{Call, Route, Unauthorized, Verdict};
pub use denial::{Denial, LoginFailure, RejectionReason};
pub use login::{Admit, LoginOrder, LoginOutcome, LoginTicket, NoResponse, Resumed, SendFailure};
pub use login_response::{LoginReader, LoginReading};
pub use open_record::{OpenRecord, SealSeed};
pub use overview::{RecordOverview, TokenOverview};
pub use pass::{BoundPass, Generation, Pass, StampError};
pub use phase::Phase;
pub use record::{RecordKey, Refusal, SealedParts, SealedToken, SessionRecord, TokenFacts};
pub use unprotected::UnprotectedToken;

use crate::Endpoint;
use crate::oauth::OAuth;
use crate::secret::{AppKey, AuthToken, Credentials, FormBody};
use crate::settings::{Settings, SettingsError};
use crate::time::Instant;
use crate::wire::Requests;
use governor::Governor;
use open_record::{Account, Clocks, Marks, Snapshot, TokenTimes};
use pending_login::PendingLogin;
use renewal::RenewalTimes;
use routes::RejectedRoutes;

/// One account's session with one CTC instance.
///
/// Every method that needs the time takes `now`. A `now` before the last one counts as the last
/// one. The methods never block or panic, and change nothing if a report arrives too late.
pub struct Session {
    endpoint: Endpoint,
    key: AppKey,
    /// `None`: each login asks for them, and they are not kept.
    credentials: Option<Credentials>,
    settings: Settings,
    requests: Requests,
    marks: Marks,

    open: Option<Open>,
    pending_login: Option<PendingLogin>,
    governor: Governor,
    closed: bool,

    /// Of the newest token, valid or not.
    generation: Generation,
    /// Of the newest token in a store: the next login here gets a higher one.
    min_generation: Generation,
    /// Of the last token that came from a store's record: another process obtained it, and it may
    /// be invalid already.
    adopted: Option<Generation>,
    /// Whose the newest token is: it is sealed for the credentials that obtained it, whatever the
    /// session's are by now.
    obtained_by: SealSeed,
    /// The token that the server last rejected, so that it is not adopted again.
    rejected_token: Option<RejectedToken>,
    /// The token that was last logged out, so that it is not adopted again from a store.
    logged_out: Option<RejectedToken>,
    rejected_routes: RejectedRoutes,
    /// A rejection was lifted; ignore a record that still has it.
    overrides_record: bool,
    /// When a login here last succeeded with the current credentials. A record from before is out
    /// of date about them.
    proven: Option<Proven>,
    /// The record's number at the last known rejection of the current credentials, and the highest
    /// one before a login here succeeded: a process with another password may copy such a rejection
    /// into a record that is newer than that success.
    refused_at: Option<u64>,
    overcome: Option<u64>,

    epoch: Epoch,
    latest: Option<Instant>,
    /// Distinguishes this session's tickets from those of other sessions.
    owner: Arc<()>,
    tickets: u64,
}

#[derive(Debug)]
struct Open {
    pass: Pass,
    /// Its number as others know it. The pass has a higher one if this session counted on, as with
    /// each close, before it took the token from a record: which of two tokens is newer, only
    /// numbers of records tell.
    recorded: Generation,
    /// When it was obtained; `None` for a record's token of unknown age.
    since: Option<Instant>,
    /// A route rejected it although it was obtained for that call: that login did not help.
    futile: bool,
    /// From the cookie it is a hint: only the server ends such a token, so no decision depends on
    /// it. The OAuth login states it; see [`Session::known_end`].
    ends: Option<Instant>,
    /// When it is renewed early, if it is.
    renewal: Option<RenewalTimes>,
}

impl Open {
    /// Treat a token of unknown age as old: its 401 is not about the route, and its end is not a
    /// short lifetime.
    fn age(&self, now: Instant) -> Duration {
        self.since
            .map_or(Duration::MAX, |since| now.saturating_duration_since(since))
    }
}

/// When a login succeeded.
#[derive(Clone, Copy, Debug)]
struct Proven {
    at: Instant,
    /// By the wall clock, which a machine's sleep does not stop.
    arrived: Option<SystemTime>,
}

#[derive(Debug)]
struct RejectedToken {
    token: AuthToken,
    /// As others know it.
    generation: Generation,
}

/// Counts the transitions that may release a waiting caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch(u64);

/// Wait until the session's [`Epoch`] is no longer `epoch`, or until `deadline`; then ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The epoch at the time of asking.
    pub epoch: Epoch,
    /// When to ask again at the latest: the end of the login's lease, or of its time limit.
    pub deadline: Instant,
}

impl Session {
    /// Creates a session that has not logged in yet.
    ///
    /// # Errors
    /// Returns [`SettingsError`] if the settings contradict each other.
    pub fn new(
        endpoint: Endpoint,
        key: AppKey,
        credentials: Credentials,
        settings: Settings,
    ) -> Result<Self, SettingsError> {
        let mut session = Self::without_credentials(endpoint, key, settings)?;
        session.marks = Marks::of(session.account(), &credentials);
        session.credentials = Some(credentials);
        Ok(session)
    }

    /// Creates a session that asks for its credentials at each login ([`Admit::NeedCredentials`])
    /// and keeps no password, only the key that seals its tokens for a store.
    ///
    /// # Errors
    /// Returns [`SettingsError`] if the settings contradict each other.
    pub fn without_credentials(
        endpoint: Endpoint,
        key: AppKey,
        settings: Settings,
    ) -> Result<Self, SettingsError> {
        settings.check(&endpoint)?;
        let marks = Marks::unknown();
        Ok(Self {
            requests: Requests::new(&endpoint, &settings)?,
            obtained_by: marks.seed.clone(),
            marks,
            governor: Governor::new(settings.fair_use.clone(), settings.seed),
            endpoint,
            key,
            credentials: None,
            settings,
            open: None,
            pending_login: None,
            closed: false,
            generation: Generation::default(),
            min_generation: Generation::default(),
            adopted: None,
            rejected_token: None,
            logged_out: None,
            rejected_routes: RejectedRoutes::default(),
            overrides_record: false,
            proven: None,
            refused_at: None,
            overcome: None,
            epoch: Epoch::default(),
            latest: None,
            owner: Arc::new(()),
            tickets: 0,
        })
    }

    /// Decides whether a call may be sent, and with which token.
    ///
    /// A caller may be elected to renew a valid token before its [known end](Self::known_end): it
    /// gets the login, makes it and asks again, as without a token. Close to the end all others
    /// [wait](Admit::Wait) for that login. If it fails, they proceed with the old token.
    pub fn admit(&mut self, call: &mut Call, now: Instant) -> Admit {
        let now = self.tick(now);
        if self.closed {
            return Admit::Deny(Denial::Closed);
        }
        if let Some(open) = &self.open
            && !self.renewal_is_due(now)
        {
            call.carry(open.pass.generation());
            return Admit::Proceed(open.pass.clone());
        }
        let response = self.elect(now);
        call.saw_login |= !matches!(response, Admit::Deny(_));
        if self.open.is_some() && !matches!(response, Admit::Wait(_)) {
            // The renewal is no longer due: waiting callers must ask again.
            self.advance_epoch();
        }
        response
    }

    /// Asks for a login although there is a token. The token stays in use until the new one
    /// arrives, and after a failure. Never returns [`Admit::Proceed`].
    ///
    /// Fair use asks you to keep a token until the server rejects it. Renew earlier only for a
    /// reason, such as planned maintenance.
    pub fn renew(&mut self, now: Instant) -> Admit {
        let now = self.tick(now);
        if self.closed {
            Admit::Deny(Denial::Closed)
        } else {
            self.elect(now)
        }
    }

    /// Closes the session immediately and discards the token. If there was a token, returns the
    /// request that ends it on the server: send it if you can; its response changes nothing.
    ///
    /// Its path is our assumption ([`Settings::logout_path`]). The token is not adopted again from
    /// a store's record after [`reopen`](Self::reopen).
    pub fn logout(&mut self) -> Option<Request<FormBody>> {
        let recorded = self.open.as_ref().map(|open| open.recorded);
        let pass = self.close()?;
        self.logged_out = recorded.map(|generation| RejectedToken {
            token: pass.token().clone(),
            generation,
        });
        self.requests.logout(&pass)
    }

    /// Closes the session immediately and discards the token, which stays valid on the server.
    /// Returns its pass. Calls in progress finish and cause no login.
    pub fn close(&mut self) -> Option<Pass> {
        let open = self.open.take();
        self.closed = true;
        if let Some(pending_login) = &mut self.pending_login {
            pending_login.superseded = true;
        }
        self.forget_account();
        self.advance_epoch();
        open.map(|open| open.pass)
    }

    /// Allows a closed session to log in again.
    pub fn reopen(&mut self) {
        if self.closed {
            self.closed = false;
            self.advance_epoch();
        }
    }

    /// Returns the session in the clear. `ctc-driver` seals it into the record of a store.
    pub fn record(&self, now: Instant, wall: SystemTime) -> OpenRecord {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        let token = self.open.as_ref().map(|open| {
            let times = TokenTimes {
                token: open.pass.token().clone(),
                since: open.since,
                ends: open.ends,
            };
            (times, open.recorded, self.obtained_by.clone())
        });
        let snapshot = Snapshot {
            origin: self.endpoint.origin(),
            marks: &self.marks,
            generation: self.open.as_ref().map_or_else(
                || self.generation.max(self.min_generation),
                |open| open.pass.generation(),
            ),
            token,
            history: self.governor.history(now),
        };
        OpenRecord::take(snapshot, Clocks { now, wall })
    }

    /// The input of the key to this session's sealed records.
    #[doc(hidden)]
    pub fn seal_seed(&self) -> SealSeed {
        self.marks.seed.clone()
    }

    /// Returns the key under which the session's record is filed. The account is empty until a
    /// session [without](Self::without_credentials) credentials gets its first.
    pub fn record_key(&self) -> RecordKey {
        RecordKey {
            origin: self.endpoint.origin().to_owned(),
            account: self.marks.account.clone(),
        }
    }

    /// Returns the pass for calls while the session is open: a driver publishes it.
    pub fn pass(&self) -> Option<&Pass> {
        self.open.as_ref().map(|open| &open.pass)
    }

    /// Returns the epoch, which changes whenever waiting callers must ask again.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns whether to pass every response to [`observe`](Self::observe): a rejected route is
    /// remembered, and a response other than 401 would end that. It becomes false with the first
    /// response that is observed after the memory has expired.
    pub fn needs_every_response(&self) -> bool {
        self.latest
            .is_some_and(|now| self.rejected_routes.has_any(now))
    }

    /// Returns the reader of responses to logins, which works without the session: see
    /// [`LoginReader`].
    pub fn login_reader(&self) -> LoginReader {
        LoginReader::new(&self.settings.login, self.settings.login_rule.clone())
    }

    /// Returns the origin that the session is bound to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns whether the API or the token endpoint is a server on this machine without TLS. If
    /// so, requests must not go through a proxy.
    pub fn is_plain_http(&self) -> bool {
        let issuer = self.settings.login.oauth().map(OAuth::endpoint);
        self.endpoint.is_plain_http() || issuer.is_some_and(Endpoint::is_plain_http)
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Opens the session with the next generation, or with `recorded` if that is higher.
    fn open_with(&mut self, found: TokenTimes, recorded: Option<Generation>) -> Option<Generation> {
        let TokenTimes { token, since, ends } = found;
        let own = self.generation.next();
        let generation = recorded.map_or_else(
            || own.max(self.min_generation.next()),
            |recorded| own.max(recorded),
        );
        let pass = self.make_pass(generation, token)?;
        let renewal = self.renewal_times(since, ends);
        self.generation = generation;
        self.open = Some(Open {
            pass,
            recorded: recorded.unwrap_or(generation),
            since,
            futile: false,
            ends,
            renewal,
        });
        if recorded.is_some() {
            self.adopted = Some(generation);
        }
        self.advance_epoch();
        Some(generation)
    }

    fn account(&self) -> Account<'_> {
        Account {
            endpoint: &self.endpoint,
            key: &self.key,
            login: &self.settings.login,
        }
    }

    fn make_pass(&self, generation: Generation, token: AuthToken) -> Option<Pass> {
        let oauth = self.settings.login.oauth();
        let sends_key = oauth.is_none_or(OAuth::sends_app_key);
        Pass::new(
            generation,
            self.endpoint.clone(),
            Some(&self.key).filter(|_| sends_key),
            token,
            self.settings.attachment(),
        )
    }

    /// Resets what is known so far; a late response to an earlier call has no effect.
    fn forget_account(&mut self) {
        self.generation = self.generation.next();
        self.rejected_token = None;
        self.rejected_routes.clear();
    }

    fn has_rejected(&self, token: &AuthToken) -> bool {
        self.rejected_token
            .as_ref()
            .is_some_and(|refused| refused.token.is_same(token))
    }

    fn tick(&mut self, now: Instant) -> Instant {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(now);
        now
    }

    fn advance_epoch(&mut self) {
        self.epoch.0 = self.epoch.0.wrapping_add(1);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("endpoint", &self.endpoint)
            .field("open", &self.open)
            .field("pending_login", &self.pending_login)
            .field("governor", &self.governor)
            .field("closed", &self.closed)
            .field("generation", &self.generation)
            .field("min_generation", &self.min_generation)
            .field(
                "refused",
                &self
                    .rejected_token
                    .as_ref()
                    .map(|refused| refused.generation),
            )
            .field(
                "logged_out",
                &self.logged_out.as_ref().map(|ended| ended.generation),
            )
            .field("adopted", &self.adopted)
            .field("rejected_routes", &self.rejected_routes)
            .field("overrides_record", &self.overrides_record)
            .field("proven", &self.proven)
            .field("refused_at", &self.refused_at)
            .field("overcome", &self.overcome)
            .field("epoch", &self.epoch)
            .field("latest", &self.latest)
            .finish_non_exhaustive()
    }
}
