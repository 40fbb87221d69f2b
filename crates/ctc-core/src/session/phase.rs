//! Where a session stands, and when that changes by itself.

use http::StatusCode;

use super::Session;
use super::denial::{Denial, Rejection, RejectionReason};
use super::governor::Stop;
use super::pass::Generation;
use crate::time::Instant;

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// No token, and the next caller may log in (as far as the budget allows).
    Empty,
    /// A login is on its way.
    LoggingIn,
    /// There is a token. A renewal may be on its way all the same.
    Open(Generation),
    /// No token, and the last login failed: the next is allowed at `until`.
    #[non_exhaustive]
    BackingOff {
        /// When the pause ends.
        until: Instant,
    },
    /// No token, and the credentials were refused.
    #[non_exhaustive]
    Rejected {
        /// The status of the refusal.
        status: StatusCode,
        /// Why, as far as the server said.
        reason: RejectionReason,
    },
    /// No token, and the source of the credentials has none.
    CredentialsUnusable,
    /// Logged out.
    Closed,
}

impl Session {
    /// Where the session stands.
    pub fn phase(&self, now: Instant) -> Phase {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        if self.closed {
            return Phase::Closed;
        }
        if let Some(open) = &self.open {
            return Phase::Open(open.pass.generation());
        }
        if self.has_pending_login(now) {
            return Phase::LoggingIn;
        }
        match self.governor.stop_at(now) {
            Some(Stop::BackingOff { until, .. }) => Phase::BackingOff { until: *until },
            Some(Stop::Rejected(Rejection { status, reason })) => Phase::Rejected {
                status: *status,
                reason: *reason,
            },
            Some(Stop::CredentialsUnusable) => Phase::CredentialsUnusable,
            None => Phase::Empty,
        }
    }

    /// When something ends by itself after `now`: a login's lease, a pause, a wait for the budget.
    /// `None` when nothing will, as while the session is open and no renewal is on its way.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        match self.phase(now) {
            Phase::Closed | Phase::Rejected { .. } | Phase::CredentialsUnusable => None,
            Phase::BackingOff { until } => Some(until),
            Phase::Empty => match self.governor.check(now) {
                Err(Denial::BudgetSpent { until }) => Some(until),
                _ => None,
            },
            Phase::LoggingIn | Phase::Open(_) => self
                .pending_login
                .as_ref()
                .map(|pending_login| pending_login.lease_until)
                .filter(|lease| *lease > now),
        }
    }
}
