//! The ports for stores, which keep a session beyond one process: [the manual's
//! page](crate::manual::stores) says when they are asked, and how to write one.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{RecordKey, SessionRecord};
use zeroize::Zeroizing;

/// The time limits of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// How long to wait for another holder.
    pub wait: Duration,
    /// How long the lease lasts. After that, another holder may take it.
    pub ttl: Duration,
}

/// A store for blocking callers. The manual says [when it is asked, and how to write
/// one](crate::manual::stores#writing-your-own-store).
pub trait SessionStore: Send + Sync {
    /// Takes the lease of this key.
    ///
    /// # Errors
    /// Returns [`StoreError::Busy`] if another holder has it for all of [`LeaseTerms::wait`], and
    /// [`StoreError::Unavailable`] if the store cannot be used.
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError>;

    /// Returns the store's own secret, if it has one. It must be the same for all processes that
    /// share its records.
    ///
    /// Without a secret, the key that seals a record's token is derived slowly: about 30 ms and 19
    /// MiB for each new process.
    fn secret(&self) -> Option<StoreSecret> {
        None
    }
}

impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        (**self).lease(key, terms)
    }

    fn secret(&self) -> Option<StoreSecret> {
        (**self).secret()
    }
}

/// A secret that a store shares with the users of its records, and that is not saved beside them.
/// With it, the key to a record takes microseconds, and a reader of only the records cannot test
/// any password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreSecret(Zeroizing<[u8; 32]>);

impl StoreSecret {
    /// Takes 32 unpredictable bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for StoreSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSecret([redacted])")
    }
}

/// A lease on one record. Dropping it releases it as far as this is possible without waiting.
pub trait StoreLease: Send {
    /// Returns the record, if there is a valid one.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the store cannot be used.
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError>;

    /// Replaces the record, unless the store has a record with a younger token: then that stays.
    ///
    /// # Errors
    /// Returns [`StoreError::LeaseLost`] if the lease has expired; then nothing was changed.
    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError>;

    /// Releases the lease and wakes a waiting caller.
    ///
    /// # Errors
    /// Returns [`StoreError`] if that fails; the lease then expires.
    fn release(self: Box<Self>) -> Result<(), StoreError>;
}

/// A store for tasks, the counterpart of [`SessionStore`]. The driver limits every wait by itself
/// as well.
#[async_trait]
pub trait AsyncSessionStore: Send + Sync {
    /// Takes the lease of this key; see [`SessionStore::lease`].
    ///
    /// # Errors
    /// Returns [`StoreError::Busy`] if another holder has it for all of [`LeaseTerms::wait`], and
    /// [`StoreError::Unavailable`] if the store cannot be used.
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError>;

    /// Returns the store's own secret; see [`SessionStore::secret`].
    fn secret(&self) -> Option<StoreSecret> {
        None
    }
}

#[async_trait]
impl<S: AsyncSessionStore + ?Sized> AsyncSessionStore for Arc<S> {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        (**self).lease(key, terms).await
    }

    fn secret(&self) -> Option<StoreSecret> {
        (**self).secret()
    }
}

/// A lease on one record, the counterpart of [`StoreLease`].
#[async_trait]
pub trait AsyncStoreLease: Send {
    /// Returns the record, if there is a valid one; see [`StoreLease::load`].
    ///
    /// # Errors
    /// Returns [`StoreError`] if the store cannot be used.
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError>;

    /// Replaces the record; see [`StoreLease::save`].
    ///
    /// # Errors
    /// Returns [`StoreError::LeaseLost`] if the lease has expired; then nothing was changed.
    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError>;

    /// Releases the lease; see [`StoreLease::release`].
    ///
    /// # Errors
    /// Returns [`StoreError`] if that fails; the lease then expires.
    async fn release(self: Box<Self>) -> Result<(), StoreError>;
}

/// Why a store operation failed. A failing store never stops a call that has a token.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another holder has the lease.
    #[error("another process holds the lease of the session store")]
    Busy,
    /// The lease has expired: another holder may have written since.
    #[error("the lease of the session store has expired: nothing was written")]
    LeaseLost,
    /// The store cannot be reached, is full or read-only, or its record cannot be read.
    #[error("the session store is not available (the session continues in memory only)")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// [`StoreError::Unavailable`].
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }
}

ctc_core::__readable_debug!(StoreError);
