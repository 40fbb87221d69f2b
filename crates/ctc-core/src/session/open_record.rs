//! A record in the clear: the state of a session, or the part of a store's record that its
//! credentials open.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac_sha256::HMAC;
use http::StatusCode;
use zeroize::Zeroizing;

use super::denial::{Rejection, RejectionReason};
use super::governor::{History, Stop};
use super::pass::Generation;
use super::record::{
    FORMAT, Pause, RecordKey, Refusal, SealedParts, SealedToken, SessionRecord, TokenFacts, hex,
    millis,
};
use crate::Endpoint;
use crate::oauth::Login;
use crate::secret::{AppKey, AuthToken, Credentials};
use crate::settings::MAX_SPAN;
use crate::time::{Instant, later};

/// A session's state in the clear, from [`Session::record`](super::Session::record) or from the
/// part of a store's [`SessionRecord`] that the session's credentials open. It contains the token
/// and is never written: `ctc-driver` seals it.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenRecord {
    pub(super) format: u32,
    pub(super) origin: String,
    pub(super) account: String,
    pub(super) generation: u64,
    pub(super) token: Option<FoundToken>,
    pub(super) saved_at: u64,
    pub(super) login_debt: u64,
    pub(super) failures: u32,
    pub(super) pause: Option<Pause>,
    pub(super) refusal: Option<FoundRefusal>,
    /// Of the credentials that this is about.
    pub(super) seed: SealSeed,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct FoundToken {
    pub(super) token: AuthToken,
    pub(super) generation: u64,
    pub(super) obtained_at: Option<u64>,
    pub(super) expires_at: Option<u64>,
    /// Of the credentials that it belongs to.
    pub(super) by: SealSeed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundRefusal {
    rejection: Rejection,
    pub(super) generation: u64,
}

impl FoundRefusal {
    pub(super) fn read(refusal: Refusal) -> Option<Self> {
        let status = StatusCode::from_u16(refusal.status).ok()?;
        let reason = RejectionReason::of_number(refusal.reason);
        Some(Self {
            rejection: Rejection { status, reason },
            generation: refusal.generation,
        })
    }
}

impl OpenRecord {
    /// Returns the key under which the record is filed.
    pub fn key(&self) -> RecordKey {
        RecordKey {
            origin: self.origin.clone(),
            account: self.account.clone(),
        }
    }

    /// Returns the generation of the newest known token.
    pub fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    /// Returns whether it has a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Returns whether both have the same token.
    pub fn same_token(&self, other: &Self) -> bool {
        let tokens = self.auth_token().zip(other.auth_token());
        tokens.is_some_and(|(ours, theirs)| ours.is_same(theirs))
    }

    /// Returns the record without its token, as after a logout. The governor's history stays.
    #[must_use]
    pub fn without_token(mut self) -> Self {
        self.token = None;
        self
    }

    pub(super) fn generation_over(&self, kept: Option<&SessionRecord>) -> u64 {
        let kept = kept.map_or(0, |kept| kept.generation().number());
        self.generation
            .max(kept.min(Generation::MOST_FROM_A_RECORD.number()))
    }
}

/// For `ctc-driver`, which opens and seals records.
#[doc(hidden)]
impl OpenRecord {
    pub fn auth_token(&self) -> Option<&AuthToken> {
        self.token.as_ref().map(|found| &found.token)
    }

    /// The credentials that this is about.
    pub fn seed(&self) -> &SealSeed {
        &self.seed
    }

    /// The token's text, what it is to be bound to, and the credentials that it belongs to.
    pub fn token_to_seal(&self) -> Option<(&[u8], TokenFacts, &SealSeed)> {
        let found = self.token.as_ref()?;
        let facts = TokenFacts {
            generation: found.generation,
            obtained_at: found.obtained_at,
            expires_at: found.expires_at,
        };
        Some((found.token.as_bytes(), facts, &found.by))
    }

    /// The record of an account of which nothing is known.
    #[must_use]
    pub fn without_history(self) -> Self {
        Self {
            token: None,
            login_debt: 0,
            failures: 0,
            pause: None,
            refusal: None,
            ..self
        }
    }

    /// Whether its token is this one.
    pub fn has_auth_token(&self, token: &AuthToken) -> bool {
        self.auth_token().is_some_and(|ours| ours.is_same(token))
    }

    /// The refusal, if the login was refused, before it has its tag.
    pub fn refusal_to_seal(&self) -> Option<Refusal> {
        let FoundRefusal {
            rejection,
            generation,
        } = self.refusal?;
        Some(Refusal {
            status: rejection.status.as_u16(),
            reason: rejection.reason.number(),
            generation,
            tag: [0; 16],
        })
    }
}

/// For `ctc-driver`, which opens and seals records.
#[doc(hidden)]
impl SessionRecord {
    /// What the record says to the credentials that `seed` was made of.
    pub fn opened(
        &self,
        seed: SealSeed,
        token: Option<(&SealedToken, AuthToken)>,
        refusal: Option<Refusal>,
    ) -> OpenRecord {
        let found = |(sealed, token): (&SealedToken, AuthToken)| {
            let (obtained_at, expires_at) = self.times_of(sealed);
            FoundToken {
                token,
                generation: sealed.facts.generation,
                obtained_at,
                expires_at,
                by: seed.clone(),
            }
        };
        OpenRecord {
            format: self.format,
            origin: self.origin.clone(),
            account: self.account.clone(),
            generation: self.generation().number(),
            token: token.map(found),
            saved_at: self.saved_at,
            login_debt: self.login_debt,
            failures: self.failures,
            pause: self.pause.clone(),
            refusal: refusal.and_then(FoundRefusal::read),
            seed,
        }
    }

    /// The record of a session. `over` is the one that it replaces.
    pub fn sealed(ours: &OpenRecord, over: Option<&Self>, parts: SealedParts) -> Self {
        let SealedParts {
            salt,
            tokens,
            refusals,
        } = parts;
        Self {
            format: FORMAT,
            origin: ours.origin.clone(),
            account: ours.account.clone(),
            salt,
            generation: ours.generation_over(over),
            saved_at: ours.saved_at,
            login_debt: ours.login_debt,
            failures: ours.failures,
            pause: ours.pause.clone(),
            tokens,
            refusals,
            shift: 0,
        }
    }
}

impl fmt::Debug for OpenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenRecord")
            .field("origin", &self.origin)
            .field("generation", &self.generation)
            .field("has_token", &self.has_token())
            .field("pause", &self.pause)
            .field("refused", &self.refusal.is_some())
            .finish_non_exhaustive()
    }
}

