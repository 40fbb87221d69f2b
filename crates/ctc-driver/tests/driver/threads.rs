//! Real threads. Gates keep them in step; nothing here measures time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

use ctc_driver::__adapter::by_hand;
use ctc_driver::ctc_core::{Admit, Call, Denial, LoginFailure, Wait};
use ctc_driver::{CallOptions, Clock};

use crate::herd::with_dead_token;
use crate::support::run::{Tasks, block_on};
use crate::support::server::Login;
use crate::support::{Answer, World, denial, get, post, seconds, status};

const MANY: usize = 1_000;

/// `MANY` threads, each with one blocking call; `meanwhile` runs once all have begun.
fn herd(world: &World, meanwhile: impl FnOnce()) -> Vec<Answer> {
    let driver = world.blocking();
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        let call = || {
            begun.fetch_add(1, SeqCst);
            world.server.set(|_| {});
            driver.execute(get("/devices"), &CallOptions::default())
        };
        let spawn = |_| {
            thread::Builder::new()
                .stack_size(128 * 1024)
                .spawn_scoped(scope, call)
        };
        let threads: Vec<_> = (0..MANY)
            .map(spawn)
            .map(|thread| thread.expect("a thread"))
            .collect();
        world.server.wait_until(|_| begun.load(SeqCst) == MANY);
        meanwhile();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    })
}

#[test]
fn t01_a_thousand_threads_on_a_cold_start_make_one_login() {
    let world = World::new();
    world.server.hold_logins(true);
    let responses = herd(&world, || world.server.hold_logins(false));
    assert!(
        responses
            .into_iter()
            .map(status)
            .all(|status| status == 200)
    );
    assert_eq!((world.server.logins(), world.server.calls()), (1, MANY));
}

#[test]
fn t02_a_thousand_threads_on_a_dead_token_make_one_login() {
    let world = World::new();
    with_dead_token(&world);
    world.server.hold_calls(true);
    let responses = herd(&world, || {
        world.server.wait_until(|state| state.calls_now == MANY);
        world.server.hold_calls(false);
    });
    assert!(
        responses
            .into_iter()
            .map(status)
            .all(|status| status == 200)
    );
    assert_eq!(
        (world.server.logins(), world.session.counts().replays),
        (2, 1_000)
    );
}

#[test]
fn t23_a_thousand_threads_with_refused_credentials_make_one_login() {
    let world = World::new();
    world.server.every_login(Login::Status(403));
    world.server.hold_logins(true);
    let responses = herd(&world, || world.server.hold_logins(false));
    let rejected = Denial::rejected(http::StatusCode::FORBIDDEN);
    assert!(
        responses
            .into_iter()
            .map(denial)
            .all(|denial| denial == rejected)
    );
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn tasks_wait_for_the_login_of_a_thread() {
    let world = World::new();
    world.server.hold_logins(true);
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            world
                .blocking()
                .execute(get("/devices"), &CallOptions::default())
        });
        world.server.wait_until(|state| state.logins_now == 1);
        let mut tasks = Tasks::new();
        for _ in 0..100 {
            let driver = world.asynchronous();
            tasks.spawn(async move {
                driver
                    .execute(get("/devices"), &CallOptions::default())
                    .await
            });
        }
        tasks.run_until_stalled();
        assert_eq!(tasks.waiting(), 100);
        world.server.hold_logins(false);
        assert_eq!(status(leader.join().unwrap()), 200);
        assert!(
            tasks
                .finish()
                .into_iter()
                .map(status)
                .all(|status| status == 200)
        );
    });
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn threads_wait_for_the_login_of_a_task() {
    let world = World::new();
    world.server.hold_logins(true);
    thread::scope(|scope| {
        let driver = world.asynchronous();
        let task =
            scope.spawn(move || block_on(driver.execute(get("/devices"), &CallOptions::default())));
        world.server.wait_until(|state| state.logins_now == 1);
        let call = || {
            world
                .blocking()
                .execute(get("/devices"), &CallOptions::default())
        };
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(call)).collect();
        world.server.hold_logins(false);
        assert_eq!(status(task.join().unwrap()), 200);
        assert!(
            threads
                .into_iter()
                .all(|thread| status(thread.join().unwrap()) == 200)
        );
    });
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn threads_and_tasks_change_places_under_fire() {
    let world = World::new();
    let revoker = world.clone();
    thread::scope(|scope| {
        for which in 0..8 {
            let world = &world;
            scope.spawn(move || {
                for _ in 0..200 {
                    let response = if which % 2 == 0 {
                        world
                            .blocking()
                            .execute(get("/devices"), &CallOptions::default())
                    } else {
                        block_on(
                            world
                                .asynchronous()
                                .execute(get("/devices"), &CallOptions::default()),
                        )
                    };
                    drop(response);
                }
            });
        }
        for _ in 0..50 {
            revoker.server.revoke_all();
            revoker.advance(seconds(600));
            thread::yield_now();
        }
    });
    world
        .server
        .set(|state| assert!(state.logins_at_most <= 1 && state.logins_now == 0));
}

