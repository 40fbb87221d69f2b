//! The phase of a session, and when it changes by itself.

use http::StatusCode;

use super::Session;
use super::denial::{Denial, Rejection, RejectionReason};
use super::governor::Stop;
use super::pass::Generation;
use crate::time::Instant;

/// The phase of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// No token. The next caller may log in, if the budget allows it.
    Empty,
    /// A login is in progress.
    LoggingIn,
    /// The session has a token. A renewal may be in progress.
    Open(Generation),
    /// No token. The last login failed; the next is allowed at `until`.
    #[non_exhaustive]
    BackingOff {
        /// When the backoff ends.
        until: Instant,
    },
    /// No token. The server rejected the credentials.
    #[non_exhaustive]
    Rejected {
        /// The status of the rejection.
        status: StatusCode,
        /// The reason, if the server stated one.
        reason: RejectionReason,
    },
    /// No token. There are no usable credentials.
    CredentialsUnusable,
    /// Logged out.
    Closed,
}

impl Session {
    /// Returns the phase of the session.
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

    /// Returns when something ends by itself after `now`: a login's lease, a backoff, a wait for
    /// the budget. `None` if nothing does, as while the session is open and no renewal is in
    /// progress.
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
