//! What every session store must hold to, as tests: for the shipped stores and for one of your own.
//!
//! ```
//! use ctc_driver::MemoryStore;
//! use ctc_testkit::store_conformance;
//!
//! # fn main() -> Result<(), store_conformance::Failures> {
//! let store = MemoryStore::new();
//! // Each call gives a handle as another process would have it: the same records, and nothing
//! // else in common.
//! store_conformance::check(|| store.clone())?;
//! store_conformance::check_async(|| store.clone())?;
//! # Ok(())
//! # }
//! ```
//!
//! Both use keys of their own, at random, so that a store that is in use is not disturbed. They
//! take some seconds: leases must be seen to end. Asynchronous stores are polled on plain threads,
//! since the driver may poll them on any runtime.

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

/// Checks a store by its blocking port.
///
/// # Errors
/// Every guarantee that the store does not keep, and how that showed.
pub fn check<S: SessionStore + 'static>(open: impl Fn() -> S + Sync) -> Result<Passed, Failures> {
    run(&|| Box::new(open()))
}

/// Checks a store by its asynchronous port.
///
/// # Errors
/// As for [`check`].
pub fn check_async<S: AsyncSessionStore + 'static>(
    open: impl Fn() -> S + Sync,
) -> Result<Passed, Failures> {
    run(&|| Box::new(OnThreads(open())))
}

/// How many cases a store passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed(pub usize);

/// What a store does not hold to.
pub struct Failures(Vec<(&'static str, String)>);

type Case = fn(&Stage<'_>) -> Result<(), String>;

const CASES: &[(&str, Case)] = &[
    ("a key without a record has none", records::nothing_at_first),
    (
        "what was saved is what is loaded, by another process too",
        records::saved_is_loaded,
    ),
    (
        "a pause and a rejection are kept with it",
        records::history_is_kept,
    ),
    (
        "another origin, user or application key is another record",
        records::keys_do_not_mix,
    ),
    (
        "a token of any length and sign comes back as it was",
        records::odd_tokens,
    ),
    ("the lease is given to one at a time", exclusion::one_holder),
    ("no record is ever torn", exclusion::never_torn),
    (
        "leases of different keys do not wait for each other",
        leases::keys_apart,
    ),
    (
        "a busy lease is waited for as long as asked and not longer",
        leases::bounded_wait,
    ),
    (
        "a waiter is woken soon after a release",
        leases::release_wakes,
    ),
    ("a dropped lease is free again soon", leases::drop_frees),
    (
        "a holder that outstays its time is overtaken",
        leases::overtaken,
    ),
    (
        "an overtaken holder writes nothing",
        leases::late_write_loses,
    ),
    (
        "a lease whose time is over writes nothing, overtaken or not",
        leases::over_is_over,
    ),
    (
        "giving back an overtaken lease leaves the new holder's alone",
        leases::release_is_owners,
    ),
    ("so does dropping one", leases::drop_is_owners),
    (
        "whatever an overtaken holder does, the new one's writes succeed and stay",
        leases::late_writes_cost_nothing,
    ),
    (
        "a save never replaces a younger token, even one of the same number",
        records::younger_stays,
    ),
    (
        "no piece of token or password is in what the store keeps",
        sealed::nothing_in_clear,
    ),
    (
        "a wrong password costs one refused login, and the right one adopts with none",
        sealed::wrong_password,
    ),
    (
        "an old copy put back costs one login at most",
        sealed::old_copy,
    ),
    (
        "a host whose clock is an hour off adopts all the same",
        sealed::clocks_apart,
    ),
    (
        "no length of wait or lease panics, and an endless one is held",
        durations::endless,
    ),
    ("a lease of no time is over at once", durations::no_time),
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
