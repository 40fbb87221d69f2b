//! A store in this process's memory: for several sessions of one process, and for tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ctc_core::{RecordKey, SessionRecord};
use event_listener::{Event, EventListener};
use futures_util::future::select;

use crate::ports::{
    AsyncSessionStore, AsyncStoreLease, Blocking, LeaseTerms, SessionStore, StoreError, StoreLease,
    StoreSecret,
};
use crate::sealing::random;
use crate::threads::block_on;
use crate::timer::{Sleep, end_of};

/// Keeps records in memory. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    slots: Mutex<HashMap<RecordKey, Slot>>,
    released: Event,
}

#[derive(Debug, Default)]
struct Slot {
    record: Option<SessionRecord>,
    /// Counts the leases: only the newest may write.
    fence: u64,
    held_until: Option<Instant>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the record of this key, without its lease.
    pub fn peek(&self, key: &RecordKey) -> Option<SessionRecord> {
        self.0.slots().get(key).and_then(|slot| slot.record.clone())
    }

    async fn obtain(&self, key: &RecordKey, terms: LeaseTerms) -> Result<MemoryLease, StoreError> {
        let give_up = end_of(terms.wait);
        loop {
            match self.0.take(key, terms.ttl) {
                Ok(lease) => return Ok(lease),
                Err(_) if give_up <= Instant::now() => return Err(StoreError::Busy),
                Err(busy) => {
                    let time = Sleep::until(busy.until.min(give_up));
                    select(busy.released, time).await;
                }
            }
        }
    }
}

impl SessionStore for MemoryStore {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        Ok(Box::new(block_on(self.obtain(key, terms))?))
    }

    fn secret(&self) -> Option<StoreSecret> {
        secret_of_this_process()
    }
}

#[async_trait]
impl AsyncSessionStore for MemoryStore {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        let lease: Box<dyn StoreLease> = Box::new(self.obtain(key, terms).await?);
        Ok(Box::new(Blocking(lease)))
    }

    fn secret(&self) -> Option<StoreSecret> {
        secret_of_this_process()
    }
}

/// Records in memory are not stored elsewhere, so a slow key is not needed. `None` if the system
/// returns no random bytes.
fn secret_of_this_process() -> Option<StoreSecret> {
    static SECRET: OnceLock<Option<StoreSecret>> = OnceLock::new();
    let make = || random().ok().map(StoreSecret::new);
    SECRET.get_or_init(make).clone()
}

struct MemoryLease {
    shelf: Arc<Shelf>,
    key: RecordKey,
    fence: u64,
}

struct Busy {
    until: Instant,
    released: EventListener,
}

impl Shelf {
    fn take(self: &Arc<Self>, key: &RecordKey, ttl: Duration) -> Result<MemoryLease, Busy> {
        let released = self.released.listen();
        let mut slots = self.slots();
        let slot = slots.entry(key.clone()).or_default();
        let now = Instant::now();
        if let Some(until) = slot.held_until.filter(|until| *until > now) {
            return Err(Busy { until, released });
        }
        slot.fence += 1;
        slot.held_until = Some(end_of(ttl));
        Ok(MemoryLease {
            shelf: Arc::clone(self),
            key: key.clone(),
            fence: slot.fence,
        })
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<RecordKey, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        if let Some(slot) = self
            .shelf
            .slots()
            .get_mut(&self.key)
            .filter(|slot| slot.fence == self.fence)
        {
            slot.held_until = None;
        }
        self.shelf.released.notify(usize::MAX);
    }
}

impl StoreLease for MemoryLease {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        let slots = self.shelf.slots();
        Ok(slots.get(&self.key).and_then(|slot| slot.record.clone()))
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        let mut slots = self.shelf.slots();
        let slot = slots.get_mut(&self.key).ok_or(StoreError::LeaseLost)?;
        let in_time = slot.held_until.is_some_and(|until| until > Instant::now());
        if slot.fence != self.fence || !in_time {
            return Err(StoreError::LeaseLost);
        }
        let kept = slot.record.as_ref();
        if kept.is_none_or(|kept| !kept.has_younger_token_than(record)) {
            slot.record = Some(record.clone());
        }
        Ok(())
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
