//! What the tests of the Redis store share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::time::{Duration, Instant, SystemTime};

use ctc_driver::__adapter::records;
use ctc_driver::ctc_core::{
    Admit, AppKey, Call, Credentials, Endpoint, Session, SessionRecord, Settings,
};
use ctc_driver::{LeaseTerms, SessionStore, StoreError, StoreLease, StoreSecret};
use ctc_store_redis::RedisStore;

pub(crate) const TERMS: LeaseTerms = LeaseTerms {
    wait: Duration::from_secs(5),
    ttl: Duration::from_secs(30),
};

pub(crate) fn record(token: &str) -> SessionRecord {
    let credentials = Credentials::new("ada", "s3cret!s3cret!").unwrap();
    let key = AppKey::new("key").unwrap();
    let mut session = Session::new(Endpoint::us(), key, credentials, Settings::default()).unwrap();
    let now = Instant::now();
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

pub(crate) fn lease(store: &RedisStore) -> Result<Box<dyn StoreLease>, StoreError> {
    SessionStore::lease(store, &record("T").key(), TERMS)
}
