//! Fair use: the login budget, the backoff after a failure, and the stop after a rejection.

use std::time::Duration;

use super::denial::{Denial, LoginFailure, Rejection};
use crate::settings::FairUse;
use crate::time::{Instant, later};

/// How many refills a login costs at most while new tokens become invalid early.
const MOST_WHEN_SHORT: u32 = 8;
/// How many it costs at most while logins do not help: with the defaults, 36 logins a day. With
/// more, the renewal of a token that really became invalid could wait for more than 40 minutes.
const MOST_WHEN_FUTILE: u32 = 20;

/// Decides whether a login may be made now.
///
/// The budget is a leaky bucket kept as one span: each login adds a `refill` of debt, time takes it
/// away, and `burst` refills is as much debt as there may be.
#[derive(Debug)]
pub(super) struct Governor {
    rules: FairUse,
    debt: Duration,
    debt_as_of: Option<Instant>,
    failures: u32,
    /// Logins in a row whose token had a short lifetime, or that did not help.
    wasted: u32,
    /// What the next login costs besides its own refill.
    surcharge: Duration,
    /// What the last login cost, surcharge included, unless it was taken back.
    last_charge: Duration,
    stop: Option<Stop>,
    random: u64,
}

/// Why no login may be made, apart from the budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    BackingOff { until: Instant, cause: LoginFailure },
    Rejected(Rejection),
    CredentialsUnusable,
}

impl Stop {
    /// Whether it is of this process alone: its source of credentials failed, or its limiter had no
    /// room.
    fn is_local(&self) -> bool {
        match self {
            Self::BackingOff { cause, .. } => matches!(
                cause,
                LoginFailure::CredentialsUnavailable | LoginFailure::Limited
            ),
            Self::Rejected(_) => false,
            Self::CredentialsUnusable => true,
        }
    }
}

/// A governor's memory, for a record that outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct History {
    pub(super) debt: Duration,
    pub(super) failures: u32,
    pub(super) stop: Option<Stop>,
}

impl Governor {
    pub(super) fn new(rules: FairUse, seed: u64) -> Self {
        Self {
            rules,
            debt: Duration::ZERO,
            debt_as_of: None,
            failures: 0,
            wasted: 0,
            surcharge: Duration::ZERO,
            last_charge: Duration::ZERO,
            stop: None,
            random: seed,
        }
    }

    /// `Ok` if a login may be made at `now`.
    pub(super) fn check(&self, now: Instant) -> Result<(), Denial> {
        match &self.stop {
            Some(Stop::Rejected(rejection)) => return Err((*rejection).into()),
            Some(Stop::CredentialsUnusable) => return Err(Denial::CredentialsUnusable),
            Some(Stop::BackingOff { until, cause }) if *until > now => {
                return Err(Denial::BackingOff {
                    until: *until,
                    cause: cause.clone(),
                });
            }
            _ => {}
        }
        let room = self.rules.refill.saturating_mul(self.rules.burst.get() - 1);
        match self.debt_at(now).checked_sub(room) {
            Some(excess) if !excess.is_zero() => Err(Denial::BudgetSpent {
                until: later(now, excess),
            }),
            _ => Ok(()),
        }
    }

    /// Charges a login that is about to be sent.
    pub(super) fn charge(&mut self, now: Instant) {
        self.last_charge = self
            .rules
            .refill
            .saturating_add(std::mem::take(&mut self.surcharge));
        self.debt = self.debt_at(now).saturating_add(self.last_charge);
        self.debt_as_of = Some(now);
    }

    /// Refunds the last charge: that login did not reach the server.
    pub(super) fn refund(&mut self, now: Instant) {
        let debit = std::mem::take(&mut self.last_charge);
        self.surcharge = self.surcharge.max(debit.saturating_sub(self.rules.refill));
        self.debt = self.debt_at(now).saturating_sub(debit);
        self.debt_as_of = Some(now);
    }

    /// Ends a backoff or a rejection: a login succeeded, or a reset allows the next one. The budget
    /// stays: it protects the account, not the caller.
    pub(super) fn clear_stop(&mut self) {
        self.failures = 0;
        self.stop = None;
    }

    /// Another process logged in: the next failure is the first of a series.
    pub(super) fn end_failures(&mut self) {
        self.failures = 0;
    }

    pub(super) fn rejected(&mut self, rejection: Rejection) -> Denial {
        self.stop = Some(Stop::Rejected(rejection));
        rejection.into()
    }

    pub(super) fn no_credentials(&mut self) -> Denial {
        self.stop = Some(Stop::CredentialsUnusable);
        Denial::CredentialsUnusable
    }

