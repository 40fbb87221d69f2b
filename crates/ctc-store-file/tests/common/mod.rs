//! What the tests of the file store share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use ctc_driver::__adapter::records;
use ctc_driver::ctc_core::{
    Admit, AppKey, Call, Credentials, Endpoint, Session, SessionRecord, Settings,
};
use ctc_driver::{LeaseTerms, SessionStore, StoreError, StoreLease, StoreSecret};
use ctc_store_file::FileStore;

pub(crate) const TERMS: LeaseTerms = LeaseTerms {
    wait: Duration::from_secs(5),
    ttl: Duration::from_secs(30),
};

pub(crate) fn session(user: &str) -> Session {
    let credentials = Credentials::new(user, "s3cret!s3cret!").unwrap();
    Session::new(
        Endpoint::us(),
        AppKey::new("key").unwrap(),
        credentials,
        Settings::default(),
    )
    .unwrap()
}

pub(crate) fn record(user: &str, token: &str) -> SessionRecord {
    let (mut session, now) = (session(user), Instant::now());
    if let Admit::Login(order) = session.admit(&mut Call::new(false), now) {
        let cookie = format!("authToken={token}").parse().unwrap();
        let headers = [(http::header::SET_COOKIE, cookie)].into_iter().collect();
        let reading = session
            .login_reader()
            .read(http::StatusCode::OK, &headers, &[]);
        let _ = session.login_response(order.ticket, reading, now);
    }
    let ours = session.record(now, SystemTime::now());
    records::seal(&ours, None, [7; 16], Some(&StoreSecret::new([7; 32]))).unwrap()
}

pub(crate) fn lease(store: &FileStore, user: &str) -> Box<dyn StoreLease> {
    SessionStore::lease(store, &session(user).record_key(), TERMS).unwrap()
}

pub(crate) fn save(store: &FileStore, record: &SessionRecord) -> Result<(), StoreError> {
    let mut lease = SessionStore::lease(store, &record.key(), TERMS)?;
    lease.save(record)?;
    lease.release()
}

pub(crate) fn load(store: &FileStore, user: &str) -> Option<SessionRecord> {
    lease(store, user).load().unwrap()
}

pub(crate) fn path(store: &FileStore, user: &str) -> PathBuf {
    store.record_path(&session(user).record_key()).unwrap()
}

/// The names in a folder whose end is this.
pub(crate) fn named(folder: &Path, part: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_name().unwrap().to_str().unwrap().contains(part))
        .collect()
}
