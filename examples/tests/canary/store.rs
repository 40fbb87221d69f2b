//! Stores that fail while they have a record.

use async_trait::async_trait;
use ctc_driver::__adapter::records;
use ctc_driver::ctc_core::{OpenRecord, RecordKey, SessionRecord};
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, MemoryStore, SessionStore, StoreError,
    StoreLease,
};

use crate::show::show;

/// What a store does when it has to save.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spoilt {
    Fails,
    Panics,
}

/// A lease whose operations fail.
struct Lease(Spoilt);

impl Lease {
    fn spoil(&self, record: &SessionRecord) -> Result<(), StoreError> {
        show!(ctc_driver::ctc_core::SessionRecord, record);
        match self.0 {
            Spoilt::Fails => Err(StoreError::Unavailable(
                format!("no room for {record:?}").into(),
            )),
            Spoilt::Panics => panic!("no room for {record:?}"),
        }
    }
}

impl SessionStore for Spoilt {
    fn lease(&self, _: &RecordKey, _: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        Ok(Box::new(Lease(*self)))
    }
}

#[async_trait]
impl AsyncSessionStore for Spoilt {
    async fn lease(
        &self,
        _: &RecordKey,
        _: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        Ok(Box::new(Lease(*self)))
    }
}

impl StoreLease for Lease {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        Ok(None)
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        self.spoil(record)
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl AsyncStoreLease for Lease {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        Ok(None)
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        self.spoil(record)
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Returns a session's record, sealed.
pub(crate) fn sealed(record: &OpenRecord) -> SessionRecord {
    let secret = MemoryStore::new();
    let secret = SessionStore::secret(&secret).unwrap();
    show!(ctc_driver::StoreSecret, &secret);
    records::seal(record, None, [7; 16], Some(&secret)).unwrap()
}

/// Returns a store in memory that has this session.
pub(crate) fn in_memory(key: &RecordKey, record: &SessionRecord) -> MemoryStore {
    let store = MemoryStore::new();
    let terms = LeaseTerms {
        wait: std::time::Duration::ZERO,
        ttl: std::time::Duration::from_secs(60),
    };
    let mut lease = SessionStore::lease(&store, key, terms).unwrap();
    lease.save(record).unwrap();
    lease.release().unwrap();
    assert!(store.peek(key).is_some_and(|record| record.has_token()));
    store
}
