//! The observer: knows what reached each session, and what may follow from it. `checks.rs` and
//! `login_rules.rs` ask it after every event.
//!
//! It holds a much simpler picture than the session does: which answers reached a process during
//! one step, and what may follow from each. A session that does anything else has broken a
//! guarantee.

use std::collections::{BTreeMap, BTreeSet};

use ctc_core::Denial;
use http::{Response, StatusCode};

use crate::calls::CallState;
use crate::held::Held;
use crate::kinds::Kind;
use crate::logins::{Life, Logins, Questions};
use crate::plan::{Action, Ms, Plan, ProcessPlan};
use crate::server::{Cookie, USERS, cookie_of};
use crate::shelf::Entry;
use crate::token_endpoint::SmallScope;

/// How much a clock that steps back, or a late poll, may change.
pub(crate) const SLACK: Ms = 200;

macro_rules! guarantees {
    ($($name:ident = $number:literal $text:literal),* $(,)?) => {
        /// The guarantees of the architecture page.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Guarantee { $(#[doc = $text] $name),* }

        impl Guarantee {
            /// Number and name.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => concat!("G", $number, " ", $text)),* }
            }
        }
    };
}
guarantees!(
    OneLogin = 1 "one login in progress; a superseded one changes nothing",
    FairUse = 2 "logins within budget and backoff",
    Coalesced = 3 "one login for all callers, and one outcome",
    Generations = 4 "no report affects a newer token; one replay per call",
    Stopped = 5 "no login while closed or rejected",
    TokenKept = 6 "a failed login removes no usable token",
    NoWedge = 7 "no caller is blocked, whatever is dropped",
    Origin = 8 "key and token stay on their origin",
    Secrets = 9 "no secret is printed or logged",
    NoPanic = 10 "no input makes the core panic",
    OwnSession = 11 "no session without its credentials",
    LoginEnds = 12 "a sent login ends and is reported",
);

/// A guarantee that did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub guarantee: Guarantee,
    /// What was seen.
    pub text: String,
}

pub(crate) struct Watch {
    pub(crate) plan: Plan,
    pub(crate) sessions: Vec<Watched>,
    pub(crate) calls: Vec<CallState>,
    /// When logins were sent, by store and login.
    pub(crate) by_store: BTreeMap<(usize, Kind), Vec<Ms>>,
    /// Rejections in records: store, login, user and password.
    pub(crate) refusals: BTreeSet<(usize, Kind, &'static str, &'static str)>,
    /// The lifetimes of each token, as the server stated them. A server that has one token for an
    /// account may state several.
    pub(crate) lives: BTreeMap<String, Vec<Life>>,
    pub(crate) violation: Option<Violation>,
    /// When all tokens were revoked last.
    pub(crate) revoked_at: Option<Ms>,
}

/// What is known of one process's session.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) held: Option<Held>,
    /// The token of the newest generation, valid or not.
    newest: Option<String>,
    top: u64,
    /// The numbers of its tokens in records. That of an adopted token may be lower than its
    /// generation here.
    numbers: BTreeMap<String, u64>,
    tokens: BTreeMap<u64, String>,
    /// The token that was rejected last.
    pub(crate) refused: Option<Held>,
    pub(crate) closed: bool,
    /// The token that was last logged out: neither that nor an older one is adopted.
    pub(crate) ended: Option<Held>,
    /// All tokens that were adopted from a store.
    pub(crate) adopted: BTreeSet<String>,
    /// All tokens that were rejected or logged out here: a save may remove them.
    over: BTreeSet<String>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) login: Logins,
    /// Denials of one period are equal.
    pub(crate) period: u64,
    pub(crate) said: Option<((u64, u64), Denial)>,
    pub(crate) rotated_in: bool,
    /// User and password, as its session has them.
    pub(crate) credentials: (&'static str, &'static str),
    /// A route rejected a new token: its logins may have been charged at the highest rate.
    pub(crate) route_rejected: bool,
    /// It was reset: rejections of its credentials in a record do not count.
    pub(crate) overrides: bool,
    /// Logins that the session counts as failed.
    pub(crate) failed: u64,
    /// Calls that were sent a second time.
    pub(crate) replays: u64,
    /// Logouts in progress, which a login may be waiting for.
    pub(crate) logouts: u32,
    /// By election.
    pub(crate) questions: BTreeMap<u64, Questions>,
}

/// Something that reached a session during one step.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    ServerResponse {
        carried: String,
        status: StatusCode,
        cookie: Cookie,
    },
    Login {
        token: Option<String>,
        late: bool,
    },
    /// A record: the token that the session's own password opens, with its number, and the tokens
    /// of others.
    Loaded {
        token: Option<Held>,
        others: Vec<String>,
    },
    Closed,
    OtherUser,
}

