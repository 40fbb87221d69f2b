//! The blocking ports, as the steps of a login use them.

use std::sync::Arc;

use async_trait::async_trait;
use ctc_core::{RecordKey, SessionRecord};

use super::store::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease,
    StoreSecret,
};

/// Wraps what is blocking for the asynchronous steps: it is done at the first poll.
pub(crate) struct Blocking<T>(pub(crate) T);

#[async_trait]
impl AsyncSessionStore for Blocking<Arc<dyn SessionStore>> {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        Ok(Box::new(Blocking(self.0.lease(key, terms)?)))
    }

    fn secret(&self) -> Option<StoreSecret> {
        self.0.secret()
    }
}

#[async_trait]
impl AsyncStoreLease for Blocking<Box<dyn StoreLease>> {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        self.0.load()
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        self.0.save(record)
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.0.release()
    }
}
