//! The rules of session stores, as tests, for the shipped stores and for your own.
//!
//! ```
//! use ctc_driver::MemoryStore;
//! use ctc_testkit::store_conformance;
//!
//! # fn main() -> Result<(), store_conformance::Failures> {
//! let store = MemoryStore::new();
//! // Each call returns a handle as another process would have it: the same records, and
//! // nothing else in common.
//! store_conformance::check(|| store.clone())?;
//! store_conformance::check_async(|| store.clone())?;
//! # Ok(())
//! # }
//! ```
//!
//! Both use random keys, so that they do not disturb a store that is in use. They take some
//! seconds, because they wait for leases to expire. They poll asynchronous stores on plain threads,
//! because the driver may poll them on any runtime.

mod async_stage;
mod durations;
mod exclusion;
mod leases;
mod records;
mod samples;
mod sealed;
mod stage;

use std::fmt;

use ctc_driver::{AsyncSessionStore, SessionStore};

use async_stage::OnThreads;
use samples::Account;
use stage::{Opener, Stage};

/// Checks a store through `SessionStore`.
///
/// # Errors
/// Returns [`Failures`], with each rule that the store breaks and what was seen.
pub fn check<S: SessionStore + 'static>(open: impl Fn() -> S + Sync) -> Result<Passed, Failures> {
    run(&|| Box::new(open()))
}

/// Checks a store through `AsyncSessionStore`.
///
/// # Errors
/// Returns [`Failures`], as [`check`] does.
pub fn check_async<S: AsyncSessionStore + 'static>(
    open: impl Fn() -> S + Sync,
) -> Result<Passed, Failures> {
    run(&|| Box::new(OnThreads(open())))
}

/// How many cases a store passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed(pub usize);

/// The rules that a store breaks.
pub struct Failures(Vec<(&'static str, String)>);

type Case = fn(&Stage<'_>) -> Result<(), String>;

const CASES: &[(&str, Case)] = &[
    ("a new store has no record", records::nothing_at_first),
    (
        "a record is loaded as it was saved, by another process too",
        records::saved_is_loaded,
    ),
    (
        "a backoff and a rejection are saved with a record",
        records::history_is_kept,
    ),
    (
        "each origin, user and application key has its own record",
        records::keys_do_not_mix,
    ),
    (
        "tokens of any length and characters are loaded unchanged",
        records::odd_tokens,
    ),
    (
        "only one holder at a time has the lease",
        exclusion::one_holder,
    ),
    (
        "a reader never sees a mixture of two records",
        exclusion::never_torn,
    ),
    (
        "leases of different keys do not wait for each other",
        leases::keys_apart,
    ),
    (
        "a wait for a lease lasts as long as requested, not longer",
        leases::bounded_wait,
    ),
    (
        "a waiting caller gets the lease soon after its release",
        leases::release_wakes,
    ),
    ("a dropped lease is soon free", leases::drop_frees),
    (
        "another holder gets a lease that has expired",
        leases::overtaken,
    ),
    (
        "a holder that was overtaken cannot write",
        leases::late_write_loses,
    ),
    (
        "a holder whose lease has expired cannot write, overtaken or not",
        leases::over_is_over,
    ),
    (
        "releasing a lost lease does not release the new holder's",
        leases::release_is_owners,
    ),
    (
        "dropping a lost lease does not release the new holder's",
        leases::drop_is_owners,
    ),
    (
        "writes of a holder that was overtaken do not affect the new one's",
        leases::late_writes_cost_nothing,
    ),
    (
        "a save never replaces a younger token, not even one of the same generation",
        records::younger_stays,
    ),
    (
        "a stored record contains no piece of a token or password",
        sealed::nothing_in_clear,
    ),
    (
        "a wrong password costs one rejected login, and the right one none",
        sealed::wrong_password,
    ),
    (
        "an old copy of a record costs one login at most",
        sealed::old_copy,
    ),
    (
        "a host whose clock is an hour off adopts the token all the same",
        sealed::clocks_apart,
    ),
    (
        "no length of wait or lease panics, and an endless lease is held",
        durations::endless,
    ),
    (
        "a lease of zero length expires immediately",
        durations::no_time,
    ),
];

fn run(open: Opener<'_>) -> Result<Passed, Failures> {
    let failures: Vec<_> = CASES
        .iter()
        .filter_map(|(name, case)| {
            Some((
                *name,
                case(&Stage {
                    open,
                    account: Account::new(),
                })
                .err()?,
            ))
        })
        .collect();
    if failures.is_empty() {
        Ok(Passed(CASES.len()))
    } else {
        Err(Failures(failures))
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} cases failed", self.0.len(), CASES.len())?;
        self.0
            .iter()
            .try_for_each(|(case, why)| write!(f, "\n- {case}: {why}"))
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Failures {}
