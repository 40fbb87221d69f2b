//! A store that never grants its lease.

use async_trait::async_trait;
use ctc_driver::ctc_core::RecordKey;
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease,
};

/// Another process holds the lease without end.
pub(crate) struct Busy;

impl SessionStore for Busy {
    fn lease(&self, _: &RecordKey, _: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        Err(StoreError::Busy)
    }
}

#[async_trait]
impl AsyncSessionStore for Busy {
    async fn lease(
        &self,
        _: &RecordKey,
        _: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        Err(StoreError::Busy)
    }
}
