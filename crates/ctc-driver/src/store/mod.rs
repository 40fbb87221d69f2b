//! The store ports: what keeps a session beyond a process, and serves many.
//!
//! A store is asked only when a token is missing: the elected caller takes the store's **lease**, loads the
//! record, and logs in only when the record has nothing newer than the token that was refused. While a token is
//! good, no store is touched.
//!
//! # Writing a store of your own
//!
//! Three rules are all there is; the conformance suite of `ctc-testkit` checks them.
//!
//! 1. **One lease a key.** A second [`lease`](SessionStore::lease) waits, for [`LeaseTerms::wait`] at most. A
//!    lease ends when it is released or dropped, and at the latest after [`LeaseTerms::ttl`]: a holder that died
//!    or froze is overtaken.
//! 2. **A lease that is over changes nothing.** Its [`save`](StoreLease::save) fails with [`StoreError::Lost`].
//! 3. **A record is all or nothing**, as private as a password, and never mixed up with another key's.

mod memory;
#[cfg(feature = "unblock")]
mod unblock;

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{RecordKey, SessionRecord};

pub use memory::MemoryStore;
#[cfg(feature = "unblock")]
pub use unblock::Unblock;

/// How long a lease may be waited for, and held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// How long to wait for another holder.
    pub wait: Duration,
    /// How long the lease is good for. A holder that is not done by then is overtaken.
    pub ttl: Duration,
}

/// Keeps records, for blocking callers.
pub trait SessionStore: Send + Sync {
    /// Takes the one lease of this key.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another holder kept it for all of [`LeaseTerms::wait`];
    /// [`StoreError::Unavailable`] when the store is out of reach.
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError>;
}

/// A lease on one record. Dropping it releases it as well as can be done without waiting.
pub trait StoreLease: Send {
    /// The record, if there is one that can be used.
    ///
    /// # Errors
    /// [`StoreError`] when the store is out of reach.
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError>;

    /// Replaces the record.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the lease is over, and then nothing was changed.
    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError>;

    /// Gives the lease back, and wakes who waits for it.
    ///
    /// # Errors
    /// [`StoreError`] when that failed; the lease then ends with its time.
    fn release(self: Box<Self>) -> Result<(), StoreError>;
}

/// Keeps records, for tasks. The twin of [`SessionStore`]; the driver bounds every wait by itself as well.
#[async_trait]
pub trait AsyncSessionStore: Send + Sync {
    /// Takes the one lease of this key; see [`SessionStore::lease`].
    ///
    /// # Errors
    /// As there.
    async fn lease(&self, key: &RecordKey, terms: LeaseTerms)
    -> Result<Box<dyn AsyncStoreLease>, StoreError>;
}

/// A lease on one record; the twin of [`StoreLease`].
#[async_trait]
pub trait AsyncStoreLease: Send {
    /// See [`StoreLease::load`].
    ///
    /// # Errors
    /// As there.
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError>;

    /// See [`StoreLease::save`].
    ///
    /// # Errors
    /// As there.
    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError>;

    /// See [`StoreLease::release`].
    ///
    /// # Errors
    /// As there.
    async fn release(self: Box<Self>) -> Result<(), StoreError>;
}

/// Why a store could not do what was asked. A broken store never stops a call that has a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another holder has the lease.
    #[error("another process holds the login lease of the session store")]
    Busy,
    /// The lease is over: another holder may have written since.
    #[error("the login lease of the session store is over; nothing was written")]
    Lost,
    /// The store is out of reach, full, read-only or unreadable.
    #[error("the session store is not available; the session goes on in memory only")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}
