//! T72: nobody else can read or plant a session file. T70: what is no record is set aside.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]
#![cfg(unix)]

mod common;

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use common::{lease, load, named, path, record, save};
use ctc_driver::StoreError;
use ctc_store_file::FileStore;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn everything_is_private_from_the_first_byte() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::at(home.path().join("state/ctc"));
    save(&store, &record("ada", "T")).unwrap();
    let folder = store.folder().unwrap();
    assert_eq!(
        (mode(folder), mode(folder.parent().unwrap())),
        (0o700, 0o700)
    );
    let files = named(folder, "");
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}

/// The draft too: its mode is looked at while it is written.
#[test]
fn drafts_are_private_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                for draft in named(folder.path(), ".draft-") {
                    if let Ok(found) = fs::symlink_metadata(&draft) {
                        assert_eq!(found.permissions().mode() & 0o777, 0o600);
                        seen += 1;
                    }
                }
            }
            seen
        });
        for n in 0..200 {
            save(&store, &record("ada", &format!("T{n}"))).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        watcher.join().unwrap()
    });
    assert!(seen > 0, "no draft was ever seen");
    assert_eq!(
        named(folder.path(), ".draft-"),
        Vec::<std::path::PathBuf>::new()
    );
}

#[test]
fn loose_modes_are_tightened() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    save(&store, &record("ada", "T")).unwrap();
    for file in named(folder.path(), "") {
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    }
    assert!(load(&store, "ada").is_some());
    let (file, lock) = (
        path(&store, "ada"),
        path(&store, "ada").with_extension("lock"),
    );
    assert_eq!((mode(&file), mode(&lock)), (0o600, 0o600));
}

#[test]
fn a_folder_that_others_may_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for loose in [0o777, 0o1777, 0o720] {
        fs::set_permissions(folder.path(), Permissions::from_mode(loose)).unwrap();
        let error = save(&FileStore::at(folder.path()), &record("ada", "T")).unwrap_err();
        assert!(
            matches!(error, StoreError::Unavailable(_)),
            "{loose:o}: {error:?}"
        );
        assert_eq!(mode(folder.path()), loose & 0o777, "left as it was");
        assert_eq!(named(folder.path(), ""), Vec::<std::path::PathBuf>::new());
    }
}

/// Its owner could swap the files in it, whatever their modes.
#[test]
fn a_folder_of_another_user_is_refused() {
    for mode_of_it in [0o755, 0o700] {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("ctc");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(mode_of_it)).unwrap();
        if chown(&folder, Some(61234), None).is_err() {
            // Not `println!`: what that says is not shown when a test passes.
            let line = "LEFT OUT: a folder of another user: only root can make one\n";
            let _ = std::io::stderr().write_all(line.as_bytes());
            return;
        }
        let error = save(&FileStore::at(&folder), &record("ada", "T")).unwrap_err();
        let StoreError::Unavailable(source) = error else {
            panic!("{error:?}")
        };
        let why = source.source().unwrap().to_string();
        assert!(why.contains("belongs to another user"), "{why}");
        assert_eq!(named(&folder, ""), Vec::<std::path::PathBuf>::new());
    }
}

/// A link where the record should be is moved away, never followed: neither read nor written
/// through.
#[test]
fn a_planted_link_is_not_followed() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, other) = (
        FileStore::at(folder.path()),
        FileStore::at(elsewhere.path()),
    );
    let planted = record("ada", "planted");
    save(&other, &planted).unwrap();
    symlink(path(&other, "ada"), path(&store, "ada")).unwrap();
    assert_eq!(load(&store, "ada"), None);
    assert_eq!(named(folder.path(), ".bad-").len(), 1);

    symlink(elsewhere.path().join("target"), path(&store, "ada")).unwrap();
    let mine = record("ada", "mine");
    save(&store, &mine).unwrap();
    assert!(
        !elsewhere.path().join("target").exists(),
        "written through the link"
    );
    assert_eq!(load(&store, "ada"), Some(mine));
    assert!(load(&other, "ada").is_some_and(|kept| kept == planted));
}

