//! What of a session outlives the process: the record that a store keeps.

use std::cmp::Ordering;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac_sha256::HMAC;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::denial::LoginFailure;
use super::governor::{History, Stop};
use super::pass::Generation;
use crate::Endpoint;
use crate::secret::{AppKey, AuthToken, Credentials};
use crate::settings::MAX_SPAN;
use crate::time::{Instant, later};
use crate::wire::status_code;

/// Raised when the meaning of a record changes; a record of another format is never used.
const FORMAT: u32 = 1;

/// A session as a store keeps it: the token, its generation, and the governor's history.
///
/// It holds the token, so whoever reads it can act as this account until the token ends: keep it as
/// private as a password. It does not hold user name, password or application key: account and
/// credentials are recognised by marks keyed with the application key (HMAC-SHA-256). Who has the
/// record and that key can test guesses of the password against the mark of the credentials.
///
/// Wall-clock times are milliseconds since 1970 and only hints: a clock that is hours off costs one
/// login at most.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    format: u32,
    origin: String,
    account: String,
    generation: u64,
    #[serde(with = "token_text")]
    token: Option<AuthToken>,
    obtained_at: Option<u64>,
    expires_at: Option<u64>,
    saved_at: u64,
    login_debt: u64,
    failures: u32,
    pause: Option<Pause>,
    rejection: Option<Rejection>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pause {
    until: u64,
    #[serde(deserialize_with = "read_cause")]
    cause: LoginFailure,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rejection {
    #[serde(with = "status_code")]
    status: http::StatusCode,
    credentials: String,
}

impl SessionRecord {
    /// What the record is filed under. Records of other origins, accounts or application keys have
    /// another.
    pub fn key(&self) -> RecordKey {
        RecordKey {
            origin: self.origin.clone(),
            account: self.account.clone(),
        }
    }

    /// The number of its token.
    pub fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    /// Whether it holds a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether both hold the same token.
    pub fn same_token(&self, other: &Self) -> bool {
        self.token.is_some() && self.token == other.token
    }

    /// Whether it holds another token than `other`, and a younger one: a store that has this record
    /// does not replace it with `other`.
    ///
    /// The number decides, and for equal numbers the time: two processes may have given two tokens
    /// one number while they could not reach the store.
    pub fn has_younger_token_than(&self, other: &Self) -> bool {
        // A number that no session counts to would keep out every record to come.
        let number = |record: &Self| record.generation().min(Generation::MOST_FROM_A_RECORD);
        let both_known = self.obtained_at.zip(other.obtained_at);
        let is_younger = number(self)
            .cmp(&number(other))
            .then(both_known.map_or(Ordering::Equal, |(ours, theirs)| ours.cmp(&theirs)));
        self.has_token() && !self.same_token(other) && is_younger.is_gt()
    }

    /// The record with its times by this machine's clock, for a store that has a clock of its own
    /// and so knows how long ago the record was saved. Left as it is when the two clocks differ
    /// by less than `tolerance`.
    #[must_use]
    pub fn with_local_clock(
        mut self,
        age: Duration,
        wall: SystemTime,
        tolerance: Duration,
    ) -> Self {
        let wall = millis(wall.duration_since(UNIX_EPOCH).unwrap_or_default());
        let (saved, should) = (self.saved_at, wall.saturating_sub(millis(age)));
        if saved.abs_diff(should) < millis(tolerance) {
            return self;
        }
        let shift = |time: &mut u64| *time = time.saturating_add(should).saturating_sub(saved);
        shift(&mut self.saved_at);
        self.obtained_at
            .iter_mut()
            .chain(&mut self.expires_at)
            .for_each(shift);
        self.pause
            .iter_mut()
            .for_each(|pause| shift(&mut pause.until));
        self
    }

    /// The record without its token, for a session that was logged out. The governor's history
    /// stays.
    #[must_use]
    pub fn without_token(mut self) -> Self {
        (self.token, self.obtained_at, self.expires_at) = (None, None, None);
        self
    }
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("origin", &self.origin)
            .field("generation", &self.generation)
            .field("has_token", &self.has_token())
            .field("pause", &self.pause)
            .field("rejected", &self.rejection.is_some())
            .finish_non_exhaustive()
    }
}

/// What a record is filed under: the origin, and a mark of account and application key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// `https://host[:port]`.
    pub origin: String,
    /// 32 hex digits. The user name cannot be read from them without the application key.
    pub account: String,
}

/// What a session is recognised by in a record.
#[derive(Debug)]
pub(super) struct Marks {
    pub(super) account: String,
    credentials: String,
}

impl Marks {
    pub(super) fn of(endpoint: &Endpoint, key: &AppKey, credentials: &Credentials) -> Self {
        let mark = |purpose: &str, parts: [&str; 2], length: usize| {
            let mut mac = HMAC::new(key.as_bytes());
            mac.update(purpose);
            for part in parts {
                mac.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                mac.update(part);
            }
            mac.finalize()[..length]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        let (username, password) = (credentials.username(), credentials.password());
        Self {
            account: mark("ctc account 1", [endpoint.origin(), username], 16),
            credentials: mark("ctc credentials 1", [username, password], 4),
        }
    }
}

/// The part of a session that goes into a record.
pub(super) struct Snapshot<'a> {
    pub(super) origin: &'a str,
    pub(super) marks: &'a Marks,
    pub(super) generation: Generation,
    pub(super) token: Option<TokenTimes>,
    pub(super) history: History,
}

