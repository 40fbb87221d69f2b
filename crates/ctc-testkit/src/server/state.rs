//! The server's state, behind one lock that is never held while waiting.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;
use tokio::sync::watch;

use super::{
    accounts::Accounts,
    cookies::{self, Mint, TokenStyle},
    fault::{Fault, Matcher, Rule, RuleId, Times},
    inspect::{self, Credentials, Presented, Revocation, TokenRequest},
    journal::{Class, Counts, Entry, Origin, Violation},
    rate_limit::RateLimit,
    received::Received,
    settings::Settings,
    tokens::{Kind, Tokens},
};

pub(super) struct Shared {
    pub(super) settings: Settings,
    /// The accounts at the start.
    accounts: Vec<(String, String)>,
    state: Mutex<State>,
    changed: Condvar,
    gate: watch::Sender<u64>,
}

pub(super) struct State {
    pub(super) mint: Mint,
    pub(super) tokens: Tokens,
    pub(super) counts: Counts,
    pub(super) clock_offset: i64,
    pub(super) accounts: Accounts,
    pub(super) rate_limit: RateLimit,
    pub(super) notes: BTreeMap<u64, Vec<String>>,
    /// The token in the response that is being built.
    pub(super) issued: Option<String>,
    /// Increases with every change, so that no waiting caller misses one.
    changes: u64,
    journal: VecDeque<Entry>,
    last_seq: u64,
    rules: Vec<ActiveRule>,
    last_rule: u64,
    logins_in_flight: HashMap<String, u64>,
    advanced: Duration,
    token_lifetime: Option<Duration>,
}

/// A request that was checked and recorded, and that now waits for its response.
pub(super) struct Arrival {
    pub(super) seq: u64,
    pub(super) class: Class,
    pub(super) checked: Checked,
    pub(super) faults: Vec<Fault>,
}

/// The meaning of a request.
pub(super) enum Checked {
    Login(Credentials),
    Token(TokenRequest),
    Revocation(Revocation),
    /// A call or logout with this token.
    Call(String),
    Broken(Violation),
    /// Nothing to check: a control request, or a path outside the interface.
    Free,
}

/// A rule that is not used up, as the control path shows it.
#[derive(Debug, Serialize)]
pub(super) struct ActiveRule {
    #[serde(rename = "rule")]
    id: RuleId,
    #[serde(flatten)]
    rule: Rule,
    /// How many requests it matched.
    matches: u32,
    /// How many requests it applied to.
    strikes: u32,
}

impl Shared {
    pub(super) fn new(settings: Settings, accounts: Vec<(String, String)>) -> Self {
        Self {
            state: Mutex::new(State::new(&settings, accounts.clone())),
            settings,
            accounts,
            changed: Condvar::new(),
            gate: watch::Sender::new(0),
        }
    }

    /// Restores the state of the start, except the numbers of requests and rules, which are never
    /// reused. Releases held requests.
    pub(super) fn reset_all(&self) {
        self.change(|state| {
            let new = State::new(&self.settings, self.accounts.clone());
            let old = std::mem::replace(state, new);
            state.last_seq = old.last_seq;
            state.last_rule = old.last_rule;
            state.changes = old.changes;
            state.counts.held = old.counts.held;
            state.logins_in_flight = old.logins_in_flight;
        });
        self.release();
    }

    /// Changes the state and wakes waiting callers.
    pub(super) fn change<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.changes += 1;
        let result = with(&mut state);
        drop(state);
        self.changed.notify_all();
        result
    }

    /// Holds a request until the next release, and counts it as held meanwhile.
    pub(super) async fn hold(&self) {
        let mut gate = self.gate.subscribe();
        let _held = Held::enter(self);
        // `self` owns the sender, so only a release ends this.
        let _ = gate.changed().await;
    }

    /// Releases all held requests.
    pub(super) fn release(&self) {
        self.gate.send_modify(|generation| *generation += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts()
    }

    pub(super) fn journal(&self) -> Vec<Entry> {
        self.lock().journal.iter().cloned().collect()
    }

    /// Waits until the counts satisfy `wanted`. Returns the last counts if they do not in time.
    pub(super) fn wait_until(
        &self,
        wanted: impl Fn(&Counts) -> bool,
        timeout: Duration,
    ) -> Result<Counts, Counts> {
        let start = Instant::now();
        loop {
            let (counts, seen) = {
                let mut state = self.lock();
                (state.counts(), state.changes)
            };
            // Without the lock, because `wanted` may call the server.
            let left = timeout.saturating_sub(start.elapsed());
            if wanted(&counts) {
                return Ok(counts);
            } else if left.is_zero() {
                return Err(counts);
            }
            let nothing_new = |state: &mut State| state.changes == seen;
            drop(
                self.changed
                    .wait_timeout_while(self.lock(), left, nothing_new),
            );
        }
    }

    /// Checks a request, records it and selects the faults that apply to it.
    pub(super) fn arrive(&self, request: &Received, origin: Origin, connection: u64) -> Arrival {
        self.change(|state| state.arrive(&self.settings, request, origin, connection))
    }
}

