//! Futures that are dropped half way, at every point at which they can be, and stacks that panic.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use ctc_driver::__adapter::by_hand;
use ctc_driver::ctc_core::{Admit, Call, Denial, Phase};
use ctc_driver::{CallOptions, SessionEvent, SharedSession};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::support::run::{Tasks, poll_once, run};
use crate::support::server::Login;
use crate::support::store::TestStore;
use crate::support::{Answer, World, denial, get, seconds, status};

fn call(world: &World) -> BoxFuture<'static, Answer> {
    let driver = world.asynchronous();
    async move {
        driver
            .execute(get("/devices"), &CallOptions::default())
            .await
    }
    .boxed()
}

/// Polls up to `times`; whether it was still running then.
fn poll<T>(future: &mut BoxFuture<'static, T>, times: usize) -> bool {
    (0..times).all(|_| poll_once(Pin::new(&mut *future)).is_pending())
}

/// Runs `test` with a call polled 1, 2, 3 … times, until a call is done by then.
fn at_every_point(
    worlds: impl Fn() -> World,
    test: impl Fn(&World, BoxFuture<'static, Answer>, usize),
) {
    for times in 0.. {
        let world = worlds();
        let mut leader = call(&world);
        if !poll(&mut leader, times) {
            assert!(times > 6, "there are more points than that: {times}");
            return;
        }
        test(&world, leader, times);
        world.server.set(|state| {
            assert!(
                state.logins_at_most <= 1,
                "two at once, after {times} polls"
            )
        });
    }
}

fn cold() -> World {
    World::with_store(&TestStore::default())
}

fn dead_token() -> World {
    let world = cold();
    world.blocking().login(&CallOptions::default()).unwrap();
    world.server.revoke_all();
    world.advance(seconds(3600));
    world
}

/// Whether another process finds the session's token.
fn is_in_the_store(world: &World) -> bool {
    let kept = world
        .store
        .as_ref()
        .unwrap()
        .peek(&world.session.record_key());
    kept.is_some_and(|kept| kept.same_token(&world.session.record()))
}

#[test]
fn t54_a_leader_cancelled_anywhere_costs_those_who_wait_nothing() {
    for (worlds, logins) in [(cold as fn() -> World, 1), (dead_token, 2)] {
        at_every_point(worlds, |world, mut leader, times| {
            let mut others: Vec<_> = (0..5).map(|_| call(world)).collect();
            let on_its_way = poll(&mut leader, 1);
            others.iter_mut().for_each(|other| assert!(poll(other, 1)));
            drop(leader);
            let mut tasks = Tasks::new();
            others.into_iter().for_each(|other| tasks.spawn(other));
            assert!(
                tasks
                    .finish()
                    .into_iter()
                    .all(|response| status(response) == 200)
            );
            assert!(
                world.server.logins() <= logins,
                "after {times} polls ({on_its_way})"
            );
            assert!(is_in_the_store(world), "after {times} polls");
        });
    }
}

#[test]
fn t54_a_leader_cancelled_alone_costs_one_more_login_at_most() {
    for (worlds, logins) in [(cold as fn() -> World, 2), (dead_token, 3)] {
        at_every_point(worlds, |world, leader, times| {
            drop(leader);
            assert_eq!(status(run(&world.clock, call(world))), 200);
            assert!(world.server.logins() <= logins, "after {times} polls");
            assert!(is_in_the_store(world), "after {times} polls");
            world
                .server
                .set(|state| assert_eq!((state.logins_now, state.calls_now), (0, 0)));
        });
    }
}

/// Nobody makes a call afterwards, whose response would be another chance to save the token.
#[test]
fn t32_a_login_whose_leader_is_cancelled_anywhere_is_in_the_store() {
    for times in 0.. {
        let world = cold();
        let login = || {
            let driver = world.asynchronous();
            async move { driver.login(&CallOptions::default()).await }.boxed()
        };
        let (mut leader, mut other) = (login(), login());
        assert!(poll(&mut leader, 1) && poll(&mut other, 1));
        let on_its_way = poll(&mut leader, times);
        drop(leader);
        run(&world.clock, other).unwrap();
        assert!(is_in_the_store(&world), "after {times} polls");
        assert_eq!(world.server.logins(), 1, "after {times} polls");
        if !on_its_way {
            return;
        }
    }
}

#[test]
fn a_refusal_is_in_the_store_although_the_leader_was_cancelled() {
    let refusing = || {
        let world = cold();
        world.server.every_login(Login::Status(401));
        world
    };
    for waiters in [0, 5] {
        at_every_point(refusing, |world, mut leader, times| {
            let mut others: Vec<_> = (0..waiters).map(|_| call(world)).collect();
            poll(&mut leader, 1);
            others.retain_mut(|other| poll(other, 1));
            drop(leader);
            let mut tasks = Tasks::new();
            others.into_iter().for_each(|other| tasks.spawn(other));
            assert!(tasks.finish().iter().all(Result::is_err));
            denial(run(&world.clock, call(world)));
            let sent = world.server.logins();
            denial(run(&world.clock, call(&world.restarted())));
            assert_eq!(world.server.logins(), sent, "after {times} polls");
        });
    }
}

/// Its failure is not in the store yet, and another process found worse meanwhile: who saves it
/// learns that first.
#[test]
fn one_denial_for_all_although_the_leader_was_cancelled_and_the_store_knows_more() {
    let failing = || {
        let world = cold();
        world.server.every_login(Login::Status(503));
        world
    };
    at_every_point(failing, |world, leader, times| {
        drop(leader);
        world.server.every_login(Login::Status(401));
        denial(run(&world.clock, call(&world.restarted())));
        let told = denial(run(&world.clock, call(world)));
        assert_eq!(
            denial(run(&world.clock, call(world))),
            told,
            "after {times} polls"
        );
    });
}

#[test]
fn t54_a_thread_takes_over_from_a_cancelled_task() {
    at_every_point(cold, |world, leader, _| {
        drop(leader);
        assert_eq!(
            status(
                world
                    .blocking()
                    .execute(get("/devices"), &CallOptions::default())
            ),
            200
        );
        assert!(world.server.logins() <= 2);
    });
}

#[test]
fn one_who_waits_can_go_at_any_point() {
    at_every_point(cold, |world, waiter, _| {
        let mut others = Tasks::new();
        (0..5).for_each(|_| others.spawn(call(world)));
        others.run_until_stalled();
        drop(waiter);
        assert!(
            others
                .finish()
                .into_iter()
                .all(|response| status(response) == 200)
        );
        assert_eq!(world.server.logins(), 1);
    });
}

#[test]
fn a_leader_that_is_kept_but_never_polled_again_holds_nobody_up() {
    at_every_point(cold, |world, leader, _| {
        let mut others = Tasks::new();
        (0..5).for_each(|_| others.spawn(call(world)));
        assert!(
            others
                .finish()
                .into_iter()
                .all(|response| status(response) == 200)
        );
        assert_eq!(world.server.logins(), 1);
        drop(leader);
    });
}

/// Else the task would ask, find the login that is over, and ask again for as long as the present
/// one takes.
#[test]
fn a_task_sleeps_through_a_threads_login_although_somebody_holds_on_to_an_earlier_one() {
    let world = World::new();
    world.server.hold_logins(true);
    let (mut leader, mut never_polled_again) = (call(&world), call(&world));
    assert!(poll(&mut leader, 1) && poll(&mut never_polled_again, 1));
    world.server.hold_logins(false);
    assert_eq!(status(run(&world.clock, leader)), 200);
    world.session.close();
    world.session.reopen();
    // As a thread asks for leave. Its login is never made.
    let Admit::Login(order) = by_hand::admit(&world.session, &mut Call::new(true)) else {
        panic!("not elected")
    };
    let mut tasks = Tasks::new();
    tasks.spawn(call(&world));
    world.clock.is_read_at_most(10);
    tasks.run_until_stalled();
    assert_eq!(tasks.waiting(), 1);
    world.session.close();
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| denial(response) == Denial::Closed)
    );
    drop((order, never_polled_again));
}

