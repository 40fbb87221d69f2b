//! A blocking store behind the asynchronous port: it waits in slices, and an operation dropped half
//! way ends it.
#![cfg(feature = "unblock")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use ctc_driver::__adapter::records;
use ctc_driver::ctc_core::{Endpoint, RecordKey, SessionRecord};
use ctc_driver::{
    AsyncSessionStore, LeaseTerms, MemoryStore, SessionConfig, SessionStore, StoreError,
    StoreLease, StoreSecret, Unblock,
};
use futures_util::FutureExt;

const LONG: Duration = Duration::from_secs(3600);
const SLICE: Duration = Duration::from_millis(250);

/// Busy the first few times, at once, however long it may wait.
#[derive(Clone)]
struct BusyAtFirst(Arc<Mutex<Asked>>);

struct Asked {
    busy: usize,
    waits: Vec<Duration>,
    ttl: Duration,
    memory: MemoryStore,
}

impl BusyAtFirst {
    fn times(busy: usize) -> Self {
        let asked = Asked {
            busy,
            waits: Vec::new(),
            ttl: Duration::ZERO,
            memory: MemoryStore::new(),
        };
        Self(Arc::new(Mutex::new(asked)))
    }

    fn waits(&self) -> Vec<Duration> {
        self.0.lock().unwrap().waits.clone()
    }
}

impl SessionStore for BusyAtFirst {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        let mut asked = self.0.lock().unwrap();
        asked.waits.push(terms.wait);
        asked.ttl = terms.ttl;
        if asked.waits.len() <= asked.busy {
            return Err(StoreError::Busy);
        }
        SessionStore::lease(&asked.memory, key, terms)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<R>(work: impl Future<Output = R>) -> R {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut work = pin!(work);
    loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

fn record() -> (RecordKey, SessionRecord) {
    let config = SessionConfig::new()
        .endpoint(Endpoint::us())
        .app_key("k")
        .credentials("u", "p");
    let session = config.build().unwrap();
    let record = records::seal(
        &session.record(),
        None,
        [0; 16],
        Some(&StoreSecret::new([0; 32])),
    );
    (session.record_key(), record.unwrap())
}

fn terms(wait: Duration) -> LeaseTerms {
    LeaseTerms { wait, ttl: LONG }
}

#[test]
fn a_long_wait_is_many_short_ones() {
    let store = BusyAtFirst::times(3);
    assert!(block_on(Unblock(store.clone()).lease(&record().0, terms(LONG))).is_ok());
    assert_eq!(store.waits(), [SLICE; 4]);
    assert_eq!(store.0.lock().unwrap().ttl, LONG);
}

#[test]
fn a_short_wait_is_one() {
    for wait in [Duration::ZERO, SLICE] {
        let store = BusyAtFirst::times(1);
        let lease = block_on(Unblock(store.clone()).lease(&record().0, terms(wait)));
        assert!(matches!(lease, Err(StoreError::Busy)));
        assert!(store.waits().len() == 1 && store.waits()[0] <= wait);
    }
}

#[test]
fn a_record_goes_there_and_back() {
    let (key, record) = record();
    let memory = MemoryStore::new();
    let store = Unblock(memory.clone());
    let mut lease = block_on(store.lease(&key, terms(LONG))).unwrap();
    assert!(block_on(lease.load()).unwrap().is_none());
    block_on(lease.save(&record)).unwrap();
    assert_eq!(memory.peek(&key).as_ref(), Some(&record));
    assert_eq!(block_on(lease.load()).unwrap(), Some(record));
    let busy = SessionStore::lease(&memory, &key, terms(Duration::ZERO));
    assert!(matches!(busy, Err(StoreError::Busy)));
    block_on(lease.release()).unwrap();
    assert!(SessionStore::lease(&memory, &key, terms(Duration::ZERO)).is_ok());
}

/// Waits for a word, so that the operation is surely under way when its future is dropped.
struct Slow(Box<dyn StoreLease>, Arc<Mutex<()>>);

impl StoreLease for Slow {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        drop(self.1.lock().unwrap());
        self.0.load()
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        self.0.save(record)
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.0.release()
    }
}

#[derive(Clone)]
struct SlowStore(MemoryStore, Arc<Mutex<()>>);

impl SessionStore for SlowStore {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        Ok(Box::new(Slow(
            SessionStore::lease(&self.0, key, terms)?,
            Arc::clone(&self.1),
        )))
    }
}

#[test]
fn an_operation_that_is_dropped_half_way_ends_the_lease() {
    let (key, record) = record();
    let gate = Arc::new(Mutex::new(()));
    let store = Unblock(SlowStore(MemoryStore::new(), Arc::clone(&gate)));
    let mut lease = block_on(store.lease(&key, terms(LONG))).unwrap();
    let closed = gate.lock().unwrap();
    assert!(lease.load().now_or_never().is_none());
    drop(closed);
    assert!(matches!(
        block_on(lease.save(&record)),
        Err(StoreError::LeaseLost)
    ));
    assert!(matches!(block_on(lease.load()), Err(StoreError::LeaseLost)));
    assert!(matches!(
        block_on(lease.release()),
        Err(StoreError::LeaseLost)
    ));
}