impl State {
    fn new(settings: &Settings, accounts: Vec<(String, String)>) -> Self {
        Self {
            mint: Mint::new(settings.token_style, settings.seed),
            tokens: Tokens::default(),
            counts: Counts::default(),
            clock_offset: settings.clock_offset,
            accounts: Accounts::new(accounts, settings.lock_after),
            rate_limit: RateLimit::default(),
            notes: BTreeMap::new(),
            issued: None,
            changes: 0,
            journal: VecDeque::new(),
            last_seq: 0,
            rules: Vec::new(),
            last_rule: 0,
            logins_in_flight: HashMap::new(),
            advanced: Duration::ZERO,
            token_lifetime: settings.token_lifetime,
        }
    }

    /// Returns how long a token of this kind that is issued now is valid.
    pub(super) fn token_lifetime(&self, kind: Kind) -> Duration {
        const DAY: u64 = 86_400;
        self.token_lifetime.unwrap_or(match kind {
            Kind::Cookie => Duration::from_secs(14 * DAY),
            Kind::Access => Duration::from_secs(DAY),
        })
    }

    pub(super) fn set_token_lifetime(&mut self, lifetime: Duration) {
        self.token_lifetime = Some(lifetime);
    }

    /// Returns the time of this server's clock, which [`advance`](Self::advance) moves forward.
    pub(super) fn now(&self) -> SystemTime {
        cookies::later(SystemTime::now(), self.advanced)
    }

    /// Returns the time that responses show, which may be wrong.
    pub(super) fn shown_now(&self) -> SystemTime {
        cookies::shifted(self.now(), self.clock_offset)
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }

    pub(super) fn counts(&mut self) -> Counts {
        let now = self.now();
        Counts {
            live_tokens: self.tokens.live(now),
            ..self.counts
        }
    }

    /// Clears the journal and the sums. Tokens, rules, locks and notes stay.
    pub(super) fn reset_journal(&mut self) {
        self.journal.clear();
        self.counts = Counts {
            held: self.counts.held,
            ..Counts::default()
        };
    }

    /// Records the response to a request.
    pub(super) fn answered(&mut self, seq: u64, status: u16) {
        let entry = self.journal.iter_mut().rev().find(|entry| entry.seq == seq);
        if let Some(entry) = entry {
            entry.status = Some(status);
        }
    }

    pub(super) fn login_enters(&mut self, account: &str) {
        let now = self.logins_in_flight.entry(account.to_owned()).or_default();
        *now += 1;
        self.counts.logins_in_flight_max = self.counts.logins_in_flight_max.max(*now);
    }

    pub(super) fn login_leaves(&mut self, account: &str) {
        if let Some(now) = self.logins_in_flight.get_mut(account) {
            *now = now.saturating_sub(1);
        }
    }

    pub(super) fn inject(&mut self, rule: Rule) -> RuleId {
        self.last_rule += 1;
        let id = RuleId(self.last_rule);
        self.rules.push(ActiveRule {
            id,
            rule,
            matches: 0,
            strikes: 0,
        });
        id
    }

