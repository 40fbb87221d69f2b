//! Keeps a CTC session in Redis.

mod error;
mod lease;
mod link;
mod scripts;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ctc_driver::ctc_core::RecordKey;
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease, Unblock,
};

pub use crate::error::{OpenError, RedisFailure};
use crate::lease::{Claim, RedisLease};
use crate::settings::Settings;
pub use redis;

/// How often a waiting process asks whether the lease is free.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_millis(100);

/// Keeps sessions in Redis, for every process that reaches it. Cloning shares the settings.
///
/// Nothing is sent before the first login, and nothing while a token is good. A Redis that cannot be used is no
/// error here: the session then goes on in memory, and the driver warns once.
#[derive(Clone)]
pub struct RedisStore {
    settings: Arc<Settings>,
}

impl RedisStore {
    /// The store in the Redis at `url`: `redis://[user:password@]host[:port][/db]`, or `rediss://…` for TLS, with
    /// one of this crate's `tls-…` features.
    ///
    /// # Errors
    /// [`OpenError`], which does not repeat the URL. Whether Redis is there shows at the first login only.
    pub fn open(url: &str) -> Result<Self, OpenError> {
        redis::Client::open(url).map(Self::with_client).map_err(|_| OpenError::Url)
    }

    /// The store in the Redis of a client of your own, say one with client certificates.
    pub fn with_client(client: redis::Client) -> Self {
        let settings = Settings {
            client: Arc::new(client),
            prefix: "ctc".to_owned(),
            keep_for: Duration::from_secs(30 * 24 * 3600),
            timeout: Duration::from_secs(2),
        };
        Self { settings: Arc::new(settings) }
    }

    /// What every key begins with. Default `ctc`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.settings).prefix = prefix.into();
        self
    }

    /// How long a record is kept that nobody writes. Default 30 days. A rejection is forgotten with it.
    #[must_use]
    pub fn keep_for(mut self, keep_for: Duration) -> Self {
        Arc::make_mut(&mut self.settings).keep_for = keep_for;
        self
    }

    /// How long one operation may take, connecting and trying again included. Default 2 s. The asynchronous driver
    /// gives up after 5 s by itself.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.settings).timeout = timeout;
        self
    }

    /// The key in Redis that this record is or will be in.
    pub fn record_name(&self, key: &RecordKey) -> String {
        let [_, record] = self.settings.keys(key);
        record
    }

    /// Removes a record, and with it the token, a pause and a rejection. `false` when there was none.
    ///
    /// A session in use notices nothing, and saves a new record when it logs in next.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when Redis is out of reach.
    pub fn forget(&self, key: &RecordKey) -> Result<bool, StoreError> {
        let mut command = redis::cmd("DEL");
        command.arg(self.record_name(key));
        let removed: u64 = self.settings.link().send("remove from", &command)?;
        Ok(removed > 0)
    }
}

impl SessionStore for RedisStore {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        let give_up = Instant::now() + terms.wait;
        let (mut link, mut claim) = (self.settings.link(), Claim::new(&self.settings, key));
        let mut pause = SHORTEST_LOOK;
        loop {
            let began = Instant::now();
            let busy_for = match claim.take(&mut link, &self.settings, terms.ttl)? {
                Ok(()) => {
                    let (settings, key) = (Arc::clone(&self.settings), key.clone());
                    let lease = RedisLease::new(link, settings, key, claim, (began, terms.ttl))?;
                    return Ok(Box::new(lease));
                }
                Err(left) => Duration::from_millis(left.max(1)),
            };
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::Busy);
            }
            thread::sleep(pause.min(left).min(busy_for));
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}

#[async_trait]
impl AsyncSessionStore for RedisStore {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        AsyncSessionStore::lease(&Unblock(self.clone()), key, terms).await
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { prefix, keep_for, timeout, .. } = &*self.settings;
        f.debug_struct("RedisStore")
            .field("prefix", prefix)
            .field("keep_for", keep_for)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}
