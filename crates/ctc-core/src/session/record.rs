//! The sealed record, which a store saves.
//!
//! `ctc-driver` opens and seals it: this crate has no cipher.

use std::cmp::Ordering;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::denial::LoginFailure;
use super::pass::Generation;

/// Raised when the meaning of a record changes; a record of another format is never used.
pub(super) const FORMAT: u32 = 2;

/// How many tokens (one per password) and how many rejections a record has at most.
const MOST_TOKENS: usize = 4;
const MOST_REFUSALS: usize = 8;

/// A session as a store saves it: the governor's history in the clear, tokens and rejections
/// sealed.
///
/// Each token is sealed with a key that is derived, slowly, from username, password and application
/// key together. A reader of the record gets neither the token nor a quick way to test passwords,
/// and a writer cannot plant a token. It holds no username, password or application key: the
/// account is recognized by a mark keyed with the application key (HMAC-SHA-256). [The
/// manual](crate::manual::security) says what a stolen record discloses.
///
/// Wall-clock times are milliseconds since 1970 and only hints: a clock that is hours off costs at
/// most one login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    pub(super) format: u32,
    pub(super) origin: String,
    pub(super) account: String,
    #[serde(with = "hex")]
    pub(super) salt: [u8; 16],
    pub(super) generation: u64,
    pub(super) saved_at: u64,
    pub(super) login_debt: u64,
    pub(super) failures: u32,
    pub(super) pause: Option<Pause>,
    pub(super) tokens: Vec<SealedToken>,
    pub(super) refusals: Vec<Refusal>,
    /// How far its times were moved to this machine's clock: the times of sealed tokens stay as
    /// they were sealed.
    #[serde(skip)]
    pub(super) shift: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pause {
    pub(super) until: u64,
    #[serde(deserialize_with = "read_cause")]
    pub(super) cause: LoginFailure,
}

/// A token that one password opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "TokenText", try_from = "TokenText")]
pub struct SealedToken {
    /// The mark of the password's key.
    pub by: [u8; 16],
    /// What it is bound to.
    pub facts: TokenFacts,
    /// For one use.
    pub nonce: [u8; 24],
    /// The token, encrypted, and the tag that its integrity is checked by.
    pub sealed: Vec<u8>,
}

/// A token's generation and its times, in milliseconds since 1970 by the clock of the process that
/// sealed it. They are bound to the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// Its number.
    pub generation: u64,
    /// When it was obtained, if that is known.
    pub obtained_at: Option<u64>,
    /// When it may end, if the server stated it.
    pub expires_at: Option<u64>,
}

/// A login that the server rejected. Only with the rejected password can one see that it is that
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The status of the server's response.
    pub status: u16,
    /// The number of the reason that it gave.
    #[serde(default)]
    pub reason: u8,
    /// The record's number when the login was rejected.
    pub generation: u64,
    /// Recognized with the key of the rejected password.
    #[serde(with = "hex")]
    pub tag: [u8; 16],
}

/// The sealed parts.
#[derive(Clone, Debug)]
pub struct SealedParts {
    /// The salt of the keys; its first writer makes it.
    pub salt: [u8; 16],
    /// One for each password, newest first.
    pub tokens: Vec<SealedToken>,
    /// Newest first.
    pub refusals: Vec<Refusal>,
}

impl SessionRecord {
    /// Returns the key under which the record is filed. It differs for other origins, accounts and
    /// application keys.
    pub fn key(&self) -> RecordKey {
        RecordKey {
            origin: self.origin.clone(),
            account: self.account.clone(),
        }
    }

    /// Returns the generation of its newest token.
    pub fn generation(&self) -> Generation {
        // Also of a token that this session cannot open: the next generation must be higher.
        let of_tokens = self.tokens().iter().map(|token| token.facts.generation);
        Generation(of_tokens.fold(self.generation, u64::max))
    }

    /// Returns whether it has a token, for any password.
    pub fn has_token(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Returns whether it has a token that `other` would replace with an older one of the same
    /// password, or drop although it is younger than `other`. A store that has this record must not
    /// replace it with `other`.
    ///
    /// The generation decides, and for equal generations the time: two processes may have given two
    /// tokens the same number while they could not reach the store.
    pub fn has_younger_token_than(&self, other: &Self) -> bool {
        let is_younger = |kept: &SealedToken| {
            // A number that no session reaches would block every further record.
            let number = Generation(kept.facts.generation).min(Generation::MOST_FROM_A_RECORD);
            let Some(theirs) = other.tokens.iter().find(|token| token.by == kept.by) else {
                return number > other.generation();
            };
            let times = self.times_of(kept).0.zip(other.times_of(theirs).0);
            let is_younger = number
                .cmp(&Generation(theirs.facts.generation))
                .then(times.map_or(Ordering::Equal, |(ours, theirs)| ours.cmp(&theirs)));
            kept != theirs && is_younger.is_gt()
        };
        self.tokens.iter().take(MOST_TOKENS).any(is_younger)
    }

    /// Returns the record with its times by this machine's clock, for a store that has its own
    /// clock and so knows how long ago the record was saved. Unchanged if the two clocks differ by
    /// less than `tolerance`.
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
        self.saved_at = should;
        if let Some(pause) = &mut self.pause {
            pause.until = pause.until.saturating_add(should).saturating_sub(saved);
        }
        let shift = i64::try_from(i128::from(should) - i128::from(saved));
        self.shift = self.shift.saturating_add(shift.unwrap_or(i64::MAX));
        self
    }

