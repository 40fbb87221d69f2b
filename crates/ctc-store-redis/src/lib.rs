//! Keeps a session with the CalAmp Telematics Cloud (CTC) in Redis, so that the processes of many
//! hosts share it: a fleet of pods needs one login.
//!
//! ```
//! use ctc_store_redis::RedisStore;
//!
//! let url = "redis://cache.example:6379/0";
//! let store = RedisStore::open(url)?.prefix("telematics");
//! // ctc_reqwest::Client::builder().store(store)…
//! // ctc_ureq::Client::builder().store(store)…
//! # let _ = store;
//! # Ok::<(), ctc_store_redis::OpenError>(())
//! ```
//!
//! On one machine [`ctc-store-file`](https://docs.rs/ctc-store-file) does the same without a
//! server; its page has a table of which store to use when.
//!
//! # What is in Redis
//!
//! Each session has two hashes. `<prefix>:{<origin>|<account>}:record` contains a mark of the
//! account, how many logins were made recently, a backoff in force and, sealed, the tokens and
//! rejections of recent passwords. The same name with `:lease` says who may log in now. They do not
//! contain the username, the password or the application key: see [`SessionRecord`]. Both expire if
//! nothing has written them for [`record_ttl`](RedisStore::record_ttl), 30 days by default; the
//! lease does not expire before it may end.
//!
//! # Who can read it
//!
//! Every Redis user that may read these keys, the server's administrators, and every reader of its
//! dumps and replicas. **They get no token:** it opens only with the password that obtained it.
//! With the username and the application key, they can test passwords, at 14 ms and 19 MiB each
//! ([all that a record discloses](ctc_driver::ctc_core::manual::security)). A user that may write
//! can delete a record or restore an older copy, which costs logins. A process with another
//! password finds nothing and leaves the token alone. A new process takes about 30 ms to derive its
//! key.
//!
//! Give Redis a password, or better a user that may do only what this crate does (for the prefix
//! `ctc`):
//!
//! ```text
//! ACL SETUSER ctc on >password ~ctc:* +select +eval +time +hmget +hset +pexpire +del
//! ```
//!
//! Use TLS beyond a network that you trust: `rediss://` with one of the features `tls-rustls`,
//! `tls-rustls-webpki-roots` or `tls-native-tls`, or your own client with
//! [`RedisStore::with_client`]. The URL may contain a password; no error, log or `Debug` of this
//! crate prints it.
//!
//! # Resetting
//!
//! After a rejected login no process logs in again until the credentials change. To try the same
//! credentials again, call `SharedSession::reset` in each running process, or
//! [`RedisStore::forget`], or `DEL` the `:record` key and start the program again.
//!
//! # How the lease works
//!
//! The lease has an owner's mark, a **fencing number** that only grows, and an end by Redis's own
//! clock. Each holder's heartbeat extends it while the holder lives, by 6 s at a time and never
//! beyond what the driver asked for. So another process replaces a killed holder after at most 6 s.
//! A holder that was frozen and resumes finds a higher number, and its write, which one script
//! checks and makes, changes nothing. Records carry an age by Redis's clock: the clocks of hosts
//! may differ by hours.
//!
//! # When Redis is unavailable
//!
//! Calls with a token hardly notice: Redis is used around a login, and at most once a minute when
//! the server replaces the token on an ordinary response, which then waits for it. A login waits
//! for Redis for [`timeout`](RedisStore::timeout) (2 s by default, enough for a restart); then each
//! process logs in without it, under its own governor. There is one warning, and the next login
//! uses the store again. A full Redis and a read-only replica are handled in the same way. Data
//! that Redis loses (without persistence, or in a failover) costs a login. For a cluster, give the
//! URL of a node that holds the key: the store follows no redirections.
//!
//! Blocking and asynchronous callers work alike, on any runtime, because threads do the work. A
//! login uses one connection, however long it waits for others, and a second one if it takes some
//! seconds itself.
//!
//! # The manual
//!
//! [`ctc_driver::manual`] is its table of contents, with the page
//! [`stores`](ctc_driver::manual::stores); `cargo doc --open` in a clone of the repository shows
//! it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod lease;
mod link;
mod scripts;
mod settings;
mod wait;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::ctc_core::{RecordKey, SessionRecord};
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease, Unblock,
};

pub use crate::error::{OpenError, RedisFailure};
use crate::settings::Settings;
use crate::wait::Waiting;
pub use redis;

