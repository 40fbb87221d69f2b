//! Early renewal: when a caller is elected for it, and when callers wait for it.

use super::Session;
use crate::settings::EarlyRenewal;
use crate::time::{Instant, later};

/// When a token is renewed. Outcomes are not stored: whether a renewal is due follows from this,
/// the login in progress, and the governor.
#[derive(Clone, Copy, Debug)]
pub(super) struct RenewalTimes {
    /// From then on one caller renews it, and no other waits.
    advised: Instant,
    /// From then on callers wait for the login in progress.
    mandatory: Instant,
}

impl RenewalTimes {
    /// For a token whose whole life is known, and long enough. `jitter` is in `0.0..1.0`.
    pub(super) fn of(
        rules: &EarlyRenewal,
        since: Option<Instant>,
        ends: Option<Instant>,
        jitter: f64,
    ) -> Option<Self> {
        let (since, ends) = (since?, ends?);
        let life = ends.checked_duration_since(since)?;
        if life < rules.shortest_life {
            return None;
        }
        let before_end = |percent: f64| ends.checked_sub(life.mul_f64(percent / 100.0));
        // In the first half of the window, so that a fleet does not renew in one second.
        let advised = f64::from(rules.advised_percent) * (1.0 - jitter / 2.0);
        Some(Self {
            advised: before_end(advised)?,
            mandatory: before_end(f64::from(rules.mandatory_percent))?,
        })
    }
}

impl Session {
    /// Returns when the token ends, if the server stated it: with the OAuth login, `expires_in`
    /// after the login was sent. `None` without a token, if it was not stated, and with the cookie
    /// login, whose tokens end only with a 401.
    pub fn known_end(&self) -> Option<Instant> {
        self.settings.login.oauth()?;
        self.open.as_ref()?.ends
    }

    /// Returns when the next caller should renew the token before its [known end](Self::known_end),
    /// or wait for a renewal. This time may be in the past. From then on call
    /// [`admit`](Self::admit) for each call, although there is a [pass](Self::pass). `None` without
    /// a known end, without [`early_renewal`](crate::Settings::early_renewal), for a short
    /// lifetime, and after a rejection.
    ///
    /// Ask again after each change of the [epoch](Self::epoch) and each `admit`.
    pub fn renewal_at(&self, now: Instant) -> Option<Instant> {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        let times = self.open.as_ref()?.renewal?;
        if self.has_pending_login(now) {
            return Some(times.mandatory);
        }
        let mut at = times.advised;
        // A pause hides how long the budget is spent.
        for _ in 0..2 {
            let earliest = at.max(now);
            let Err(denial) = self.governor.check(earliest) else {
                break;
            };
            at = later(earliest, denial.retry_after(earliest)?);
        }
        Some(at)
    }

    /// Returns whether the time of [`renewal_at`](Self::renewal_at) has come: a driver publishes no
    /// pass meanwhile, so that calls ask [`admit`](Self::admit).
    pub fn renewal_is_due(&self, now: Instant) -> bool {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.renewal_at(now).is_some_and(|at| at <= now)
    }

    /// Whether a login is in progress while the token is valid.
    pub fn is_renewing(&self, now: Instant) -> bool {
        self.open.is_some() && self.has_pending_login(now)
    }

    /// The times for a token that was just opened, or whose end was stated anew.
    pub(super) fn renewal_times(
        &mut self,
        since: Option<Instant>,
        ends: Option<Instant>,
    ) -> Option<RenewalTimes> {
        let rules = self.settings.early_renewal.as_ref()?;
        self.settings.login.oauth()?; // a cookie's end is a hint, not a known end
        RenewalTimes::of(rules, since, ends, self.governor.jitter())
    }
}