    /// Returns the record without its tokens, as after a logout. The governor's history stays.
    #[must_use]
    pub fn without_token(mut self) -> Self {
        self.tokens.clear();
        self
    }

    /// When a token of it was obtained and may end, by this machine's clock.
    pub(super) fn times_of(&self, token: &SealedToken) -> (Option<u64>, Option<u64>) {
        let shifted = |time: Option<u64>| time.map(|time| time.saturating_add_signed(self.shift));
        (
            shifted(token.facts.obtained_at),
            shifted(token.facts.expires_at),
        )
    }
}

/// For `ctc-driver`, which opens and seals records.
#[doc(hidden)]
impl SessionRecord {
    pub fn salt(&self) -> [u8; 16] {
        self.salt
    }

    /// The first few: a writer of the store may have put any number there.
    pub fn tokens(&self) -> &[SealedToken] {
        &self.tokens[..self.tokens.len().min(MOST_TOKENS)]
    }

    /// The first few.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals[..self.refusals.len().min(MOST_REFUSALS)]
    }

    /// The record without the token of this mark.
    #[must_use]
    pub fn without_token_by(mut self, by: [u8; 16]) -> Self {
        self.tokens.retain(|token| token.by != by);
        self
    }
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("origin", &self.origin)
            .field("generation", &self.generation)
            .field("tokens", &self.tokens.len())
            .field("refusals", &self.refusals.len())
            .field("pause", &self.pause)
            .finish_non_exhaustive()
    }
}

/// The key under which a record is filed: the origin, and a mark of account and application key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// `https://host[:port]`.
    pub origin: String,
    /// 32 hex digits. The username cannot be read from them without the application key.
    pub account: String,
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A newer version may have a cause that is not known here: this must not lose the backoff or the
/// token. Binary formats such as `bincode` cannot skip unknown data and are read strictly.
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

/// A sealed token as it stands in the record.
#[derive(Serialize, Deserialize)]
struct TokenText {
    by: String,
    generation: u64,
    obtained_at: Option<u64>,
    expires_at: Option<u64>,
    nonce: String,
    sealed: String,
}

impl From<SealedToken> for TokenText {
    fn from(token: SealedToken) -> Self {
        let TokenFacts {
            generation,
            obtained_at,
            expires_at,
        } = token.facts;
        Self {
            by: hex::write(&token.by),
            generation,
            obtained_at,
            expires_at,
            nonce: hex::write(&token.nonce),
            sealed: hex::write(&token.sealed),
        }
    }
}

impl TryFrom<TokenText> for SealedToken {
    type Error = hex::NoHex;

    fn try_from(text: TokenText) -> Result<Self, hex::NoHex> {
        let facts = TokenFacts {
            generation: text.generation,
            obtained_at: text.obtained_at,
            expires_at: text.expires_at,
        };
        Ok(Self {
            by: hex::read_array(&text.by)?,
            facts,
            nonce: hex::read_array(&text.nonce)?,
            sealed: hex::read(&text.sealed)?,
        })
    }
}

/// Bytes as hex digits.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Debug, thiserror::Error)]
    #[error("expected hex digits, as many as the field has")]
    pub(super) struct NoHex;

    pub(in super::super) fn write(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn read(text: &str) -> Result<Vec<u8>, NoHex> {
        let digit = |digit: &u8| {
            let value = char::from(*digit).to_digit(16).ok_or(NoHex)?;
            u8::try_from(value).map_err(|_| NoHex)
        };
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Ok(digit(high)? << 4 | digit(low)?),
            _ => Err(NoHex),
        });
        pairs.collect()
    }

    pub(super) fn read_array<const N: usize>(text: &str) -> Result<[u8; N], NoHex> {
        read(text)?.try_into().map_err(|_| NoHex)
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 16], out: S) -> Result<S::Ok, S::Error> {
        write(bytes).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<[u8; 16], D::Error> {
        read_array(&String::deserialize(input)?).map_err(D::Error::custom)
    }
}
