//! Waiting for the lease while another holds it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ctc_driver::ctc_core::RecordKey;
use ctc_driver::{LeaseTerms, SessionStore, StoreError, StoreLease};

use crate::lease::{Claim, RedisLease};
use crate::link::Link;
use crate::settings::Settings;

/// How often a waiting process asks whether the lease is free.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_millis(100);

/// The store for one wait. A task's comes in slices, each on a clone of this and on any thread:
/// they share a connection, which is closed with the last clone.
#[derive(Clone)]
pub(crate) struct Waiting {
    settings: Arc<Settings>,
    spare: Arc<Mutex<Option<Link>>>,
}

impl Waiting {
    pub(crate) fn new(settings: &Arc<Settings>) -> Self {
        Self {
            settings: Arc::clone(settings),
            spare: Arc::default(),
        }
    }

    fn spare(&self) -> MutexGuard<'_, Option<Link>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStore for Waiting {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        let waits_since = Instant::now();
        // Taken out while it is in use: a slice whose task was dropped may still run beside
        // another.
        let spare = self.spare().take();
        let mut link = spare.unwrap_or_else(|| self.settings.link());
        let mut claim = Claim::new(&self.settings, key);
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
            let left = terms.wait.saturating_sub(waits_since.elapsed());
            if left.is_zero() {
                *self.spare() = Some(link);
                return Err(StoreError::Busy);
            }
            thread::sleep(pause.min(left).min(busy_for));
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}
