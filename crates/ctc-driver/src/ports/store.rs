//! The store ports: what keeps a session beyond a process, and serves many.
//!
//! # When a store is asked
//!
//! Around a login:
//!
//! ```text
//!   lease ──▶ load ──▶ no key for this record yet? release, derive it, lease again
//!                  └─▶ newer token than the one refused? adopt it ───────────────▶ release
//!                  └─▶ a pause, a rejection, no budget?  deny, send nothing ─────▶ release
//!                  └─▶ otherwise: save (the login is on record before it is sent)
//!                      log in ──▶ save ──▶ release
//! ```
//!
//! While a token is good, only for one that the server rotated on an ordinary response: the first
//! after a login is saved at once, further ones at most once a minute, and the response waits for
//! it (one second at most in the asynchronous driver). A logout takes its own token out. Each of
//! these is one lease. A store that fails stops no call: the session goes on in memory, logs in
//! under its own governor, warns once (until the store works again), and asks the store again at
//! the next login.
//!
//! # What is in a record
//!
//! A [`SessionRecord`](ctc_core::SessionRecord) is opaque here: `serde` turns it into whatever form
//! a store keeps, and its [`key`](ctc_core::SessionRecord::key) says what to file it under. Its
//! tokens are sealed: they open only with the password that obtained them
//! ([what a stolen record yields](ctc_core::manual::security)). Keep it private all the same, and
//! change nothing in it. A kilobyte or two; some more for long tokens.
//!
//! # Writing a store of your own
//!
//! A database, a cloud's secret manager: four rules are all there is, and the store conformance
//! suite of `ctc-testkit` checks them.
//!
//! 1. **One lease a key.** A second [`lease`](SessionStore::lease) waits, for [`LeaseTerms::wait`]
//!    at most, and is woken soon after a release. A lease ends when it is released or dropped, and
//!    at the latest after [`LeaseTerms::ttl`]: a holder that died or froze is overtaken. (Sooner is
//!    better for one that died: say by a lock that the system gives back, or by heartbeats.)
//! 2. **A lease that is over changes nothing.** Its [`save`](StoreLease::save) fails with
//!    [`StoreError::LeaseLost`], also when the holder was stopped in the midst of it and woke an
//!    hour later. That takes a **fencing number**: each lease gets the next one, it is kept beside
//!    the record, and a write is made only if it is still the newest, check and write being one
//!    step for the store (a transaction, a script, a conditional update). Judge time by one clock
//!    alone: the store's own, or [`Instant`](std::time::Instant) within the holder.
//! 3. **A record is all or nothing**, private, and never another key's. What cannot be read, or has
//!    another [`key`](ctc_core::SessionRecord::key), is no record: [`load`](StoreLease::load) says
//!    `None`, not an error.
//! 4. **A younger token stays.** A save that would replace a record which
//!    [has a younger token](ctc_core::SessionRecord::has_younger_token_than) changes nothing, and
//!    succeeds: processes that could not reach the store for a while come back with old tokens.
//!
//! And one habit: everything ends in a few seconds. The asynchronous driver gives up on an
//! operation after five; a blocking one has nobody but the store itself to see to that.
//!
//! Implement [`SessionStore`]; with the feature `unblock` the wrapper `Unblock` makes an
//! [`AsyncSessionStore`] of it that works on any runtime. A whole one, for a table `ctc (key,
//! fence, owner_until, record)`:
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
//!         // Nobody else can write between this and the update, or the update finds no row.
//!         if self.load()?.is_some_and(|kept| kept.has_younger_token_than(record)) {
//!             return Ok(());
//!         }
//!         match self.table.update(&self.key, self.fence, record)? {
//!             0 => Err(StoreError::LeaseLost), // somebody overtook us, or our time is over
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
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{RecordKey, SessionRecord};
use zeroize::Zeroizing;

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

    /// A secret of the store's own, if it has one. The same for all who share its records.
    ///
    /// Without one, the key that a record's token is sealed with is derived slowly: some 30 ms and
    /// 19 MiB for each new process.
    fn secret(&self) -> Option<StoreSecret> {
        None
    }
}

/// A secret that a store has in common with those who may use its records, and that is not kept
/// beside them: with it, the key to a record costs microseconds, and who has only the records can
/// test no password at all.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreSecret(Zeroizing<[u8; 32]>);

impl StoreSecret {
    /// Takes 32 bytes that nobody can foresee.
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

/// A lease on one record. Dropping it releases it as well as can be done without waiting.
pub trait StoreLease: Send {
    /// The record, if there is one that can be used.
    ///
    /// # Errors
    /// [`StoreError`] when the store is out of reach.
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError>;

    /// Replaces the record, unless the store has one with a younger token: that one stays.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when the lease is over, and then nothing was changed.
    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError>;

    /// Gives the lease back, and wakes who waits for it.
    ///
    /// # Errors
    /// [`StoreError`] when that failed; the lease then ends with its time.
    fn release(self: Box<Self>) -> Result<(), StoreError>;
}

/// Keeps records, for tasks. The twin of [`SessionStore`]; the driver bounds every wait by itself
/// as well.
#[async_trait]
pub trait AsyncSessionStore: Send + Sync {
    /// Takes the one lease of this key; see [`SessionStore::lease`].
    ///
    /// # Errors
    /// As there.
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError>;

    /// A secret of the store's own; see [`SessionStore::secret`].
    fn secret(&self) -> Option<StoreSecret> {
        None
    }
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
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another holder has the lease.
    #[error("another process holds the login lease of the session store")]
    Busy,
    /// The lease is over: another holder may have written since.
    #[error("the login lease of the session store is over; nothing was written")]
    LeaseLost,
    /// The store is out of reach, full, read-only or unreadable.
    #[error("the session store is not available; the session goes on in memory only")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// [`StoreError::Unavailable`].
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }
}

ctc_core::__readable_debug!(StoreError);