impl Watch {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            sessions: plan.processes.iter().map(Watched::start).collect(),
            calls: Vec::new(),
            by_store: BTreeMap::new(),
            refusals: BTreeSet::new(),
            lives: BTreeMap::new(),
            violation: None,
            revoked_at: None,
        }
    }

    pub(crate) fn call_answered(&mut self, process: usize, token: &str, response: &Response<()>) {
        if response.extensions().get::<SmallScope>().is_some() {
            return; // the token is as good as before
        }
        let cookie = match self.plan.processes[process].kind {
            Kind::Cookie => cookie_of(response.headers()),
            Kind::OAuth(_) => Cookie::None,
        };
        if response.status() == StatusCode::UNAUTHORIZED || cookie == Cookie::Cleared {
            self.sessions[process].over.insert(token.to_owned());
        }
        let (carried, status) = (token.to_owned(), response.status());
        self.sessions[process].seen.push(Seen::ServerResponse {
            carried,
            status,
            cookie,
        });
    }

    pub(crate) fn closed(&mut self, process: usize) {
        let watched = &mut self.sessions[process];
        watched.closed = true;
        watched.seen.push(Seen::Closed);
        watched.login.doubt();
    }

    /// As [`closed`](Self::closed), and its token ends.
    pub(crate) fn logged_out(&mut self, process: usize) {
        let watched = &mut self.sessions[process];
        if let Some(held) = watched.held.clone() {
            watched.over.insert(held.token.clone());
            watched.ended = Some(held);
        }
        self.closed(process);
    }

    pub(crate) fn reopened(&mut self, process: usize) {
        self.sessions[process].closed = false;
    }

    pub(crate) fn new_credentials(
        &mut self,
        process: usize,
        credentials: (&'static str, &'static str),
    ) {
        let watched = &mut self.sessions[process];
        if watched.credentials.0 != credentials.0 {
            watched.seen.push(Seen::OtherUser);
            watched.ended = None;
        }
        watched.credentials = credentials;
        watched.login.to_record = None;
        watched.login.forgiven();
        // What the server said of the ones before.
        watched.login.refusal = None;
        watched.login.doubt();
        watched.period += 1;
    }

    pub(crate) fn was_reset(&mut self, process: usize) {
        let watched = &mut self.sessions[process];
        watched.login.forgiven();
        watched.overrides = true;
        watched.period += 1;
    }

    /// Whether every token that a login brings is surely saved.
    pub(crate) fn saves(&self, process: usize) -> bool {
        let faults = &self.plan.faults;
        let has_store = self.plan.processes[process].store.is_some();
        has_store && faults.stores_work() && faults.panics == 0 && !self.changes_user()
    }

    pub(crate) fn changes_user(&self) -> bool {
        self.plan
            .actions
            .iter()
            .any(|(_, action)| matches!(action, Action::OtherUser(_)))
    }

    pub(crate) fn store_trouble(&mut self, process: usize) {
        self.sessions[process].login.doubt();
    }

    pub(crate) fn lease_lost(&mut self, process: usize, fence: u64) {
        let login = &mut self.sessions[process].login;
        login.lease_lost |= login.fence == fence;
    }

    /// The process was killed and starts anew.
    pub(crate) fn restarted(&mut self, process: usize) {
        self.sessions[process] = Watched::start(&self.plan.processes[process]);
    }
}

impl Watched {
    /// As a process begins.
    fn start(plan: &ProcessPlan) -> Self {
        // A source is asked at the first login only.
        let credentials = (USERS[0], plan.password);
        Self {
            credentials: if plan.source.is_some() {
                ("", "")
            } else {
                credentials
            },
            ..Self::default()
        }
    }

    pub(crate) fn has_lost_no_token(&self) -> bool {
        self.over.is_empty()
    }

    /// Whether this session may remove a token from a record: the token is invalid, or the session
    /// has had a newer one of the same credentials since. (Numbers tell which is newer. Processes
    /// that could not reach the store for a while may each have counted on; the token of one of
    /// them is then removed, too.)
    pub(crate) fn may_drop(&self, entry: &Entry) -> bool {
        let top = self.numbers.values().max();
        let is_own = (entry.user, entry.password) == self.credentials;
        let is_held = self
            .held
            .as_ref()
            .is_some_and(|held| held.token == entry.token);
        let was_held = self.tokens.values().any(|held| *held == entry.token);
        let is_older = is_own && top.is_some_and(|top| entry.generation < *top);
        self.over.contains(&entry.token) || ((was_held || is_older) && !is_held)
    }

    /// Returns the number of this session's token in records.
    pub(crate) fn number_of(&self, held: &Held) -> u64 {
        let on_record = self.numbers.get(&held.token);
        on_record.copied().unwrap_or(held.generation)
    }

    /// Returns the number of the token that was rejected last, in this step or before.
    pub(crate) fn refused_generation(&self) -> Option<u64> {
        let in_this_step = self
            .held
            .as_ref()
            .filter(|held| self.knows_refused(&held.token));
        in_this_step
            .or(self.refused.as_ref())
            .map(|refused| self.number_of(refused))
    }

