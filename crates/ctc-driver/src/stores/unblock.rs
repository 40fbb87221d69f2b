//! The asynchronous port for a store that has the blocking one.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use blocking::unblock;
use ctc_core::{RecordKey, SessionRecord};

use crate::ports::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease,
    StoreSecret,
};

/// How long a thread waits for another holder before it looks whether its task is still there.
const SLICE: Duration = Duration::from_millis(250);

/// A blocking store as an asynchronous one, on any runtime: the threads of the crate `blocking` do
/// its work. A store is used only around a login, so the detour hardly matters.
///
/// A long wait for a lease is cut into slices of a quarter of a second, each a
/// [`SessionStore::lease`] of its own on a clone of the store: let clones share what is costly to
/// open.
#[derive(Clone, Debug)]
pub struct Unblock<S>(pub S);

#[async_trait]
impl<S: SessionStore + Clone + 'static> AsyncSessionStore for Unblock<S> {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        let began = Instant::now();
        loop {
            // In slices: a task that is dropped meanwhile leaves no thread behind that waits on.
            let left = terms.wait.saturating_sub(began.elapsed());
            let terms = LeaseTerms {
                wait: left.min(SLICE),
                ..terms
            };
            let (store, key) = (self.0.clone(), key.clone());
            match unblock(move || store.lease(&key, terms)).await {
                Ok(lease) => return Ok(Box::new(Unblocked(Some(lease)))),
                Err(StoreError::Busy) if left > SLICE => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn secret(&self) -> Option<StoreSecret> {
        self.0.secret()
    }
}

/// The lease; `None` once an operation was dropped half way, which ends it.
struct Unblocked(Option<Box<dyn StoreLease>>);

impl Unblocked {
    async fn run<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut dyn StoreLease) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let mut lease = self.0.take().ok_or(StoreError::LeaseLost)?;
        let (lease, result) = unblock(move || {
            let result = work(&mut *lease);
            (lease, result)
        })
        .await;
        self.0 = Some(lease);
        result
    }
}

#[async_trait]
impl AsyncStoreLease for Unblocked {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        self.run(|lease| lease.load()).await
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        let record = record.clone();
        self.run(move |lease| lease.save(&record)).await
    }

    async fn release(mut self: Box<Self>) -> Result<(), StoreError> {
        let lease = self.0.take().ok_or(StoreError::LeaseLost)?;
        unblock(move || lease.release()).await
    }
}
