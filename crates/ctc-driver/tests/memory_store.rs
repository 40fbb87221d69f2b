//! The rules of a store, held by the one in memory. (The suite that every store runs is in
//! `ctc-testkit`.)
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use std::{pin::pin, sync::Arc};

use ctc_driver::__adapter::records;
use ctc_driver::ctc_core::{Endpoint, RecordKey, SessionRecord};
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, MemoryStore, SessionConfig, SessionStore,
    StoreError, StoreLease, StoreSecret,
};
use futures_util::FutureExt;

const LONG: Duration = Duration::from_secs(3600);
/// Long enough to be waited for, too short to be felt.
const SHORT: Duration = Duration::from_millis(20);

fn record_of(user: &str) -> (RecordKey, SessionRecord) {
    let config = SessionConfig::new()
        .endpoint(Endpoint::us())
        .app_key("k")
        .credentials(user, "p");
    let session = config.build().unwrap();
    let record = records::seal(
        &session.record(),
        None,
        [0; 16],
        Some(&StoreSecret::new([0; 32])),
    );
    (session.record_key(), record.unwrap())
}

fn terms(wait: Duration, ttl: Duration) -> LeaseTerms {
    LeaseTerms { wait, ttl }
}

fn lease(store: &MemoryStore, key: &RecordKey, ttl: Duration) -> Box<dyn StoreLease> {
    SessionStore::lease(store, key, terms(Duration::ZERO, ttl)).unwrap()
}

fn is_free(store: &MemoryStore, key: &RecordKey) -> bool {
    match SessionStore::lease(store, key, terms(Duration::ZERO, LONG)) {
        Ok(_) => true,
        Err(StoreError::Busy) => false,
        Err(other) => panic!("{other}"),
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

#[test]
fn a_record_is_kept_under_its_key_for_all_handles() {
    let (store, (key, record), (other, _)) =
        (MemoryStore::new(), record_of("ada"), record_of("bob"));
    let mut first = lease(&store, &key, LONG);
    assert!(first.load().unwrap().is_none() && store.peek(&key).is_none());
    first.save(&record).unwrap();
    assert_eq!(
        store.peek(&key).as_ref(),
        Some(&record),
        "whoever holds the lease"
    );
    first.release().unwrap();
    let again = store.clone();
    assert_eq!(lease(&again, &key, LONG).load().unwrap(), Some(record));
    assert!(lease(&again, &other, LONG).load().unwrap().is_none());
}

#[test]
fn t65_there_is_one_lease_a_key_until_it_is_given_back() {
    let (store, (key, _), (other, _)) = (MemoryStore::new(), record_of("ada"), record_of("bob"));
    let held = lease(&store, &key, LONG);
    assert!(!is_free(&store, &key) && is_free(&store, &other));
    held.release().unwrap();
    assert!(is_free(&store, &key));
    drop(lease(&store, &key, LONG));
    assert!(is_free(&store, &key), "dropped is given back too");
}

#[test]
fn t68_a_lease_that_is_over_writes_nothing_and_gives_nothing_back() {
    let (store, (key, record)) = (MemoryStore::new(), record_of("ada"));
    let mut over = lease(&store, &key, Duration::ZERO);
    assert!(
        matches!(over.save(&record), Err(StoreError::LeaseLost)),
        "its time is over"
    );
    let mut next = lease(&store, &key, LONG);
    assert!(
        matches!(over.save(&record), Err(StoreError::LeaseLost)),
        "another holds it"
    );
    assert!(store.peek(&key).is_none());
    drop(over);
    assert!(!is_free(&store, &key), "it was not its own to give back");
    next.save(&record).unwrap();
}

#[test]
fn t71_who_waits_gets_the_lease_when_its_holders_time_is_over() {
    let (store, (key, _)) = (MemoryStore::new(), record_of("ada"));
    let held = lease(&store, &key, SHORT);
    let next = SessionStore::lease(&store, &key, terms(LONG, SHORT)).unwrap();
    let task = block_on(AsyncSessionStore::lease(&store, &key, terms(LONG, SHORT))).unwrap();
    // Another lease, another alarm.
    let last = block_on(AsyncSessionStore::lease(&store, &key, terms(LONG, LONG))).unwrap();
    drop((held, next, task));
    assert!(!is_free(&store, &key));
    drop(last);
}

#[test]
fn who_waits_gets_the_lease_when_it_is_given_back() {
    let (store, (key, _)) = (MemoryStore::new(), record_of("ada"));
    let held = lease(&store, &key, LONG);
    thread::scope(|scope| {
        let waits = || SessionStore::lease(&store, &key, terms(LONG, LONG)).map(drop);
        let thread = scope.spawn(waits);
        thread::yield_now();
        drop(held);
        thread.join().unwrap().unwrap();
    });
    let held = lease(&store, &key, LONG);
    let mut task = pin!(AsyncSessionStore::lease(&store, &key, terms(LONG, LONG)));
    assert!(task.as_mut().now_or_never().is_none());
    drop(held);
    assert!(task.now_or_never().expect("it is free").is_ok());
}

#[test]
fn tasks_read_and_write_like_threads() {
    let (store, (key, record)) = (MemoryStore::new(), record_of("ada"));
    let mut held = block_on(AsyncSessionStore::lease(&store, &key, terms(LONG, LONG))).unwrap();
    assert!(
        AsyncStoreLease::load(&mut *held)
            .now_or_never()
            .unwrap()
            .unwrap()
            .is_none()
    );
    AsyncStoreLease::save(&mut *held, &record)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(
        AsyncStoreLease::load(&mut *held)
            .now_or_never()
            .unwrap()
            .unwrap(),
        Some(record.clone())
    );
    AsyncStoreLease::release(held)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert!(is_free(&store, &key));
    let over = terms(LONG, Duration::ZERO);
    let mut over = block_on(AsyncSessionStore::lease(&store, &key, over)).unwrap();
    let late = AsyncStoreLease::save(&mut *over, &record)
        .now_or_never()
        .unwrap();
    assert!(matches!(late, Err(StoreError::LeaseLost)));
}
