//! The driver's own store passes, and a store that breaks a rule fails.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::{Duration, Instant};

use ctc_driver::ctc_core::{RecordKey, SessionRecord};
use ctc_driver::{LeaseTerms, MemoryStore, SessionStore, StoreError, StoreLease};
use ctc_testkit::store_conformance::{check, check_async};

#[test]
fn memory_store_blocking() {
    let store = MemoryStore::new();
    check(|| store.clone()).unwrap();
}

#[test]
fn memory_store_async() {
    let store = MemoryStore::new();
    check_async(|| store.clone()).unwrap();
}

/// A store in memory that breaks one rule.
#[derive(Clone)]
struct Faulty(Fault, MemoryStore);

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// It reports that every write succeeded.
    HidesLostLease,
    /// It replaces any record with any other.
    ReplacesAnything,
    /// It computes its deadline with a sum that can overflow.
    Overflows,
    /// It treats a lease without end as one of zero length.
    ForgetsEndlessLease,
}

struct FaultyLease(Fault, Box<dyn StoreLease>);

impl SessionStore for Faulty {
    fn lease(
        &self,
        key: &RecordKey,
        mut terms: LeaseTerms,
    ) -> Result<Box<dyn StoreLease>, StoreError> {
        let Self(fault, store) = self;
        match fault {
            Fault::Overflows => drop(Instant::now() + terms.wait),
            Fault::ForgetsEndlessLease if terms.ttl == Duration::MAX => terms.ttl = Duration::ZERO,
            _ => {}
        }
        let lease = SessionStore::lease(store, key, terms)?;
        Ok(Box::new(FaultyLease(*fault, lease)))
    }
}

impl StoreLease for FaultyLease {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        self.1.load()
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        let Self(fault, lease) = self;
        if let (Fault::ReplacesAnything, Some(kept)) = (*fault, lease.load()?) {
            lease.save(&kept.without_token())?;
        }
        match lease.save(record) {
            Err(_) if *fault == Fault::HidesLostLease => Ok(()),
            result => result,
        }
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.1.release()
    }
}

fn found_out(fault: Fault, cases: &[&str]) {
    let store = MemoryStore::new();
    let failures = check(|| Faulty(fault, store.clone()))
        .unwrap_err()
        .to_string();
    for case in cases {
        assert!(failures.contains(&format!("\n- {case}: ")), "{failures}");
    }
    let begin = format!("{} of 24 cases failed", cases.len());
    assert!(failures.starts_with(&begin), "{failures}");
}

#[test]
fn a_store_that_hides_a_lost_lease_is_detected() {
    found_out(
        Fault::HidesLostLease,
        &[
            "a holder that was overtaken cannot write",
            "a holder whose lease has expired cannot write, overtaken or not",
            "writes of a holder that was overtaken do not affect the new one's",
            "a lease of zero length expires immediately",
        ],
    );
}

#[test]
fn a_store_that_replaces_a_younger_token_is_detected() {
    let case = "a save never replaces a younger token, not even one of the same generation";
    found_out(Fault::ReplacesAnything, &[case]);
}

#[test]
fn a_store_that_overflows_is_detected() {
    let case = "no length of wait or lease panics, and an endless lease is held";
    found_out(Fault::Overflows, &[case]);
    found_out(Fault::ForgetsEndlessLease, &[case]);
}
