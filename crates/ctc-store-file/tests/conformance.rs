//! The file store passes the suite that every store must pass.

use ctc_store_file::FileStore;
use ctc_testkit::store_conformance::{check, check_async};

#[test]
fn blocking() {
    let folder = tempfile::tempdir().unwrap();
    check(|| FileStore::at(folder.path())).unwrap();
}

#[test]
fn asynchronous() {
    let folder = tempfile::tempdir().unwrap();
    check_async(|| FileStore::at(folder.path())).unwrap();
}