/// A token and, on the session's own clock, when it came and when it may end.
pub(super) struct TokenTimes {
    pub(super) token: AuthToken,
    pub(super) since: Option<Instant>,
    pub(super) ends: Option<Instant>,
}

/// Both clocks at one moment, to translate between them.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    pub(super) now: Instant,
    pub(super) wall: SystemTime,
}

impl Clocks {
    fn wall_ms(self) -> u64 {
        millis(self.wall.duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn to_wall(self, instant: Instant) -> u64 {
        let ahead = millis(instant.saturating_duration_since(self.now));
        let behind = millis(self.now.saturating_duration_since(instant));
        self.wall_ms().saturating_add(ahead).saturating_sub(behind)
    }

    /// A wall time still to come, as an instant; a foolish one counts as 30 days.
    fn to_instant(self, wall: u64) -> Instant {
        later(
            self.now,
            Duration::from_millis(wall.saturating_sub(self.wall_ms())).min(MAX_SPAN),
        )
    }
}

impl SessionRecord {
    pub(super) fn take(snapshot: Snapshot<'_>, clocks: Clocks) -> Self {
        let Snapshot {
            origin,
            marks,
            generation,
            token,
            history,
        } = snapshot;
        let (mut pause, mut rejection) = (None, None);
        match history.stop {
            Some(Stop::BackingOff { until, cause }) => {
                pause = Some(Pause {
                    until: clocks.to_wall(until),
                    cause,
                });
            }
            Some(Stop::Rejected { status }) => {
                rejection = Some(Rejection {
                    status,
                    credentials: marks.credentials.clone(),
                });
            }
            None => {}
        }
        Self {
            format: FORMAT,
            origin: origin.to_owned(),
            account: marks.account.clone(),
            generation: generation.number(),
            obtained_at: token
                .as_ref()
                .and_then(|token| token.since)
                .map(|since| clocks.to_wall(since)),
            expires_at: token
                .as_ref()
                .and_then(|token| token.ends)
                .map(|ends| clocks.to_wall(ends)),
            token: token.map(|token| token.token),
            saved_at: clocks.wall_ms(),
            login_debt: millis(history.debt),
            failures: history.failures,
            pause,
            rejection,
        }
    }

    pub(super) fn belongs_to(&self, origin: &str, marks: &Marks) -> bool {
        self.format == FORMAT && self.origin == origin && self.account == marks.account
    }

    /// Its token with its times on the session's clock. A token past its hinted end is still tried:
    /// only the server says when it is over.
    pub(super) fn token_times(&self, clocks: Clocks) -> Option<TokenTimes> {
        let token = self.token.clone()?;
        // Unknown when it was obtained in the future, or before this clock began (at boot, on some
        // systems).
        let age = self
            .obtained_at
            .and_then(|then| clocks.wall_ms().checked_sub(then));
        let since = age.and_then(|age| clocks.now.checked_sub(Duration::from_millis(age)));
        Some(TokenTimes {
            token,
            since,
            ends: self.expires_at.map(|wall| clocks.to_instant(wall)),
        })
    }

    /// How long ago it was saved, by this machine's clock.
    pub(super) fn age(&self, clocks: Clocks) -> Duration {
        Duration::from_millis(clocks.wall_ms().saturating_sub(self.saved_at))
    }

    /// The history in it. A rejection counts only for the very credentials that were rejected, and
    /// no pause for longer than `longest_pause`, whatever the clocks say.
    ///
    /// A pause is a span from the save on, so that a clock behind the writer's does not make it
    /// hours longer.
    pub(super) fn history(
        &self,
        marks: &Marks,
        longest_pause: Duration,
        clocks: Clocks,
    ) -> History {
        let elapsed = millis(self.age(clocks));
        let rejected = self
            .rejection
            .as_ref()
            .filter(|rejection| rejection.credentials == marks.credentials);
        // One that is over ends now, which is no pause.
        let pause = self.pause.as_ref().map(|pause| {
            let left = pause
                .until
                .saturating_sub(self.saved_at)
                .saturating_sub(elapsed);
            let until = later(clocks.now, Duration::from_millis(left).min(longest_pause));
            Stop::BackingOff {
                until,
                cause: pause.cause.clone(),
            }
        });
        let stop = rejected
            .map(|rejection| Stop::Rejected {
                status: rejection.status,
            })
            .or(pause);
        let debt = Duration::from_millis(self.login_debt.saturating_sub(elapsed)).min(MAX_SPAN);
        History {
            debt,
            failures: self.failures,
            stop,
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A newer version may name a cause that is not known here: that costs neither the pause nor the
/// token. Binary formats such as `bincode` cannot skip what they do not know, and are read
/// strictly.
fn read_cause<'de, D: Deserializer<'de>>(input: D) -> Result<LoginFailure, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Cause {
        Known(LoginFailure),
        Newer(IgnoredAny),
    }

    if !input.is_human_readable() {
        return LoginFailure::deserialize(input);
    }
    Ok(match Cause::deserialize(input)? {
        Cause::Known(cause) => cause,
        Cause::Newer(_) => LoginFailure::MaybeSent,
    })
}

/// A token as text; the one place where it is written out, for a store.
mod token_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::secret::AuthToken;

    pub(super) fn serialize<S: Serializer>(
        token: &Option<AuthToken>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        token.as_ref().map(AuthToken::as_str).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Option<AuthToken>, D::Error> {
        let text = Option::<String>::deserialize(input)?;
        text.map(AuthToken::new)
            .transpose()
            .map_err(D::Error::custom)
    }
}
