//! Redis that is gone, slow, of another kind or misused: typed errors, in time, and no secret in
//! any of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod common;

use std::error::Error;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use common::{lease, record};
use ctc_driver::{StoreError, StoreLease};
use ctc_store_redis::{OpenError, RedisStore};
use ctc_testkit::RedisServer;

/// The error as anybody could print it.
fn printed(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(" {error} {error:?}"));
        source = error.source();
    }
    text
}

fn fails(store: &RedisStore, reason: &str) {
    let began = Instant::now();
    let error = lease(store).err().unwrap();
    let (took, text) = (began.elapsed(), printed(&error));
    assert!(matches!(error, StoreError::Unavailable(_)), "{text}");
    assert!(text.contains(reason), "{text}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    for secret in ["canary", "127.0.0.1", "redis://"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let store = RedisStore::open(&format!(
        "redis://canary-user:canary-pass@127.0.0.1:{port}/0"
    ))
    .unwrap();
    fails(&store, "the connection was refused");
    let shown = format!("{store:?}");
    assert!(
        !shown.contains("canary") && !shown.contains("127.0.0.1"),
        "{shown}"
    );
}

#[test]
fn it_takes_connections_and_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://:canary-pass@{}", silent.local_addr().unwrap());
    fails(
        &RedisStore::open(&url).unwrap(),
        "it did not respond in time",
    );
}

#[test]
fn it_is_no_redis() {
    fails(
        &answering("HTTP/1.1 400 Bad Request canary\r\n\r\n"),
        "cannot take the lease in Redis",
    );
}

/// Redis repeats what it was sent in some of its errors.
#[test]
fn it_refuses_and_repeats_what_it_was_sent() {
    let store = answering("-ERR unknown command 'EVAL', with args beginning with: 'canary'\r\n");
    fails(&store, "cannot take the lease in Redis");
}

/// A store in something that responses everything with this.
fn answering(response: &'static str) -> RedisStore {
    use std::io::{Read, Write};

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    // Without a password nothing is sent before the first command that needs a response.
    let url = format!("redis://{}", other.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in other.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 8192];
                while stream.read(&mut buffer).is_ok_and(|read| read > 0)
                    && stream.write_all(response.as_bytes()).is_ok()
                {}
            });
        }
    });
    RedisStore::open(&url).unwrap()
}

#[test]
fn an_invalid_url_is_not_repeated() {
    for url in [
        "",
        "canary",
        "http://canary:canary@host",
        "redis://[canary",
        "rediss://u:canary@host:6380/0",
    ] {
        let error = RedisStore::open(url).err();
        // With a TLS feature, `rediss` is fine.
        let Some(error) = error else { continue };
        assert_eq!(error, OpenError::Url, "{url}");
        assert!(!printed(&error).contains("canary"), "{url}");
    }
}

#[test]
fn a_wrong_password() {
    let Some(redis) = RedisServer::for_test("Redis with a password") else {
        return;
    };
    redis.command("CONFIG SET requirepass right").unwrap();
    fails(
        &RedisStore::open(&redis.url()).unwrap(),
        "cannot take the lease in Redis",
    );
    let url = redis.url().replace("redis://", "redis://:canary-pass@");
    fails(
        &RedisStore::open(&url).unwrap(),
        "cannot take the lease in Redis",
    );
    let url = redis.url().replace("redis://", "redis://:right@");
    lease(&RedisStore::open(&url).unwrap()).unwrap();
}

/// What lies under our names and is not ours is never used, and a record that cannot be read is
/// replaced.
#[test]
fn an_invalid_record_is_not_used() {
    let Some(redis) = RedisServer::for_test("foreign values in Redis") else {
        return;
    };
    let store = RedisStore::open(&redis.url()).unwrap();
    let name = store.record_name(&record("T").key());
    redis
        .command(&format!("HSET {name} record not-json saved 1"))
        .unwrap();
    let mut held = lease(&store).unwrap();
    assert_eq!(held.load().unwrap(), None);
    held.save(&record("T")).unwrap();
    assert_eq!(
        held.load().unwrap().map(|found| found.has_token()),
        Some(true)
    );
    held.release().unwrap();

    redis.command(&format!("DEL {name}")).unwrap();
    redis.command(&format!("SET {name} a-string")).unwrap();
    let mut held = lease(&store).unwrap();
    assert!(matches!(held.load(), Err(StoreError::Unavailable(_))));
}

/// The user that the crate's page documents can do all that a store does, in any database, and
/// does nothing else.
#[test]
fn the_documented_user_is_enough_and_not_too_much() {
    let Some(redis) = RedisServer::for_test("a user of its own in Redis") else {
        return;
    };
    let page = include_str!("../src/lib.rs");
    let rule = page
        .lines()
        .find_map(|line| line.strip_prefix("//! ACL SETUSER ctc "));
    let rules: Vec<_> = rule.unwrap().split(' ').collect();
    let set_user = |rules: &[&str]| {
        let set = redis.command(&format!("ACL SETUSER ctc {}", rules.join(" ")));
        assert!(set.unwrap().starts_with("+OK"), "{rules:?}");
    };
    let url = redis.url().replace("redis://", "redis://ctc:password@") + "/3";
    let open = || RedisStore::open(&url).unwrap();

    set_user(&rules);
    ctc_testkit::store_conformance::check(open).unwrap();
    all_of_it(&open()).unwrap();
    let refused = redis.command("ACL LOG").unwrap();
    assert!(
        refused.starts_with("*0"),
        "something was refused: {refused}"
    );
    let other = all_of_it(&open().prefix("other"));
    assert!(other.is_err(), "the keys of other programs are open to it");

    for needless in rules.iter().filter(|rule| rule.starts_with('+')) {
        let fewer: Vec<_> = rules
            .iter()
            .copied()
            .filter(|rule| rule != needless)
            .collect();
        set_user(&["reset"]);
        set_user(&fewer);
        // A script that was refused half way leaves what it wrote.
        redis.command("FLUSHALL").unwrap();
        redis.command("ACL LOG RESET").unwrap();
        let _ = all_of_it(&open());
        let refused = redis.command("ACL LOG").unwrap();
        assert!(!refused.starts_with("*0"), "{needless} is never used");
    }
}

/// Every operation that a store has.
fn all_of_it(store: &RedisStore) -> Result<(), StoreError> {
    let mut held = lease(store)?;
    held.save(&record("T"))?;
    held.load()?;
    held.release()?;
    store.forget(&record("T").key()).map(drop)
}

/// No timeout panics: the longest one works, and with none at all there is an error in time.
#[test]
fn a_timeout_of_any_length_is_taken() {
    let Some(redis) = RedisServer::for_test("timeouts of any length") else {
        return;
    };
    let open = |timeout| RedisStore::open(&redis.url()).unwrap().timeout(timeout);
    for endless in [Duration::MAX, Duration::from_secs(u64::MAX / 1000)] {
        let store = open(endless);
        let mut held = lease(&store).unwrap();
        held.save(&record("T")).unwrap();
        held.release().unwrap();
        assert!(store.forget(&record("T").key()).unwrap(), "{endless:?}");
    }
    let began = Instant::now();
    // One try is made, in a millisecond: whether that suffices is the machine's choice.
    let _ = lease(&open(Duration::ZERO)).map(StoreLease::release);
    assert!(began.elapsed() < Duration::from_secs(2));
}
