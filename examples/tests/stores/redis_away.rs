//! Redis is killed and restarted, or stopped and continued: calls continue, without a storm of
//! logins, and sharing resumes.

use std::thread;
use std::time::{Duration, Instant};

use ctc_examples::workers::{Command, Worker, all, signal};

use crate::Stage;

const PROCESSES: usize = 6;
const CALLERS: usize = 10;

fn call(workers: &mut [Worker]) {
    let sum = all(workers, Command::Call(CALLERS)).unwrap();
    assert_eq!(
        (sum.answered, sum.refused()),
        (PROCESSES * CALLERS, 0),
        "{sum:?}"
    );
}

#[test]
fn killed_and_restarted_under_load() {
    let Some(mut stage) = Stage::on_redis("Redis killed and restarted") else {
        return;
    };
    let mut workers = stage.start_many(PROCESSES);
    call(&mut workers);
    assert_eq!(stage.logins(), 1);

    // Redis is down, and the token is valid: calls do not notice.
    stage.redis.as_mut().unwrap().kill();
    call(&mut workers);
    assert_eq!(stage.logins(), 1);

    // Redis is down, and the token invalid: each process logs in once, by its own governor.
    stage.server.revoke_all();
    call(&mut workers);
    let alone = stage.logins();
    assert!(alone <= 1 + PROCESSES as u64, "{alone} logins");
    call(&mut workers);
    assert_eq!(stage.logins(), alone, "no storm");

    // Redis is back: the session is shared again.
    stage.redis.as_mut().unwrap().restart().unwrap();
    stage.server.revoke_all();
    call(&mut workers);
    assert_eq!(stage.logins(), alone + 1);
    assert_eq!(stage.server.counts().violations, 0);
}

/// A restart that is shorter than the time limit of an operation is not noticed.
#[test]
fn restarted_while_all_of_them_ask() {
    let Some(mut stage) = Stage::on_redis("Redis restarted in mid-login") else {
        return;
    };
    let mut workers = stage.start_many(PROCESSES);
    call(&mut workers);
    stage.server.revoke_all();
    stage.redis.as_mut().unwrap().kill();
    workers
        .iter_mut()
        .try_for_each(|worker| worker.tell(Command::Call(CALLERS)))
        .unwrap();
    thread::sleep(Duration::from_millis(300));
    stage.redis.as_mut().unwrap().restart().unwrap();
    for worker in &mut workers {
        let report = worker.report().unwrap();
        assert_eq!(
            (report.answered, report.store_failures),
            (CALLERS, 0),
            "{report:?}"
        );
    }
    assert_eq!(stage.logins(), 2);
}

#[test]
fn stopped_for_longer_than_the_lease() {
    let Some(stage) = Stage::on_redis("Redis stopped") else {
        return;
    };
    let redis = stage.redis.as_ref().unwrap().pid().unwrap();
    let mut workers = stage.start_many(PROCESSES);
    call(&mut workers);

    signal(redis, "STOP").unwrap();
    let began = Instant::now();
    call(&mut workers);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "a good token needs no store"
    );
    assert_eq!(stage.logins(), 1);
    stage.server.revoke_all();
    let began = Instant::now();
    call(&mut workers);
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "every operation is bounded"
    );
    let alone = stage.logins();
    assert!(alone <= 1 + PROCESSES as u64, "{alone} logins");
    // Heartbeats extend a lease by 6 s.
    thread::sleep(Duration::from_secs(7).saturating_sub(began.elapsed()));

    signal(redis, "CONT").unwrap();
    call(&mut workers);
    assert_eq!(stage.logins(), alone);
    stage.server.revoke_all();
    call(&mut workers);
    assert_eq!(stage.logins(), alone + 1, "shared again");
    assert_eq!(stage.server.counts().violations, 0);
}

/// Redis is full: the error is typed, and the session continues without it.
#[test]
fn full() {
    let Some(stage) = Stage::on_redis("Redis is full") else {
        return;
    };
    refuses_to_write(&stage, "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0");
}

#[test]
fn read_only_replica() {
    let Some(stage) = Stage::on_redis("Redis is a read-only replica") else {
        return;
    };
    refuses_to_write(&stage, "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE");
}

fn refuses_to_write(stage: &Stage, how: &str, back: &str) {
    let redis = stage.redis.as_ref().unwrap();
    let mut worker = stage.start();
    assert!(redis.command(how).unwrap().contains("OK"));
    let report = worker.run(Command::Call(5)).unwrap();
    assert_eq!((report.answered, report.logins), (5, 1), "{report:?}");
    assert!(report.store_failures > 0, "{report:?}");

    assert!(redis.command(back).unwrap().contains("OK"));
    stage.server.revoke_all();
    let report = worker.run(Command::Call(5)).unwrap();
    assert_eq!(report.answered, 5, "{report:?}");
    let other = stage.start().run(Command::Call(5)).unwrap();
    assert_eq!((other.answered, other.adopted), (5, 1), "{other:?}");
    assert_eq!(stage.logins(), 2);
}
