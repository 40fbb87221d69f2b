//! Leases as Redis keeps them: what comes late, and what is kept for too short or too long a time.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ctc_driver::ctc_core::{
    AppKey, Credentials, Endpoint, RecordKey, Session, SessionRecord, Settings,
};
use ctc_driver::{LeaseTerms, SessionStore};
use ctc_testkit::RedisServer;

use super::{Claim, scripts};
use crate::RedisStore;

const TTL: Duration = Duration::from_secs(30);
const TERMS: LeaseTerms = LeaseTerms {
    wait: Duration::ZERO,
    ttl: TTL,
};

fn record() -> SessionRecord {
    let credentials = Credentials::new("ada", "s3cret!s3cret!").unwrap();
    let key = AppKey::new("key").unwrap();
    let session = Session::new(Endpoint::us(), key, credentials, Settings::default()).unwrap();
    session.record(Instant::now(), SystemTime::now())
}

fn key() -> RecordKey {
    record().key()
}

/// A repeated command may reach Redis after the release that its sender made by another connection.
#[test]
fn nothing_that_comes_late_revives_a_lease_that_was_given_back() {
    let Some(redis) = RedisServer::for_test("commands that come late") else {
        return;
    };
    let settings = RedisStore::open(&redis.url()).unwrap().settings;
    let (mut link, mut first) = (settings.link(), Claim::new(&settings, &key()));
    first.take(&mut link, &settings, TTL).unwrap().unwrap();
    let _: u64 = link
        .send("", &first.call_as_owner(scripts::RELEASE))
        .unwrap();

    let beat: u8 = link.send("", &first.call_as_owner(scripts::BEAT)).unwrap();
    let saved: u8 = link
        .send(
            "",
            first
                .call_as_owner(scripts::SAVE)
                .arg("{}")
                .arg(60_000)
                .arg(60_000),
        )
        .unwrap();
    let taken = first.take(&mut link, &settings, TTL).unwrap();
    assert_eq!((beat, saved, taken), (0, 0, Err(0)));

    let mut second = Claim::new(&settings, &key());
    assert_eq!(
        second.take(&mut link, &settings, TTL).unwrap(),
        Ok(()),
        "nobody holds it"
    );
    assert_eq!(second.fence, 2);
}

/// The lock must not go away under its holder, whatever is said about the record.
#[test]
fn a_lease_is_kept_for_as_long_as_it_may_be_held() {
    let Some(redis) = RedisServer::for_test("a short record_ttl") else {
        return;
    };
    for record_ttl in [
        Duration::ZERO,
        Duration::from_millis(1),
        Duration::from_secs(60),
    ] {
        redis.command("FLUSHALL").unwrap();
        let store = RedisStore::open(&redis.url())
            .unwrap()
            .record_ttl(record_ttl);
        let (settings, mut held) = (
            &store.settings,
            SessionStore::lease(&store, &key(), TERMS).unwrap(),
        );
        // A save must not shorten it either.
        held.save(&record()).unwrap();
        thread::sleep(Duration::from_millis(30));
        let mut other = Claim::new(settings, &key());
        assert!(
            other
                .take(&mut settings.link(), settings, TTL)
                .unwrap()
                .is_err(),
            "{record_ttl:?}: two hold it"
        );
        held.save(&record()).unwrap();
        held.release().unwrap();
        other
            .take(&mut settings.link(), settings, TTL)
            .unwrap()
            .unwrap();
        assert_eq!(other.fence, 2, "{record_ttl:?}");
    }
}

#[test]
fn for_ever_is_a_time_to_keep_a_record() {
    let Some(redis) = RedisServer::for_test("an endless record_ttl") else {
        return;
    };
    let store = RedisStore::open(&redis.url())
        .unwrap()
        .record_ttl(Duration::MAX);
    let mut held = SessionStore::lease(
        &store,
        &key(),
        LeaseTerms {
            ttl: Duration::MAX,
            ..TERMS
        },
    )
    .unwrap();
    held.save(&record()).unwrap();
    assert!(held.load().unwrap().is_some());
}