    /// Whether there is a token that was not rejected in this step.
    pub(crate) fn has_serving_token(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| !self.knows_refused(&held.token))
    }

    fn has_rejected(&self, token: &str) -> bool {
        self.refused
            .as_ref()
            .is_some_and(|refused| refused.token == token)
    }

    fn has_ended(&self, token: &str) -> bool {
        self.ended
            .as_ref()
            .is_some_and(|ended| ended.token == token)
    }

    /// Whether this token was rejected, in this step or before.
    pub(crate) fn knows_refused(&self, token: &str) -> bool {
        let in_this_step = self.seen.iter().any(|seen| match seen {
            Seen::ServerResponse {
                carried,
                status,
                cookie,
            } => {
                carried == token
                    && (*status == StatusCode::UNAUTHORIZED || *cookie == Cookie::Cleared)
            }
            _ => false,
        });
        in_this_step || self.has_rejected(token) || self.has_ended(token)
    }

    /// Follows one step, and returns the guarantee that it broke.
    pub(crate) fn follow(
        &mut self,
        before: Option<&Held>,
        now: Option<&Held>,
        seen: &[Seen],
    ) -> Option<(Guarantee, &'static str)> {
        let newest = self.newest.clone();
        let old = before.map(|held| held.token.as_str());
        let mut ended = false;
        let mut refused_now = false;
        for seen in seen {
            match seen {
                Seen::Closed | Seen::OtherUser => {
                    ended = true;
                    (self.newest, self.refused) = (None, None);
                }
                Seen::ServerResponse {
                    carried,
                    status,
                    cookie,
                } => {
                    let over = *status == StatusCode::UNAUTHORIZED || *cookie == Cookie::Cleared;
                    refused_now |= over && old == Some(carried);
                }
                // Obtained again after it was rejected: once this is a failed login, then the token
                // is used.
                Seen::Login {
                    token: Some(token), ..
                } if self.has_rejected(token) => {
                    self.refused = None;
                }
                Seen::Login { .. } | Seen::Loaded { .. } => {}
            }
        }
        let (Some(now), true) = (now, now != before) else {
            if before.is_some() && now.is_none() {
                if refused_now {
                    self.refused = before.cloned();
                } else if !ended {
                    let failed = seen
                        .iter()
                        .any(|seen| matches!(seen, Seen::Login { token: None, .. }));
                    return Some(if failed {
                        (Guarantee::TokenKept, "a failed login took the token away")
                    } else {
                        (
                            Guarantee::Generations,
                            "the token is gone, and no report was about it",
                        )
                    });
                }
                self.rotated_in = false;
            }
            return None;
        };
        if refused_now && seen.iter().any(|seen| matches!(seen, Seen::Loaded { .. })) {
            self.refused = before.cloned();
        }
        self.numbers.insert(now.token.clone(), now.generation);
        let verdict = self.gained(now, newest.as_deref(), seen);
        self.top = now.generation;
        self.newest = Some(now.token.clone());
        self.tokens.insert(now.generation, now.token.clone());
        verdict
    }

    fn gained(
        &mut self,
        now: &Held,
        newest: Option<&str>,
        seen: &[Seen],
    ) -> Option<(Guarantee, &'static str)> {
        if now.generation <= self.top {
            return Some((
                Guarantee::Generations,
                "a generation came twice or went back",
            ));
        }
        let mut why = (Guarantee::Generations, "a token came from nowhere");
        for seen in seen {
            match seen {
                Seen::Login {
                    token: Some(token),
                    late,
                } if *token == now.token => {
                    if !late {
                        self.ended = None; // the server may hand out the same one again
                        self.login.forgiven();
                        self.rotated_in = false;
                        return None;
                    }
                    why = (
                        Guarantee::OneLogin,
                        "a login reported after another was elected opened the session",
                    );
                }
                Seen::ServerResponse {
                    carried,
                    status,
                    cookie: Cookie::Set(token),
                } if *token == now.token => {
                    if newest == Some(carried) && *status != StatusCode::UNAUTHORIZED {
                        self.rotated_in = true;
                        return None;
                    }
                    why = (
                        Guarantee::Generations,
                        "an answer to an older token brought a newer one",
                    );
                }
                Seen::Loaded {
                    token: Some(token), ..
                } if token.token == now.token => {
                    let Held { generation, token } = token;
                    if now.generation < *generation {
                        let what = "a token was taken up with a lower number than it has on record";
                        why = (Guarantee::Generations, what);
                    } else if self.has_ended(token) {
                        let what = "a store brought the token back that was logged out";
                        why = (Guarantee::Stopped, what);
                    } else if self.has_rejected(token) {
                        let what = "a store brought the refused token back";
                        why = (Guarantee::Coalesced, what);
                    } else {
                        self.adopted.insert(token.clone());
                        self.numbers.insert(token.clone(), *generation);
                        self.login.forgiven();
                        self.rotated_in = false;
                        return None;
                    }
                }
                Seen::Loaded { others, .. } if others.contains(&now.token) => {
                    let what = "a store brought a token that another password obtained";
                    why = (Guarantee::OwnSession, what);
                }
                _ => {}
            }
        }
        Some(why)
    }
}