/// The input from which the key to a record's sealed parts is derived, slowly. It does not disclose
/// the credentials, and without the application key no guess can be tested against it.
#[doc(hidden)]
#[derive(Clone, PartialEq, Eq)]
pub struct SealSeed(Zeroizing<[u8; 32]>);

impl SealSeed {
    /// The seed of the login with the cookie.
    pub fn new(app_key: &[u8], origin: &str, username: &str, password: &str) -> Self {
        let parts = [origin, username, password];
        Self(Zeroizing::new(mac(app_key, "ctc seal 2", &parts)))
    }

    pub(super) fn of(account: Account<'_>, credentials: &Credentials) -> Self {
        let Account {
            endpoint,
            key,
            login,
        } = account;
        let (username, password) = (credentials.username(), credentials.password());
        match login {
            Login::AuthToken => Self::new(key.as_bytes(), endpoint.origin(), username, password),
            Login::OAuth(oauth) => {
                let parts = [endpoint.origin(), oauth.client_id(), username, password];
                Self(Zeroizing::new(mac(
                    key.as_bytes(),
                    "ctc seal oauth 2",
                    &parts,
                )))
            }
        }
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SealSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealSeed([redacted])")
    }
}

/// HMAC-SHA-256 of texts, each with its length.
fn mac(key: &[u8], purpose: &str, parts: &[&str]) -> [u8; 32] {
    let mut mac = HMAC::new(key);
    mac.update(purpose);
    for part in parts {
        mac.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize()
}

/// The mark of a session's credentials in a record, kept instead of the credentials. Equal only for
/// the same account and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) account: String,
    pub(super) seed: SealSeed,
}

/// What an account is logged in to, and how. A token of one kind of login, or of one OAuth client,
/// is nothing to another.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) key: &'a AppKey,
    pub(super) login: &'a Login,
}

impl Marks {
    pub(super) fn of(account: Account<'_>, credentials: &Credentials) -> Self {
        let (key, origin) = (account.key.as_bytes(), account.endpoint.origin());
        let username = credentials.username();
        let mark = match account.login {
            Login::AuthToken => mac(key, "ctc account 2", &[origin, username]),
            Login::OAuth(oauth) => {
                let parts = [origin, oauth.client_id(), username];
                mac(key, "ctc account oauth 2", &parts)
            }
        };
        Self {
            account: hex::write(&mark[..16]),
            seed: SealSeed::of(account, credentials),
        }
    }

    /// Of a session that has not been given credentials yet: no account's, and no record's.
    pub(super) fn unknown() -> Self {
        Self {
            account: String::new(),
            seed: SealSeed(Zeroizing::new([0; 32])),
        }
    }
}

