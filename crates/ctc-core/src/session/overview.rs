//! What a record contains in the clear, without a password.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;

use super::denial::LoginFailure;
use super::pass::Generation;
use super::record::SessionRecord;

/// The contents of a [`SessionRecord`] that are in the clear, for programs that show them. Times
/// are hints, by the clock of the process that wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordOverview {
    /// When it was last written.
    pub saved_at: SystemTime,
    /// The number of its newest token.
    pub generation: Generation,
    /// Its tokens, one per password, newest first. They may be invalid by now.
    pub tokens: Vec<TokenOverview>,
    /// The statuses of the logins that the server rejected, newest first. Only with the rejected
    /// password can one see that it is that password.
    pub rejections: Vec<StatusCode>,
    /// When the backoff after a failed login ends, and why the login failed. It may have ended.
    pub backoff: Option<(SystemTime, LoginFailure)>,
    /// How much of the login budget was spent when it was written: one
    /// [`refill`](crate::FairUse::refill) per login. It decreases with time.
    pub login_debt: Duration,
    /// How many logins in a row had failed.
    pub failures: u32,
}

/// The data of a token in a record that is in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenOverview {
    /// Its number.
    pub generation: Generation,
    /// When it was obtained, if that is known.
    pub obtained_at: Option<SystemTime>,
    /// When it may end, if the server stated it. Only the server ends a token.
    pub expires_at: Option<SystemTime>,
}

impl SessionRecord {
    /// Returns what the record contains in the clear.
    pub fn overview(&self) -> RecordOverview {
        let tokens = self.tokens().iter().map(|token| {
            let (obtained_at, expires_at) = self.times_of(token);
            TokenOverview {
                generation: Generation(token.facts.generation),
                obtained_at: obtained_at.and_then(time),
                expires_at: expires_at.and_then(time),
            }
        });
        let rejections = self.refusals().iter();
        let backoff = self.pause.as_ref();
        RecordOverview {
            saved_at: time(self.saved_at).unwrap_or(UNIX_EPOCH),
            generation: self.generation(),
            tokens: tokens.collect(),
            rejections: rejections
                .filter_map(|refusal| StatusCode::from_u16(refusal.status).ok())
                .collect(),
            backoff: backoff.and_then(|pause| Some((time(pause.until)?, pause.cause.clone()))),
            login_debt: Duration::from_millis(self.login_debt),
            failures: self.failures,
        }
    }

    /// Returns the record without its backoff and its rejections of all passwords: the next login
    /// may be made if the budget allows it. Tokens and budget stay.
    #[must_use]
    pub fn without_stops(mut self) -> Self {
        self.pause = None;
        self.failures = 0;
        self.refusals.clear();
        self
    }
}

/// A writer of the store may have put any number there.
fn time(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(pause: &str) -> SessionRecord {
        let text = format!(
            r#"{{"format":2,"origin":"https://x.example","account":"{0}","salt":"{0}",
            "generation":7,"saved_at":1000,"login_debt":5000,"failures":3,"pause":{pause},
            "tokens":[{{"by":"{0}","generation":9,"obtained_at":500,"expires_at":null,
                        "nonce":"{0}{1}","sealed":"00"}}],
            "refusals":[{{"status":401,"generation":6,"tag":"{0}"}},
                        {{"status":9,"generation":6,"tag":"{0}"}}]}}"#,
            "ab".repeat(16),
            "ab".repeat(8),
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_record_tells_everything_but_its_tokens() {
        let overview = record(r#"{"until":4000,"cause":"MaybeSent"}"#).overview();
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!((overview.saved_at, overview.failures), (at(1000), 3));
        assert_eq!(overview.generation, Generation(9));
        assert_eq!(
            overview.rejections,
            [StatusCode::UNAUTHORIZED],
            "9 is no status"
        );
        assert_eq!(overview.backoff, Some((at(4000), LoginFailure::MaybeSent)));
        assert_eq!(overview.login_debt, Duration::from_secs(5));
        let [token] = overview.tokens[..] else {
            panic!("one token")
        };
        assert_eq!((token.obtained_at, token.expires_at), (Some(at(500)), None));
    }

    #[test]
    fn times_follow_the_local_clock() {
        let wall = UNIX_EPOCH + Duration::from_millis(61_000);
        let moved = record(r#"{"until":4000,"cause":"MaybeSent"}"#);
        let moved = moved
            .with_local_clock(Duration::ZERO, wall, Duration::ZERO)
            .overview();
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(moved.saved_at, wall);
        assert_eq!(moved.backoff.map(|(until, _)| until), Some(at(64_000)));
        assert_eq!(moved.tokens[0].obtained_at, Some(at(60_500)));
    }

    #[test]
    fn no_number_is_too_large_for_an_overview() {
        let overview = record(&format!(r#"{{"until":{},"cause":"NotSent"}}"#, u64::MAX)).overview();
        assert!(overview.backoff.is_none_or(|(until, _)| until > UNIX_EPOCH));
    }

    #[test]
    fn lifting_what_stops_logins_keeps_tokens_and_budget() {
        let stopped = record(r#"{"until":4000,"cause":"MaybeSent"}"#);
        let before = stopped.overview();
        let after = stopped.without_stops().overview();
        assert_eq!(
            (after.failures, after.backoff, after.rejections),
            (0, None, vec![])
        );
        assert_eq!(
            (after.tokens, after.login_debt),
            (before.tokens, before.login_debt)
        );
    }
}