/// How many keys Redis scans at a time, which takes it a few milliseconds.
const SCANNED: u32 = 1000;

/// A store in Redis, for all processes that can reach it. Clones share the settings.
///
/// Nothing is sent before the first login, and nothing while a token is valid and not replaced. If
/// Redis cannot be used, the session continues in memory, and the driver warns once.
#[derive(Clone)]
pub struct RedisStore {
    settings: Arc<Settings>,
}

impl RedisStore {
    /// Returns the store in the Redis at `url`: `redis://[user:password@]host[:port][/db]`, or
    /// `rediss://…` for TLS, with one of this crate's `tls-…` features.
    ///
    /// # Errors
    /// Returns [`OpenError`] if the URL is not valid; it does not repeat the URL. The first login
    /// shows whether Redis can be reached.
    pub fn open(url: &str) -> Result<Self, OpenError> {
        redis::Client::open(url)
            .map(Self::with_client)
            .map_err(|_| OpenError::Url)
    }

    /// Returns the store in the Redis of your own client, for example with client certificates.
    pub fn with_client(client: redis::Client) -> Self {
        Self {
            settings: Arc::new(Settings::new(client)),
        }
    }

    /// Sets the prefix of every key. Default `ctc`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.settings).prefix = prefix.into();
        self
    }

    /// Sets how long an unchanged record is kept. Default 30 days. Its rejections and its count of
    /// recent logins expire with it: keep records for hours at least, or the login budget is lost
    /// before it refills. Leases are not affected.
    #[must_use]
    pub fn record_ttl(mut self, record_ttl: Duration) -> Self {
        Arc::make_mut(&mut self.settings).record_ttl = record_ttl;
        self
    }

    /// Sets the time limit of one operation, with connecting and retries. Default 2 s. The
    /// asynchronous driver gives up after 5 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.settings).timeout = timeout;
        self
    }

    /// Returns the key in Redis of this record, which may not exist yet.
    pub fn record_name(&self, key: &RecordKey) -> String {
        let [_, record] = self.settings.keys(key);
        record
    }

    /// Reads a record without its lease and without changes, for programs that show it. `None` if
    /// there is no valid record.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if Redis cannot be reached.
    pub fn read(&self, key: &RecordKey) -> Result<Option<SessionRecord>, StoreError> {
        let found = lease::look(&mut self.settings.link(), &self.record_name(key))?;
        Ok(found.filter(|record| record.key() == *key))
    }

    /// Reads all records under the prefix, each with its key in Redis, in the order of the keys.
    /// Skips invalid data. This scans all keys of the database (`SCAN`), in steps that do not block
    /// other clients; a Redis user with the rights above needs `+scan` as well.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if Redis cannot be reached or returns an error.
    pub fn records(&self) -> Result<Vec<(String, SessionRecord)>, StoreError> {
        let mut link = self.settings.link();
        let mut names = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut command = redis::cmd("SCAN");
            let pattern = self.settings.every_record();
            command
                .arg(cursor)
                .arg("MATCH")
                .arg(pattern)
                .arg("COUNT")
                .arg(SCANNED)
                .arg("TYPE")
                .arg("hash");
            let (next, found): (u64, Vec<String>) = link.send("list", &command)?;
            names.extend(found);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let mut records = Vec::new();
        for name in names {
            if let Some(record) = lease::look(&mut link, &name)?
                && self.record_name(&record.key()) == name
            {
                records.push((name, record));
            }
        }
        Ok(records)
    }

    /// Removes a record with its token, backoff and rejections. Returns `false` if there was none.
    ///
    /// A session in use is not affected, and saves a new record at its next login.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if Redis cannot be reached.
    pub fn forget(&self, key: &RecordKey) -> Result<bool, StoreError> {
        let mut command = redis::cmd("DEL");
        command.arg(self.record_name(key));
        let removed: u64 = self.settings.link().send("remove from", &command)?;
        Ok(removed > 0)
    }
}

impl SessionStore for RedisStore {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        Waiting::new(&self.settings).lease(key, terms)
    }
}

#[async_trait]
impl AsyncSessionStore for RedisStore {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        Unblock(Waiting::new(&self.settings))
            .lease(key, terms)
            .await
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            prefix,
            record_ttl,
            timeout,
            ..
        } = &*self.settings;
        f.debug_struct("RedisStore")
            .field("prefix", prefix)
            .field("record_ttl", record_ttl)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
