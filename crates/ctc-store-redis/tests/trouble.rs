//! Redis that is gone, slow, of another kind or misused: typed errors, in time, and no secret in
//! any of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

use std::error::Error;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use ctc_driver::ctc_core::{
    Admit, AppKey, Call, Credentials, Endpoint, Session, SessionRecord, Settings,
};
use ctc_driver::{AsyncSessionStore, LeaseTerms, SessionStore, StoreError, StoreLease};
use ctc_store_redis::{OpenError, RedisStore};
use ctc_testkit::RedisServer;

const TERMS: LeaseTerms = LeaseTerms {
    wait: Duration::from_secs(5),
    ttl: Duration::from_secs(30),
};

fn record(token: &str) -> SessionRecord {
    let credentials = Credentials::new("ada", "s3cret!s3cret!").unwrap();
    let key = AppKey::new("key").unwrap();
    let mut session = Session::new(Endpoint::us(), key, credentials, Settings::default()).unwrap();
    let now = Instant::now();
    if let Admit::Login(order) = session.admit(&mut Call::new(false), now) {
        let response = http::Response::builder().header("set-cookie", format!("authToken={token}"));
        let _ = session.login_response(order.ticket, &response.body(()).unwrap(), now);
    }
    session.record(now, SystemTime::now())
}

fn lease(store: &RedisStore) -> Result<Box<dyn StoreLease>, StoreError> {
    SessionStore::lease(store, &record("T").key(), TERMS)
}

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
    fails(&store, "nobody listens there");
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
        "it does not answer in time",
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
fn a_url_of_no_use_is_not_repeated() {
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
fn what_is_no_record_is_not_used() {
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