    pub(super) fn remove_rule(&mut self, id: RuleId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    pub(super) fn clear_rules(&mut self) {
        self.rules.clear();
    }

    pub(super) fn rules(&self) -> &[ActiveRule] {
        &self.rules
    }

    fn arrive(
        &mut self,
        settings: &Settings,
        request: &Received,
        origin: Origin,
        connection: u64,
    ) -> Arrival {
        let class = inspect::classify(settings, origin, &request.path);
        let checked = self
            .check(settings, class, request)
            .unwrap_or_else(Checked::Broken);
        self.last_seq += 1;
        let violation = match checked {
            Checked::Broken(violation) => Some(violation),
            _ => None,
        };
        self.counts.violations += u64::from(violation.is_some());
        self.counts.login_requests += u64::from(class.is_login());
        self.counts.token_requests += u64::from(class == Class::Token);
        self.counts.calls += u64::from(class == Class::Call && violation.is_none());
        if self.journal.len() >= settings.journal_limit {
            self.journal.pop_front();
        }
        let (rules, faults) = self.due(class, request);
        self.journal.push_back(Entry {
            seq: self.last_seq,
            time: self.now(),
            origin,
            connection,
            class,
            method: request.method.to_string(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.header_list(),
            body: request.body.to_vec(),
            body_len: request.body_len,
            violation,
            rules,
            status: None,
        });
        Arrival {
            seq: self.last_seq,
            class,
            checked,
            faults,
        }
    }

    fn check(
        &mut self,
        settings: &Settings,
        class: Class,
        request: &Received,
    ) -> Result<Checked, Violation> {
        let accounts = &self.accounts;
        Ok(match class {
            Class::Login => Checked::Login(inspect::login(settings, accounts, request)?),
            Class::Token => Checked::Token(inspect::token(settings, accounts, request)?),
            Class::Revocation => {
                Checked::Revocation(inspect::revocation(settings, accounts, request)?)
            }
            Class::Logout | Class::Call => {
                let presented = inspect::call(settings, accounts, request)?;
                Checked::Call(self.resolve(settings, presented)?)
            }
            Class::Control | Class::Other => Checked::Free,
        })
    }

    /// Returns the one token that a call presents, if it was ever issued.
    fn resolve(&mut self, settings: &Settings, presented: Presented) -> Result<String, Violation> {
        let Presented { cookies, bearers } = presented;
        let takes_any_bearer = settings.bearer || cookies.is_empty();
        let mut found: Vec<_> = cookies
            .into_iter()
            .map(|token| (token, Kind::Cookie))
            .collect();
        for bearer in bearers {
            // A bearer token has no quotes around it, unlike the cookie.
            let quoted = settings.token_style == TokenStyle::Quoted;
            let in_cookie = if quoted {
                format!("\"{bearer}\"")
            } else {
                bearer.clone()
            };
            if self.tokens.kind(&bearer) == Some(Kind::Access) {
                found.push((bearer, Kind::Access));
            } else if self.tokens.kind(&in_cookie).is_some() {
                found.extend(settings.bearer.then_some((in_cookie, Kind::Cookie)));
            } else if takes_any_bearer {
                found.push((in_cookie, Kind::Access));
            }
        }
        match (found.pop(), found.pop()) {
            (None, _) => Err(Violation::MissingToken),
            (Some(_), Some(_)) => Err(Violation::DuplicateToken),
            (Some((token, kind)), None) if self.tokens.present(&token, kind) => Ok(token),
            (Some(_), None) => Err(Violation::UnknownToken),
        }
    }

    /// Returns the faults that apply to a request, and their rules. Removes rules that are used up.
    fn due(&mut self, class: Class, request: &Received) -> (Vec<RuleId>, Vec<Fault>) {
        if class == Class::Control {
            return Default::default();
        }
        let mut due = (Vec::new(), Vec::new());
        for active in self
            .rules
            .iter_mut()
            .filter(|active| active.rule.on.matches(class, request))
        {
            active.matches = active.matches.saturating_add(1);
            if active.matches > active.rule.after && !active.used_up() {
                active.strikes = active.strikes.saturating_add(1);
                due.0.push(active.id);
                due.1.push(active.rule.fault.clone());
            }
        }
        self.rules.retain(|active| !active.used_up());
        due
    }
}

/// A held request. Dropping this ends the count, also if its client goes away.
struct Held<'a>(&'a Shared);

impl<'a> Held<'a> {
    fn enter(shared: &'a Shared) -> Self {
        shared.change(|state| state.counts.held += 1);
        Self(shared)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0
            .change(|state| state.counts.held = state.counts.held.saturating_sub(1));
    }
}

impl ActiveRule {
    fn used_up(&self) -> bool {
        match self.rule.times {
            Times::Once => self.strikes >= 1,
            Times::N(n) => self.strikes >= n,
            Times::Forever => false,
        }
    }
}

impl Matcher {
    fn matches(&self, class: Class, request: &Received) -> bool {
        match self {
            Self::Login => class.is_login(),
            Self::Token => class == Class::Token,
            Self::Revocation => class == Class::Revocation,
            Self::Logout => class == Class::Logout,
            Self::AnyCall => class == Class::Call,
            Self::Any => true,
            Self::Path(prefix) => request.path.starts_with(prefix),
            Self::Route { method, path } => {
                request.method.as_str() == method && request.path == *path
            }
        }
    }
}