    /// Starts a backoff: doubling, capped, with a random part; a longer `Retry-After` takes
    /// precedence, within its own cap. After a login that was not sent it doubles only once: that
    /// login cost the server nothing, and the network may return at any time.
    pub(super) fn failed(
        &mut self,
        cause: LoginFailure,
        retry_after: Option<Duration>,
        now: Instant,
    ) -> Denial {
        if cause == LoginFailure::Limited {
            // Nothing went wrong: there is room again at that time.
            return self.back_off(later(now, retry_after.unwrap_or_default()), cause);
        }
        let was_not_sent = matches!(
            cause,
            LoginFailure::NotSent | LoginFailure::CredentialsUnavailable
        );
        let doublings = if was_not_sent {
            let doublings = self.failures.min(1);
            self.failures = self.failures.max(1);
            doublings
        } else {
            let doublings = self.failures.min(31);
            self.failures = self.failures.saturating_add(1);
            doublings
        };
        let full = self
            .rules
            .backoff
            .saturating_mul(1 << doublings)
            .min(self.rules.backoff_cap);
        let pause = full - full.mul_f64(self.jitter() / 4.0);
        let asked = retry_after
            .unwrap_or_default()
            .min(self.rules.retry_after_cap);
        self.back_off(later(now, pause.max(asked)), cause)
    }

    fn back_off(&mut self, until: Instant, cause: LoginFailure) -> Denial {
        self.stop = Some(Stop::BackingOff {
            until,
            cause: cause.clone(),
        });
        Denial::BackingOff { until, cause }
    }

    /// Records how long a token was valid: the login that replaces a token with a short lifetime
    /// costs up to eight refills, doubling. That login itself is not delayed.
    pub(super) fn token_invalidated(&mut self, age: Duration) {
        if age >= self.rules.short_token_lifetime {
            self.login_helped();
        } else {
            self.raise_surcharge(MOST_WHEN_SHORT);
        }
    }

    /// After a login the new token got the same 401: the next login costs up to twenty refills,
    /// doubling, until a login helps.
    pub(super) fn login_was_futile(&mut self) {
        self.raise_surcharge(MOST_WHEN_FUTILE);
    }

    /// A rejected call succeeded after a login, or a token was valid for long.
    pub(super) fn login_helped(&mut self) {
        self.wasted = 0;
        self.surcharge = Duration::ZERO;
    }

    /// One refill after the first, which may be chance; then two, four and so on, up to `most`.
    fn raise_surcharge(&mut self, most: u32) {
        let refills = (1 << self.wasted.min(16)).min(most);
        self.surcharge = self.rules.refill.saturating_mul(refills - 1);
        self.wasted = self.wasted.saturating_add(1);
    }

    pub(super) fn stop_at(&self, now: Instant) -> Option<&Stop> {
        match &self.stop {
            Some(Stop::BackingOff { until, .. }) if *until <= now => None,
            stop => stop.as_ref(),
        }
    }

    pub(super) fn history(&self, now: Instant) -> History {
        History {
            debt: self.debt_at(now),
            failures: self.failures,
            stop: self.stop_at(now).filter(|stop| !stop.is_local()).cloned(),
        }
    }

    /// Merges the history of other processes of the same account.
    pub(super) fn merge_history(&mut self, history: History, now: Instant) {
        self.debt = self.debt_at(now).max(history.debt.min(self.most_debt()));
        self.debt_as_of = Some(now);
        self.failures = self.failures.max(history.failures);
        let later_pause = match (&self.stop, &history.stop) {
            (_, None) | (Some(Stop::Rejected(_) | Stop::CredentialsUnusable), _) => false,
            (Some(Stop::BackingOff { until: own, .. }), Some(Stop::BackingOff { until, .. })) => {
                until > own
            }
            _ => true,
        };
        if later_pause {
            self.stop = history.stop;
        }
    }

    /// The longest possible backoff.
    pub(super) fn longest_pause(&self) -> Duration {
        self.rules.backoff_cap.max(self.rules.retry_after_cap)
    }

    /// The highest charge of one login: a record with more is wrong.
    fn most_debt(&self) -> Duration {
        self.rules
            .refill
            .saturating_mul((self.rules.burst.get() - 1).saturating_add(MOST_WHEN_FUTILE))
    }

    fn debt_at(&self, now: Instant) -> Duration {
        let elapsed = self
            .debt_as_of
            .map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
        self.debt.saturating_sub(elapsed)
    }

    /// The next number in `0.0..1.0` (`SplitMix64`: enough to keep processes apart, no secret).
    pub(super) fn jitter(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let top = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default();
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of `SplitMix64` from seed 0, as published with it.
    #[test]
    fn the_jitter_is_the_upper_half_of_split_mix_64() {
        let mut governor = Governor::new(FairUse::default(), 0);
        for upper in [0xE220_A839_u32, 0x6E78_9E6A, 0x06C4_5D18, 0xF88B_B8A8] {
            assert!(
                (governor.jitter() * 4_294_967_296.0 - f64::from(upper)).abs() < 1e-6,
                "{upper:x}"
            );
        }
    }
}