/// The part of a session that goes into a record.
pub(super) struct Snapshot<'a> {
    pub(super) origin: &'a str,
    pub(super) marks: &'a Marks,
    pub(super) generation: Generation,
    /// With the credentials that it belongs to.
    pub(super) token: Option<(TokenTimes, Generation, SealSeed)>,
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

    pub(super) fn to_wall(self, instant: Instant) -> u64 {
        let ahead = millis(instant.saturating_duration_since(self.now));
        let behind = millis(self.now.saturating_duration_since(instant));
        self.wall_ms().saturating_add(ahead).saturating_sub(behind)
    }

    /// A wall time as an instant, at most 30 days from now. A past time is not moved to the
    /// present, or a token would seem to have lived until now.
    fn to_instant(self, wall: u64) -> Instant {
        let ahead = Duration::from_millis(wall.saturating_sub(self.wall_ms())).min(MAX_SPAN);
        let behind = Duration::from_millis(self.wall_ms().saturating_sub(wall));
        self.now
            .checked_sub(behind)
            .map_or(self.now, |now| later(now, ahead))
    }
}

impl OpenRecord {
    pub(super) fn take(snapshot: Snapshot<'_>, clocks: Clocks) -> Self {
        let Snapshot {
            origin,
            marks,
            generation,
            token,
            history,
        } = snapshot;
        let (mut pause, mut refusal) = (None, None);
        match history.stop {
            Some(Stop::BackingOff { until, cause }) => {
                pause = Some(Pause {
                    until: clocks.to_wall(until),
                    cause,
                });
            }
            Some(Stop::Rejected(rejection)) => {
                let generation = generation.number();
                refusal = Some(FoundRefusal {
                    rejection,
                    generation,
                });
            }
            Some(Stop::CredentialsUnusable) | None => {}
        }
        let found = |(times, generation, by): (TokenTimes, Generation, SealSeed)| FoundToken {
            token: times.token,
            generation: generation.number(),
            obtained_at: times.since.map(|since| clocks.to_wall(since)),
            expires_at: times.ends.map(|ends| clocks.to_wall(ends)),
            by,
        };
        Self {
            format: FORMAT,
            origin: origin.to_owned(),
            account: marks.account.clone(),
            generation: generation.number(),
            token: token.map(found),
            saved_at: clocks.wall_ms(),
            login_debt: millis(history.debt),
            failures: history.failures,
            pause,
            refusal,
            seed: marks.seed.clone(),
        }
    }

    pub(super) fn belongs_to(&self, origin: &str, marks: &Marks) -> bool {
        self.format == FORMAT && self.origin == origin && self.account == marks.account
    }

    /// Its token with its number, its times being on the session's clock. A token past its hinted
    /// end is still tried: only the server says when it is over. `None` for other credentials'.
    pub(super) fn token_times(
        &self,
        marks: &Marks,
        clocks: Clocks,
    ) -> Option<(TokenTimes, Generation)> {
        let found = self.token.as_ref().filter(|found| found.by == marks.seed)?;
        // Unknown when it was obtained in the future, or before this clock began (at boot, on some
        // systems).
        let age = found
            .obtained_at
            .and_then(|then| clocks.wall_ms().checked_sub(then));
        let since = age.and_then(|age| clocks.now.checked_sub(Duration::from_millis(age)));
        let times = TokenTimes {
            token: found.token.clone(),
            since,
            ends: found.expires_at.map(|wall| clocks.to_instant(wall)),
        };
        Some((times, Generation(found.generation)))
    }

    /// The rejection of these credentials, if any.
    pub(super) fn refusal_of(&self, marks: &Marks) -> Option<FoundRefusal> {
        self.refusal.filter(|_| self.seed == marks.seed)
    }

    /// How long ago it was saved, by this machine's clock.
    fn age(&self, clocks: Clocks) -> Duration {
        Duration::from_millis(clocks.wall_ms().saturating_sub(self.saved_at))
    }

    /// Its history, with `refusal` if that still applies, and with no backoff longer than
    /// `longest_pause`, whatever the clocks say.
    ///
    /// A backoff counts from the save, so that a clock behind the writer's does not make it hours
    /// longer.
    pub(super) fn history(
        &self,
        refusal: Option<FoundRefusal>,
        longest_pause: Duration,
        clocks: Clocks,
    ) -> History {
        let elapsed = millis(self.age(clocks));
        // A backoff that has ended ends now.
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
        let stop = refusal
            .map(|refusal| Stop::Rejected(refusal.rejection))
            .or(pause);
        let debt = Duration::from_millis(self.login_debt.saturating_sub(elapsed)).min(MAX_SPAN);
        History {
            debt,
            failures: self.failures,
            stop,
        }
    }
}
