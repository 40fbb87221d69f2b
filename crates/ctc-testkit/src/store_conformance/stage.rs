//! The tools of the cases: the store, an account, and failures.

use std::time::{Duration, Instant};

use ctc_driver::{LeaseTerms, SessionStore, StoreError, StoreLease};

use super::samples::Account;

pub(super) type Opener<'a> = &'a (dyn Fn() -> Box<dyn SessionStore> + Sync);

/// The store, and an account that no other case uses.
pub(super) struct Stage<'a> {
    pub(super) open: Opener<'a>,
    pub(super) account: Account,
}

/// Long enough not to expire in a test.
pub(super) const LONG: Duration = Duration::from_secs(20);
/// How late something may happen on a busy machine.
pub(super) const SLACK: Duration = Duration::from_secs(2);

impl Stage<'_> {
    /// Takes the lease through a new handle.
    pub(super) fn lease(
        &self,
        wait: Duration,
        ttl: Duration,
    ) -> Result<Box<dyn StoreLease>, String> {
        self.try_lease(wait, ttl)
            .map_err(|error| format!("no lease: {}", told(&error)))
    }

    pub(super) fn try_lease(
        &self,
        wait: Duration,
        ttl: Duration,
    ) -> Result<Box<dyn StoreLease>, StoreError> {
        (self.open)().lease(&self.account.key(), LeaseTerms { wait, ttl })
    }
}

/// Measures how long `work` took.
pub(super) fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let began = Instant::now();
    (work(), began.elapsed())
}

pub(super) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

pub(super) fn ok<R>(step: &str, result: Result<R, StoreError>) -> Result<R, String> {
    result.map_err(|error| format!("{step}: {}", told(&error)))
}

pub(super) fn told(error: &StoreError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(" ({source})"));
    format!("{error}{}", source.unwrap_or_default())
}

/// Checks that a write failed because the lease has expired.
pub(super) fn lost(result: Result<(), StoreError>) -> Result<(), String> {
    match result {
        Err(StoreError::LeaseLost) => Ok(()),
        Err(error) => Err(format!("expected LeaseLost, got: {}", told(&error))),
        Ok(()) => Err("an expired lease could still write".into()),
    }
}
