//! What the observer knows of one session's logins.

use ctc_core::FairUse;
use http::StatusCode;

use crate::held::Held;
use crate::plan::{Ms, ms};

/// How many refills a login costs at most after others that did not help, as in `ctc-core`.
pub(crate) const MOST_REFILLS: u32 = 20;

/// The same, if every token was accepted at first but had a short lifetime.
pub(crate) const MOST_WHEN_SHORT: u32 = 8;

/// What is known of one session's logins. Times are on its process's monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    /// The logins that wait for a response, and when each was sent.
    pub(crate) flying: Vec<(u64, Ms)>,
    /// Counts the logins that were sent.
    pub(crate) numbers: u64,
    pub(crate) sent: Vec<Ms>,
    /// Consecutive failures since the last success.
    failures: u32,
    pub(crate) not_before: Ms,
    /// The last login was not sent, and the session has not counted it as failed yet.
    pub(crate) not_sent: bool,
    pub(crate) rejected: Option<StatusCode>,
    /// What the last response means once the session counts it: a backoff, or no login at all.
    pub(crate) asked: Ms,
    pub(crate) refusal: Option<StatusCode>,
    /// The account may have changed before the login was sent: the record may be another account's.
    pub(crate) doubtful: bool,
    /// How often a caller was elected.
    pub(crate) elections: u64,
    /// When a caller was last elected.
    pub(crate) elected_at: Ms,
    /// The longest time from an election, when a login is charged, to the sending of its login.
    pub(crate) longest_delay: Ms,
    /// Login tasks that a runtime took and that have not ended.
    pub(crate) tasks: u32,
    /// Elections whose login was sent and not reported.
    pub(crate) unreported: Vec<u64>,
    /// Elections whose login opened the session and whose token is not saved.
    pub(crate) unsaved: Vec<u64>,
    /// The election whose login was rejected, until that is saved.
    pub(crate) to_record: Option<u64>,
    /// The credentials that the last login was sent with.
    pub(crate) sent_as: Option<(&'static str, &'static str)>,
    /// The source of the credentials is unusable: asking it again does not help.
    pub(crate) no_credentials: bool,
    /// The elections that hold a store lease (0: something else holds it), and when the newest
    /// lease expires, on the world's clock.
    pub(crate) leases: Vec<u64>,
    pub(crate) leased_until: Ms,
    /// A caller asked for a login although there is a token.
    pub(crate) may_renew: bool,
    /// A save came too late: another process may be logging in.
    pub(crate) lease_lost: bool,
    /// The newest store lease, if no login was sent under it yet.
    pub(crate) fence: u64,
    /// The token that the session's password opens in the record last loaded, with the number that
    /// it has there. The number of the record itself may be another password's.
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

    /// A backoff or rejection has ended.
    pub(crate) const fn forgiven(&mut self) {
        self.failures = 0;
        self.not_before = 0;
        self.rejected = None;
        self.no_credentials = false;
    }

    /// A login failed. `sent`: it may have reached the server. If not, it cost the server nothing:
    /// its backoff doubles at most once, and makes no other backoff longer.
    pub(crate) fn failed(&mut self, now: Ms, sent: bool, rules: &FairUse) {
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

/// What the observer knows of one election: how often its login was sent, and how often it asked
/// the source.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    pub(crate) count: u32,
    /// What the source returned last, if the session does not use it yet.
    pub(crate) offered: Option<(&'static str, &'static str)>,
    /// What the source returned last.
    pub(crate) said: Option<(&'static str, &'static str)>,
    /// The source is unusable: asking it again does not help.
    pub(crate) is_of_no_use: bool,
    /// The server rejected the credentials.
    pub(crate) refused: bool,
    pub(crate) logins: u32,
}

/// A token's lifetime, as the server stated it, from the moment its login was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) process: usize,
    /// Which start of its process.
    pub(crate) life: u64,
    /// On the process's monotonic clock, and on the world's.
    pub(crate) sent: Ms,
    pub(crate) sent_world: Ms,
    pub(crate) span: Ms,
}