#[test]
fn a_transport_that_panics_in_a_login_takes_one_thread_with_it() {
    let world = World::new();
    world.server.next_login(Login::Panic);
    world.server.hold_logins(true);
    let call = || {
        let driver = world.blocking();
        catch_unwind(AssertUnwindSafe(|| {
            driver.execute(get("/devices"), &CallOptions::default())
        }))
    };
    let ended: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(call)).collect();
        world.server.wait_until(|state| state.logins_now == 1);
        world.server.hold_logins(false);
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(ended.iter().filter(|ended| ended.is_err()).count(), 1);
    for response in ended.into_iter().flatten() {
        let denial = denial(response);
        assert!(
            matches!(
                denial,
                Denial::BackingOff {
                    cause: LoginFailure::Panicked,
                    ..
                }
            ),
            "{denial:?}"
        );
    }
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn t49_a_login_response_after_close_is_logged_out() {
    let world = World::new();
    world.server.hold_logins(true);
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            world
                .blocking()
                .execute(get("/devices"), &CallOptions::default())
        });
        world.server.wait_until(|state| state.logins_now == 1);
        world.session.close();
        world.server.hold_logins(false);
        assert_eq!(denial(leader.join().unwrap()), Denial::Closed);
    });
    assert_eq!(world.server.logouts(), ["token-1"]);
    assert_eq!(
        (world.session.counts().orphans, world.server.calls()),
        (1, 0)
    );
}

#[test]
fn a_thread_that_waits_is_woken_by_close() {
    let world = World::new();
    world.server.hold_logins(true);
    thread::scope(|scope| {
        let call = || {
            world
                .blocking()
                .execute(post("/devices"), &CallOptions::default())
        };
        let leader = scope.spawn(call);
        world.server.wait_until(|state| state.logins_now == 1);
        let waiter = scope.spawn(call);
        world.session.close();
        // Joined while the login is still held: only `close` can have woken it.
        assert_eq!(denial(waiter.join().unwrap()), Denial::Closed);
        world.server.hold_logins(false);
        assert_eq!(denial(leader.join().unwrap()), Denial::Closed);
    });
}

#[test]
fn t57_a_change_before_the_wait_is_not_missed() {
    let world = World::new();
    let Admit::Login(order) = by_hand::admit(&world.session, &mut Call::new(true)) else {
        panic!("not elected")
    };
    let Admit::Wait(wait) = by_hand::admit(&world.session, &mut Call::new(true)) else {
        panic!("elected twice")
    };
    world.session.close();
    let (done, returned) = mpsc::channel();
    let session = world.session.clone();
    thread::spawn(move || done.send(by_hand::wait(&session, wait)).unwrap());
    let changed = returned
        .recv_timeout(seconds(20))
        .expect("it waits for a change that has come already");
    assert!(changed);
    drop(order);
}

#[test]
fn a_wait_whose_time_is_up_says_that_nothing_has_changed() {
    let world = World::new();
    let Admit::Login(order) = by_hand::admit(&world.session, &mut Call::new(true)) else {
        panic!("not elected")
    };
    let Admit::Wait(wait) = by_hand::admit(&world.session, &mut Call::new(true)) else {
        panic!("elected twice")
    };
    assert!(!by_hand::wait(
        &world.session,
        Wait {
            deadline: world.clock.now(),
            ..wait
        }
    ));
    drop(order);
}

/// Each look at the session reads the clock: threads that waited by looking again and again would
/// read it for as long as the login takes.
#[test]
fn threads_that_wait_for_a_login_look_at_the_session_a_few_times_each() {
    const THREADS: usize = 10;
    const OUR_LOOKS: usize = 1_000;
    let world = World::new();
    world.server.hold_logins(true);
    let call = || {
        world
            .blocking()
            .execute(get("/devices"), &CallOptions::default())
    };
    thread::scope(|scope| {
        let leader = scope.spawn(call);
        world.server.wait_until(|state| state.logins_now == 1);
        let waiters: Vec<_> = (0..THREADS).map(|_| scope.spawn(call)).collect();
        for _ in 0..OUR_LOOKS {
            thread::yield_now();
            world.session.phase();
        }
        world.server.hold_logins(false);
        assert!(
            waiters
                .into_iter()
                .chain([leader])
                .all(|thread| status(thread.join().unwrap()) == 200)
        );
    });
    let their_looks = world.clock.reads() - OUR_LOOKS;
    assert!(their_looks <= 10 * (THREADS + 1), "{their_looks}");
}
