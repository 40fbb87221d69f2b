//! A holder that was overtaken changes nothing, and what a killed one left is cleared away.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use common::{lease, named, path, record, save};
use ctc_driver::StoreError;
use ctc_store_file::FileStore;

/// A holder that was overtaken before its time (a clock was set, the lock file removed) and goes on
/// writing must not touch the drafts of the new one.
#[test]
fn an_overtaken_holder_harms_no_save() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    let mut first = lease(&store, "ada");
    fs::write(path(&store, "ada").with_extension("lock"), "").unwrap();
    let mut second = lease(&store, "ada");
    let (late, done) = (record("ada", "late"), AtomicBool::new(false));
    let failed = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                assert!(matches!(first.save(&late), Err(StoreError::LeaseLost)));
            }
        });
        let records = (0..300).map(|n| record("ada", &format!("T{n}")));
        let failed = records
            .filter(|record| second.save(record).is_err())
            .count();
        done.store(true, SeqCst);
        failed
    });
    assert_eq!(failed, 0, "of 300 saves");
    drop((first, second));
    assert_eq!(
        named(folder.path(), ".draft-"),
        Vec::<std::path::PathBuf>::new()
    );
}

/// Only the holder of the lease knows that a draft is nobody's.
#[test]
fn a_draft_that_a_killed_process_left_is_swept_by_the_next_save() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    let record_name = path(&store, "ada").with_extension("");
    let name = record_name.file_name().unwrap().to_str().unwrap();
    let draft = folder.path().join(format!(".{name}.draft-0123"));
    fs::write(&draft, "half a rec").unwrap();
    save(&store, &record("ada", "T")).unwrap();
    assert!(!draft.exists());
}
