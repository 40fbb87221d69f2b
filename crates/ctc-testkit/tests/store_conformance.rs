//! The store that comes with the driver passes, and one that breaks a rule is found out.

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

/// Says that every write went well.
#[derive(Clone)]
struct Careless(MemoryStore);

struct CarelessLease(Box<dyn StoreLease>);

impl SessionStore for Careless {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        Ok(Box::new(CarelessLease(SessionStore::lease(
            &self.0, key, terms,
        )?)))
    }
}

impl StoreLease for CarelessLease {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        self.0.load()
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        let _ = self.0.save(record);
        Ok(())
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.0.release()
    }
}

#[test]
fn a_store_that_hides_a_lost_lease_is_found_out() {
    let store = Careless(MemoryStore::new());
    let failures = check(|| store.clone()).unwrap_err().to_string();
    assert!(
        failures.contains("an overtaken holder writes nothing"),
        "{failures}"
    );
    assert!(
        failures.contains("a lease whose time is over writes nothing"),
        "{failures}"
    );
    assert!(failures.starts_with("3 of 18 cases failed"), "{failures}");
}