#[test]
fn a_link_in_place_of_the_lock_is_refused() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = FileStore::at(folder.path());
    symlink(
        elsewhere.path().join("target"),
        path(&store, "ada").with_extension("lock"),
    )
    .unwrap();
    let error = save(&store, &record("ada", "T")).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!elsewhere.path().join("target").exists());
}

/// T70: half a record, another program's file, a folder, a pipe, another account's record.
#[test]
fn an_invalid_record_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    save(&store, &record("ada", "T")).unwrap();
    let (file, whole) = (path(&store, "ada"), fs::read(path(&store, "ada")).unwrap());
    save(&store, &record("bob", "B")).unwrap();
    let bobs = fs::read(path(&store, "bob")).unwrap();
    let plants: [&dyn Fn(); 6] = [
        &|| fs::write(&file, &whole[..whole.len() / 2]).unwrap(),
        &|| fs::write(&file, b"").unwrap(),
        &|| fs::write(&file, b"\xff\x00not ours").unwrap(),
        &|| fs::write(&file, vec![b'['; 1 << 20]).unwrap(),
        &|| fs::write(&file, &bobs).unwrap(),
        &|| fs::create_dir(&file).unwrap(),
    ];
    for (n, plant) in plants.iter().enumerate() {
        let _ = fs::remove_file(&file);
        plant();
        assert_eq!(load(&store, "ada"), None, "plant {n}");
        assert!(!file.exists(), "plant {n} is still there");
        if n < 5 {
            let mine = record("ada", "again");
            save(&store, &mine).unwrap();
            assert_eq!(load(&store, "ada"), Some(mine), "plant {n}");
        }
    }
    let bad = named(folder.path(), ".bad-");
    assert!(
        (1..=3).contains(&bad.len()),
        "as many as are worth keeping: {bad:?}"
    );
    assert_eq!(
        load(&store, "bob"),
        Some(serde_json_of(&bobs)),
        "the other account is as it was"
    );
}

fn serde_json_of(text: &[u8]) -> ctc_driver::ctc_core::SessionRecord {
    serde_json::from_slice(text).unwrap()
}

/// T69: somebody removes everything while the lease is held. The late holder writes nothing, and no
/// harm is done.
#[test]
fn the_folder_is_cleared_while_the_lease_is_held() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::at(home.path().join("ctc"));
    let mut first = lease(&store, "ada");
    fs::remove_dir_all(store.folder().unwrap()).unwrap();
    let mut second = lease(&store, "ada");
    assert!(first.save(&record("ada", "late")).is_err());
    let mine = record("ada", "mine");
    second.save(&mine).unwrap();
    first.release().unwrap();
    assert_eq!(second.load().unwrap(), Some(mine));
    second.release().unwrap();
}

#[test]
fn a_garbled_lock_file_is_as_good_as_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    let lock = path(&store, "ada").with_extension("lock");
    for garbage in [
        "",
        "ctc-lease 1 ",
        "\u{0}\u{0}\u{0}",
        "ctc-lease 1 99999999999999999999999 x y z w\n",
    ] {
        fs::write(&lock, garbage).unwrap();
        save(&store, &record("ada", "T")).unwrap();
    }
    fs::write(&lock, b"\xff\xfe\xfd").unwrap();
    save(&store, &record("ada", "T")).unwrap();
}

#[test]
fn forget_removes_the_record_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    save(&store, &record("ada", "T")).unwrap();
    save(&store, &record("bob", "T")).unwrap();
    let key = record("ada", "T").key();
    assert!(store.forget(&key).unwrap());
    assert!(!store.forget(&key).unwrap());
    assert_eq!(load(&store, "ada"), None);
    assert!(load(&store, "bob").is_some());
}