#[test]
fn a_logout_cancelled_anywhere_has_closed_the_session() {
    for times in 1.. {
        let world = cold();
        let driver = world.asynchronous();
        run(&world.clock, driver.login(&CallOptions::default())).unwrap();
        let mut logout = async move { driver.logout().await }.boxed();
        let done = !poll(&mut logout, times);
        drop(logout);
        assert_eq!(world.session.phase(), Phase::Closed);
        world.session.reopen();
        assert_eq!(status(run(&world.clock, call(&world))), 200);
        if done {
            return;
        }
    }
}

#[test]
fn when_all_go_the_login_is_given_back() {
    let world = World::new();
    world.server.hold_logins(true);
    let mut calls: Vec<_> = (0..5).map(|_| call(&world)).collect();
    calls.iter_mut().for_each(|call| assert!(poll(call, 4)));
    assert_eq!(world.session.phase(), Phase::LoggingIn);
    drop(calls);
    assert_eq!(world.session.phase(), Phase::Empty);
    world.server.set(|state| assert_eq!(state.logins_now, 0));
}

#[test]
fn a_stack_that_panics_in_a_login_takes_one_task_with_it() {
    let world = World::new();
    world.server.next_login(Login::Panic);
    world.server.hold_logins(true);
    let mut tasks = Tasks::new();
    for _ in 0..20 {
        tasks.spawn(AssertUnwindSafe(call(&world)).catch_unwind());
    }
    tasks.run_until_stalled();
    assert_eq!(world.server.logins(), 1);
    world.server.hold_logins(false);
    let ended = tasks.finish();
    assert_eq!(ended.iter().filter(|ended| ended.is_err()).count(), 1);
    assert!(
        ended
            .into_iter()
            .flatten()
            .all(|response| status(response) == 200)
    );
    assert_eq!(world.server.logins(), 2);
}

#[test]
fn a_stack_that_always_panics_is_not_asked_for_ever() {
    let world = World::new();
    world.server.every_login(Login::Panic);
    for client in world.clients() {
        for _ in 0..10 {
            drop(std::panic::catch_unwind(AssertUnwindSafe(|| {
                client.call("/devices")
            })));
        }
        denial(client.call("/devices"));
    }
    assert_eq!(world.server.logins(), 3);
}

#[test]
fn an_observer_that_panics_takes_one_call_with_it_and_the_login_is_given_back() {
    let world = World::new();
    for client in world.clients() {
        // At each event: so it panics a second time when the first panic gives the login back.
        world
            .session
            .set_observer(|_: &SharedSession, event: &SessionEvent<'_>| panic!("{event:?}"));
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| client.call("/devices")));
        assert!(ended.is_err());
        assert_eq!(world.session.phase(), Phase::Empty);
        world
            .session
            .set_observer(|_: &SharedSession, _: &SessionEvent<'_>| {});
        assert_eq!(status(client.call("/devices")), 200);
        world.session.close();
        world.session.reopen();
        world.advance(seconds(3600));
    }
}
