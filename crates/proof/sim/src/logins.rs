//! What the observer knows of one session's logins.

use ctc_core::FairUse;
use http::StatusCode;

use crate::held::Held;
use crate::plan::Ms;

/// How many refills a login costs at most, after others that did not help; `ctc-core` says so too.
pub(crate) const MOST_REFILLS: u32 = 20;

/// As much while every token served, but they died young.
pub(crate) const MOST_WHEN_SHORT: u32 = 8;

/// What is known of one session's logins. Times are on its process's monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    /// Those in the air, and when each set out.
    pub(crate) flying: Vec<(u64, Ms)>,
    /// Counts all that set out.
    pub(crate) numbers: u64,
    pub(crate) sent: Vec<Ms>,
    /// Consecutive failures since the last success.
    failures: u32,
    pub(crate) not_before: Ms,
    /// The last one did not reach the network, and is not counted as failed yet.
    pub(crate) not_sent: bool,
    pub(crate) rejected: Option<StatusCode>,
    /// What the last response asks for, once the session counts it: a pause, or no login at all.
    pub(crate) asked: Ms,
    pub(crate) refusal: Option<StatusCode>,
    /// The account may have changed while a login was in preparation: what the store has may be
    /// another's.
    pub(crate) doubtful: bool,
    /// How often a caller was elected to make one.
    pub(crate) elections: u64,
    /// When the last one was.
    pub(crate) elected_at: Ms,
    /// The longest that any of them took to send its login: the budget is debited at election.
    pub(crate) longest_delay: Ms,
    /// Tasks that a runtime took, and that are not over.
    pub(crate) tasks: u32,
    /// Elections whose login was handed to the network and not reported.
    pub(crate) unreported: Vec<u64>,
    /// Elections whose login opened the session, and whose token the store was not given.
    pub(crate) unsaved: Vec<u64>,
    /// The election whose login was refused, until the store has that on record.
    pub(crate) to_record: Option<u64>,
    /// The credentials that the last one went out with.
    pub(crate) sent_as: Option<(&'static str, &'static str)>,
    /// The source of the credentials said that asking again does not help.
    pub(crate) no_credentials: bool,
    /// The logins that hold a lease of the store (0: something else does), and when the newest is
    /// over (on the world's clock).
    pub(crate) leases: Vec<u64>,
    pub(crate) leased_until: Ms,
    /// Somebody asked for a login although there is a token.
    pub(crate) may_renew: bool,
    /// A save came too late: another process may be logging in.
    pub(crate) lease_lost: bool,
    /// The newest lease under which no login set out yet.
    pub(crate) fence: u64,
    /// The token of the record last loaded that the session's password opens. It counts with the
    /// number that it has there: the record's own may be another password's.
    pub(crate) loaded: Option<Held>,
}

impl Logins {
    pub(crate) const fn doubt(&mut self) {
        self.doubtful = true;
    }

    pub(crate) fn landed(&mut self, number: u64) -> Option<Ms> {
        let at = self.flying.iter().position(|(other, _)| *other == number)?;
        Some(self.flying.swap_remove(at).1)
    }

    /// A pause or rejection was lifted.
    pub(crate) const fn forgiven(&mut self) {
        self.failures = 0;
        self.not_before = 0;
        self.rejected = None;
        self.no_credentials = false;
    }

    /// `sent`: whether it may have been. One that was not costs the server nothing: its pause
    /// doubles once at most, and makes no other longer.
    pub(crate) fn failed(&mut self, now: Ms, sent: bool, rules: &FairUse) {
        let ms = |span: std::time::Duration| Ms::try_from(span.as_millis()).unwrap_or(Ms::MAX);
        let doublings = self.failures.min(if sent { 20 } else { 1 });
        let full = ms(rules.backoff)
            .saturating_mul(1 << doublings)
            .min(ms(rules.backoff_cap));
        self.failures = if sent {
            self.failures + 1
        } else {
            self.failures.max(1)
        };
        let asked = std::mem::take(&mut self.asked);
        let pause = (full / 4 * 3).max(asked.min(ms(rules.retry_after_cap)));
        self.not_before = now + pause;
    }
}

/// What is known of one election's login: how often it was sent, and what it asked the source of
/// its credentials.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    pub(crate) count: u32,
    /// What the source said last, if the session has not taken it up yet.
    pub(crate) offered: Option<(&'static str, &'static str)>,
    /// What the source said last.
    pub(crate) said: Option<(&'static str, &'static str)>,
    /// The source said that asking again does not help.
    pub(crate) is_of_no_use: bool,
    /// The server refused the credentials.
    pub(crate) refused: bool,
    pub(crate) logins: u32,
}

/// What the server stated of a token's life, from the moment that its login was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) process: usize,
    /// Which life of its process.
    pub(crate) life: u64,
    /// On the process's monotonic clock, and on the world's.
    pub(crate) sent: Ms,
    pub(crate) sent_world: Ms,
    pub(crate) span: Ms,
}
