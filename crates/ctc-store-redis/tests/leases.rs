//! Leases and records as Redis keeps them: for how long, for whom, and at what cost.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use common::{TERMS, lease, record};
use ctc_driver::{AsyncSessionStore, LeaseTerms, SessionStore, StoreError};
use ctc_store_redis::RedisStore;
use ctc_testkit::RedisServer;

/// Records and leases go away by themselves; the prefix keeps stores apart; `forget` removes one
/// record.
#[test]
fn names_expire_and_do_not_mix() {
    let Some(redis) = RedisServer::for_test("expiry in Redis") else {
        return;
    };
    let one = RedisStore::open(&redis.url())
        .unwrap()
        .record_ttl(Duration::from_secs(100));
    let other = RedisStore::open(&redis.url()).unwrap().prefix("other");
    let mut held = lease(&one).unwrap();
    held.save(&record("T")).unwrap();
    held.release().unwrap();
    let name = one.record_name(&record("T").key());
    for name in [name.clone(), name.replace(":record", ":lease")] {
        let response = redis.command(&format!("TTL {name}")).unwrap();
        let left: i64 = response
            .lines()
            .next()
            .unwrap()
            .trim_start_matches(':')
            .parse()
            .unwrap();
        assert!((90..=100).contains(&left), "{name}: {left}");
    }
    assert_eq!(lease(&other).unwrap().load().unwrap(), None);
    let key = record("T").key();
    assert_eq!(
        (one.forget(&key).unwrap(), one.forget(&key).unwrap()),
        (true, false)
    );
    assert_eq!(lease(&one).unwrap().load().unwrap(), None);
}

/// T67, T68: a holder whose heart does not beat is overtaken long before its time, and cannot write
/// any more.
#[test]
fn a_lease_without_heartbeats_is_overtaken() {
    let Some(redis) = RedisServer::for_test("a lease that is lost") else {
        return;
    };
    let store = RedisStore::open(&redis.url()).unwrap();
    let mut first = lease(&store).unwrap();
    let lease_name = store
        .record_name(&record("T").key())
        .replace(":record", ":lease");
    redis
        .command(&format!("HSET {lease_name} until 1"))
        .unwrap();
    // Nobody has taken it since: it may still write.
    first.save(&record("in-time")).unwrap();
    let mut second = lease(&store).unwrap();
    second.save(&record("second")).unwrap();
    assert!(matches!(
        first.save(&record("late")),
        Err(StoreError::LeaseLost)
    ));
    // Redis that forgot everything counts from one again; the owner's mark still tells the two
    // apart.
    redis.command("FLUSHALL").unwrap();
    let mut third = lease(&store).unwrap();
    assert!(matches!(
        first.save(&record("late")),
        Err(StoreError::LeaseLost)
    ));
    assert!(matches!(
        second.save(&record("late")),
        Err(StoreError::LeaseLost)
    ));
    third.save(&record("third")).unwrap();
}

