//! Tasks that are dropped in the midst of a store operation leave nothing behind that others would
//! wait for.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::time::{Duration, Instant};

use common::{TERMS, lease, load, record, session};
use ctc_driver::{AsyncSessionStore, StoreError};
use ctc_store_file::FileStore;
use futures_util::FutureExt;

#[test]
fn a_dropped_wait_takes_no_lease() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    let held = lease(&store, "ada");
    let key = session("ada").record_key();
    for _ in 0..20 {
        let mut wait = AsyncSessionStore::lease(&store, &key, TERMS);
        assert!((&mut wait).now_or_never().is_none(), "it must wait");
        std::thread::sleep(Duration::from_millis(5));
        drop(wait);
    }
    held.release().unwrap();
    // Threads that began to wait for those tasks give up within a quarter of a second, or take it
    // and drop it.
    let began = Instant::now();
    lease(&store, "ada").release().unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    std::thread::sleep(Duration::from_millis(400));
    let began = Instant::now();
    lease(&store, "ada").release().unwrap();
    assert!(
        began.elapsed() < Duration::from_millis(200),
        "{:?}",
        began.elapsed()
    );
}

/// A save that nobody waits for any more is made whole or not at all, and ends its lease.
#[test]
fn a_dropped_save_ends_the_lease() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    let key = session("ada").record_key();
    let record = record("ada", "T");
    for _ in 0..20 {
        let mut held = block_on(AsyncSessionStore::lease(&store, &key, TERMS)).unwrap();
        let _ = held.save(&record).now_or_never();
        assert!(matches!(
            block_on(held.save(&record)),
            Ok(()) | Err(StoreError::LeaseLost)
        ));
        drop(held);
        assert!(load(&store, "ada").is_none_or(|found| found == record));
    }
}

fn block_on<R>(work: impl Future<Output = R>) -> R {
    let mut work = std::pin::pin!(work);
    loop {
        if let Some(result) = work.as_mut().now_or_never() {
            return result;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
