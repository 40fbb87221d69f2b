//! The ports for stores, which keep a session beyond one process.
//!
//! # When a store is asked
//!
//! Around a login:
//!
//! ```text
//!   lease ──▶ load ──▶ no key for this record yet? release, derive it, lease again
//!                  └─▶ newer token than the rejected one?  adopt it ──────────────▶ release
//!                  └─▶ a backoff, rejection, no budget?    deny, send nothing ────▶ release
//!                  └─▶ otherwise: save (record the login before it is sent)
//!                      log in ──▶ save ──▶ release
//! ```
//!
//! While the token is valid, the store is used only if the server replaced the token on an ordinary
//! response: the first such token after a login is saved at once, further ones at most once a
//! minute, and the response waits for it (at most one second in the asynchronous driver). A logout
//! removes its own token. Each of these takes one lease. A failing store stops no call: the session
//! continues in memory, logs in under its own governor, warns once (until the store works again),
//! and uses the store again at the next login.
//!
//! # What is in a record
//!
//! A [`SessionRecord`](ctc_core::SessionRecord) is opaque to a store: `serde` converts it into the
//! form that the store saves, and its [`key`](ctc_core::SessionRecord::key) says where to file it.
//! Its tokens are sealed: they open only with the password that obtained them ([what a stolen
//! record discloses](ctc_core::manual::security)). Keep records private all the same, and do not
//! change them. A record takes one or two kilobytes, more for long tokens.
//!
//! # Writing a store of your own
//!
//! A store, such as a database or a cloud's secret manager, obeys four rules. The store conformance
//! suite of `ctc-testkit` checks them.
//!
//! 1. **One lease per key.** A second [`lease`](SessionStore::lease) waits, for at most
//!    [`LeaseTerms::wait`], and continues soon after a release. A lease ends when it is released or
//!    dropped, and at the latest after [`LeaseTerms::ttl`], so that another process replaces a dead
//!    or frozen holder. (Replace a dead holder earlier if you can, for example with a lock that the
//!    system releases, or with heartbeats.)
//! 2. **An expired lease changes nothing.** Its [`save`](StoreLease::save) fails with
//!    [`StoreError::LeaseLost`], also if the holder was stopped during it and resumed an hour
//!    later. This needs a **fencing number**: each lease gets the next one, it is saved beside the
//!    record, and a write is made only if it is still the newest. Check and write must be one step
//!    for the store (a transaction, a script, a conditional update). Use only one clock: the
//!    store's own, or [`Instant`](std::time::Instant) within the holder.
//! 3. **A record is all or nothing**, private, and never another key's. If data cannot be read, or
//!    has another [`key`](ctc_core::SessionRecord::key), it is not a record:
//!    [`load`](StoreLease::load) returns `None`, not an error.
//! 4. **A younger token stays.** A save that would replace a record which
//!    [has a younger token](ctc_core::SessionRecord::has_younger_token_than) changes nothing, and
//!    succeeds: processes that could not reach the store for a while come back with old tokens.
//!
//! Every operation should end within a few seconds. The asynchronous driver gives up after five;
//! with the blocking driver, the store must enforce its own limit.
//!
//! Implement [`SessionStore`]; with the feature `unblock` the wrapper `Unblock` makes an
//! [`AsyncSessionStore`] of it that works on any runtime. A complete example, for a table
//! `ctc (key, fence, owner_until, record)`:
//!
//! ```
//! # use std::collections::HashMap;
//! # use std::sync::{Arc, Mutex};
//! # use std::time::{Duration, Instant};
//! use ctc_driver::ctc_core::{RecordKey, SessionRecord};
//! use ctc_driver::{LeaseTerms, SessionStore, StoreError, StoreLease};
//! # #[derive(Clone, Default)]
//! # struct Table(Arc<Mutex<HashMap<RecordKey, (u64, Option<Instant>, Option<SessionRecord>)>>>);
//! # impl Table {
//! #     // UPDATE ctc SET fence = fence + 1, until = now() + ttl
//! #     // WHERE key = … AND until < now() RETURNING fence
//! #     fn take(&self, key: &RecordKey, ttl: Duration) -> Result<Option<u64>, StoreError> {
//! #         let mut rows = self.0.lock().unwrap();
//! #         let row = rows.entry(key.clone()).or_default();
//! #         if row.1.is_some_and(|until| until > Instant::now()) { return Ok(None) }
//! #         row.0 += 1;
//! #         row.1 = Some(Instant::now() + ttl.min(Duration::from_secs(1 << 31)));
//! #         Ok(Some(row.0))
//! #     }
//! #     fn select(&self, key: &RecordKey) -> Result<Option<SessionRecord>, StoreError> {
//! #         Ok(self.0.lock().unwrap().get(key).and_then(|row| row.2.clone()))
//! #     }
//! #     // UPDATE ctc SET record = … WHERE key = … AND fence = … AND until > now()
//! #     fn update(
//! #         &self, key: &RecordKey, fence: u64, record: &SessionRecord,
//! #     ) -> Result<usize, StoreError> {
//! #         let mut rows = self.0.lock().unwrap();
//! #         let Some(row) = rows.get_mut(key).filter(|row| row.0 == fence) else { return Ok(0) };
//! #         if row.1.is_none_or(|until| until <= Instant::now()) { return Ok(0) }
//! #         row.2 = Some(record.clone());
//! #         Ok(1)
//! #     }
//! #     // UPDATE ctc SET until = 0 WHERE key = … AND fence = …
//! #     fn give_back(&self, key: &RecordKey, fence: u64) {
//! #         let mut rows = self.0.lock().unwrap();
//! #         if let Some(row) = rows.get_mut(key).filter(|row| row.0 == fence) { row.1 = None }
//! #     }
//! # }
//!
//! impl SessionStore for Table {
//!     fn lease(
//!         &self,
//!         key: &RecordKey,
//!         terms: LeaseTerms,
//!     ) -> Result<Box<dyn StoreLease>, StoreError> {
//!         let began = Instant::now();
//!         loop {
//!             if let Some(fence) = self.take(key, terms.ttl)? {
//!                 return Ok(Box::new(Lease { table: self.clone(), key: key.clone(), fence }));
//!             }
//!             // A sum of the two would overflow at `Duration::MAX`, which means "no limit".
//!             if began.elapsed() >= terms.wait {
//!                 return Err(StoreError::Busy);
//!             }
//!             std::thread::sleep(Duration::from_millis(50));
//!         }
//!     }
//! }
//!
//! struct Lease { table: Table, key: RecordKey, fence: u64 }
//!
//! impl StoreLease for Lease {
//!     fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
//!         Ok(self.table.select(&self.key)?.filter(|record| record.key() == self.key))
//!     }
//!
//!     fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
//!         // If another process writes before the update, the update finds no row.
//!         if self.load()?.is_some_and(|kept| kept.has_younger_token_than(record)) {
//!             return Ok(());
//!         }
//!         match self.table.update(&self.key, self.fence, record)? {
//!             0 => Err(StoreError::LeaseLost), // another holder, or expired
//!             _ => Ok(()),
//!         }
//!     }
//!
//!     fn release(self: Box<Self>) -> Result<(), StoreError> {
//!         Ok(()) // dropping it is all
//!     }
//! }
//!
//! impl Drop for Lease {
//!     fn drop(&mut self) {
//!         self.table.give_back(&self.key, self.fence);
//!     }
//! }
//! ```

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

/// A store for blocking callers.
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