/// The lease must not go away under its holder, and its number with it, whatever is said about the
/// record.
#[test]
fn a_lease_is_kept_for_as_long_as_it_may_be_held() {
    let Some(redis) = RedisServer::for_test("a short record_ttl") else {
        return;
    };
    for record_ttl in [0, 1, 60_000].map(Duration::from_millis) {
        redis.command("FLUSHALL").unwrap();
        let open = || RedisStore::open(&redis.url()).unwrap();
        let store = open().record_ttl(record_ttl);
        let key = record("T").key();
        let other = || {
            let wait = Duration::ZERO;
            SessionStore::lease(&open(), &key, LeaseTerms { wait, ..TERMS })
        };
        let mut held = lease(&store).unwrap();
        // A save must not shorten it either.
        held.save(&record("T")).unwrap();
        thread::sleep(Duration::from_millis(30));
        assert!(other().is_err(), "{record_ttl:?}: two hold it");
        held.save(&record("T")).unwrap();
        held.release().unwrap();
        other().unwrap();
        let lease_name = store.record_name(&key).replace(":record", ":lease");
        let fence = redis.command(&format!("HGET {lease_name} fence")).unwrap();
        assert!(fence.contains("\r\n2\r\n"), "{record_ttl:?}: {fence}");
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
    let mut held = lease(&store).unwrap();
    held.save(&record("T")).unwrap();
    assert!(held.load().unwrap().is_some());
}

/// A lease is kept by its heart for longer than one span.
#[test]
fn a_slow_login_keeps_its_lease() {
    let Some(redis) = RedisServer::for_test("heartbeats") else {
        return;
    };
    let store = RedisStore::open(&redis.url()).unwrap();
    let mut held = lease(&store).unwrap();
    let impatient = LeaseTerms {
        wait: Duration::from_secs(8),
        ..TERMS
    };
    let other = SessionStore::lease(&store, &record("T").key(), impatient);
    assert!(matches!(other.err(), Some(StoreError::Busy)));
    held.save(&record("T")).unwrap();
}

/// A lease whose heart has nothing to do any more, or never had, costs no processor time.
#[cfg(target_os = "linux")]
#[test]
fn a_lease_that_is_over_costs_no_processor_time() {
    let Some(redis) = RedisServer::for_test("hearts without work") else {
        return;
    };
    let store = RedisStore::open(&redis.url()).unwrap();
    let key = record("T").key();
    for ttl in [0, 1, 2_000, 30_000_000].map(Duration::from_nanos) {
        let terms = LeaseTerms { ttl, ..TERMS };
        let _held = SessionStore::lease(&store, &key, terms).unwrap();
        let before = processor_ticks("ctc-redis-heart");
        thread::sleep(Duration::from_millis(400));
        let ticks = processor_ticks("ctc-redis-heart") - before;
        // A tick is 10 ms: a thread that spins takes 40 of them.
        assert!(ticks <= 10, "{ttl:?}: {ticks} ticks");
    }
}

/// What this process's threads of one name have used, in ticks of the system's clock.
#[cfg(target_os = "linux")]
fn processor_ticks(name: &str) -> u64 {
    let used = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let fields = stat.split_once(&format!("({name}) "))?.1;
        let mut ticks = fields
            .split(' ')
            .skip(11)
            .map_while(|n| n.parse::<u64>().ok());
        Some(ticks.next()? + ticks.next()?)
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(used).sum()
}

/// A task waits in slices, so that it can be dropped; all go over one connection.
#[test]
fn a_task_that_waits_long_opens_one_connection() {
    let Some(redis) = RedisServer::for_test("connections of a waiting task") else {
        return;
    };
    let store = RedisStore::open(&redis.url()).unwrap();
    let held = lease(&store).unwrap();
    let opened = || -> u32 {
        let stats = redis.command("INFO stats").unwrap();
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse().unwrap()
    };
    let before = opened();
    let terms = LeaseTerms {
        wait: Duration::from_secs(2),
        ..TERMS
    };
    let key = record("T").key();
    let error = block_on(AsyncSessionStore::lease(&store, &key, terms)).err();
    assert!(matches!(error, Some(StoreError::Busy)), "{error:?}");
    // Its own, that of the holder's heart, and the one that counts.
    assert!(opened() - before <= 3, "{} connections", opened() - before);
    held.release().unwrap();
    block_on(
        block_on(AsyncSessionStore::lease(&store, &key, terms))
            .unwrap()
            .release(),
    )
    .unwrap();
}

/// The connection may break between two slices.
#[test]
fn a_task_that_waits_survives_a_restart() {
    let Some(mut redis) = RedisServer::for_test("a restart under a waiting task") else {
        return;
    };
    let store = RedisStore::open(&redis.url())
        .unwrap()
        .timeout(Duration::from_secs(30));
    let held = lease(&store).unwrap();
    let (key, waiting) = (record("T").key(), store.clone());
    let terms = LeaseTerms {
        wait: Duration::from_secs(60),
        ..TERMS
    };
    let wait =
        thread::spawn(move || block_on(AsyncSessionStore::lease(&waiting, &key, terms)).map(drop));
    thread::sleep(Duration::from_millis(600));
    redis.restart().unwrap();
    held.release().unwrap();
    wait.join().unwrap().unwrap();
}

fn block_on<R>(future: impl Future<Output = R>) -> R {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        thread::park();
    }
}
