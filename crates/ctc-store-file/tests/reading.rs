//! Records are read for people without a lease, and nothing is changed by it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;

use common::{lease, path, record, save, session};
use ctc_store_file::FileStore;

fn names(store: &FileStore) -> Vec<String> {
    let records = store.records().unwrap().into_iter();
    records
        .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_record_is_read_while_another_holds_its_lease() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    let key = session("ada").record_key();
    assert_eq!(store.read(&key).unwrap(), None);
    save(&store, &record("ada", "T")).unwrap();
    let held = lease(&store, "ada");
    let found = store.read(&key).unwrap().unwrap();
    assert_eq!(found.overview().tokens.len(), 1);
    assert_eq!(store.records().unwrap(), [(path(&store, "ada"), found)]);
    held.release().unwrap();
}

#[test]
fn all_records_are_listed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path().join("not-made-yet"));
    assert!(store.records().unwrap().is_empty());
    assert!(!store.folder().unwrap().exists(), "looking makes nothing");

    for user in ["ada", "bob"] {
        save(&store, &record(user, "T")).unwrap();
    }
    let (ada, bob) = (path(&store, "ada"), path(&store, "bob"));
    // A copy, half a record, and another account's record in this one's place.
    fs::copy(&ada, ada.with_file_name("copy.json")).unwrap();
    fs::write(ada.with_file_name("half.json"), "{\"format\":").unwrap();
    let mut expected = vec![ada.clone(), bob.clone()];
    expected.sort();
    let found: Vec<_> = store
        .records()
        .unwrap()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(found, expected);
    fs::copy(&ada, &bob).unwrap();
    assert_eq!(names(&store).len(), 1);
    assert_eq!(store.read(&session("bob").record_key()).unwrap(), None);
    assert!(
        bob.exists() && ada.with_file_name("half.json").exists(),
        "nothing is set aside"
    );
}

#[cfg(unix)]
#[test]
fn a_look_follows_no_link_and_changes_no_mode() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path().join("s"));
    save(&store, &record("ada", "T")).unwrap();
    let file = path(&store, "ada");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(store.read(&session("ada").record_key()).unwrap().is_some());
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o644
    );
    let aside = folder.path().join("aside.json");
    fs::rename(&file, &aside).unwrap();
    symlink(&aside, &file).unwrap();
    assert_eq!(store.read(&session("ada").record_key()).unwrap(), None);
    assert!(names(&store).is_empty());
}
