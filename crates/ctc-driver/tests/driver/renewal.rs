//! A login although the token is still good.

use std::panic::AssertUnwindSafe;

use ctc_driver::ctc_core::{Denial, Generation, Phase};
use ctc_driver::{CallOptions, Denied};
use futures_util::FutureExt;

use crate::support::run::{Tasks, run};
use crate::support::server::{Login, Route, Seen};
use crate::support::store::TestStore;
use crate::support::{Client, World, get, seconds, status, with_both};

fn stored() -> World {
    World::with_store(&TestStore::default())
}

/// The token that the last call went out with.
fn last_token(world: &World) -> String {
    let token = |seen: Seen| {
        if let Seen::Call { token, .. } = seen {
            Some(token)
        } else {
            None
        }
    };
    world
        .server
        .seen()
        .into_iter()
        .filter_map(token)
        .next_back()
        .unwrap()
}

fn generation(world: &World) -> Generation {
    match world.session.phase() {
        Phase::Open(generation) => generation,
        other => panic!("not open: {other:?}"),
    }
}

/// A renewal that the server holds back while `meanwhile` runs. `None` when the HTTP stack
/// panicked.
fn renew_while(
    world: &World,
    client: &Client,
    meanwhile: impl FnOnce(),
) -> Option<Result<(), Denied>> {
    world.server.hold_logins(true);
    match client {
        Client::Async(..) => {
            let (mut tasks, driver) = (Tasks::new(), world.asynchronous());
            let renewal = async move { driver.renew(&CallOptions::default()).await };
            tasks.spawn(AssertUnwindSafe(renewal).catch_unwind());
            tasks.run_until_stalled();
            assert_eq!(
                (tasks.waiting(), world.server.set(|state| state.logins_now)),
                (1, 1)
            );
            meanwhile();
            world.server.hold_logins(false);
            tasks.finish().pop().unwrap().ok()
        }
        Client::Blocking(driver) => std::thread::scope(|scope| {
            let renewal = scope.spawn(|| driver.renew(&CallOptions::default()));
            world.server.wait_until(|state| state.logins_now == 1);
            meanwhile();
            world.server.hold_logins(false);
            renewal.join().ok()
        }),
    }
}

/// T36. Calls go on with the old token while the login runs, and after it has failed.
#[test]
fn guarantee_6_a_failed_login_never_removes_a_usable_token() {
    let failures = [
        Login::Status(401),
        Login::Status(403),
        Login::Status(200),
        Login::Status(307),
        Login::Status(503),
        Login::RetryAfter(429, "3"),
        Login::NotSent,
        Login::MaybeSent,
        Login::Panic,
    ];
    for failure in failures {
        for worlds in [World::new as fn() -> World, stored] {
            with_both(worlds, |world, client| {
                assert_eq!(status(client.call("/devices")), 200);
                let (token, before) = (last_token(world), generation(world));
                world.server.next_login(failure.clone());
                let renewed = renew_while(world, client, || {
                    assert_eq!(
                        status(client.call("/devices")),
                        200,
                        "while it runs: {failure:?}"
                    );
                    assert_eq!(last_token(world), token);
                });
                // A panic goes on in the thread that was elected to log in, and in no task.
                let panicked = matches!(failure, Login::Panic) && renewed.is_none();
                assert!(panicked || renewed.unwrap().is_err(), "{failure:?}");
                assert_eq!(world.session.counts().logins_failed, 1, "{failure:?}");
                assert_eq!(
                    status(client.call("/devices")),
                    200,
                    "after it: {failure:?}"
                );
                assert_eq!(
                    (last_token(world), generation(world)),
                    (token, before),
                    "{failure:?}"
                );
                assert_eq!(world.server.logins(), 2);
            });
        }
    }
}

#[test]
fn a_renewal_brings_a_new_token_and_no_call_waits_for_it() {
    with_both(stored, |world, client| {
        assert_eq!(status(client.call("/devices")), 200);
        let (token, before) = (last_token(world), generation(world));
        let renewed = renew_while(world, client, || {
            assert_eq!(status(client.call("/devices")), 200);
        });
        assert!(renewed.unwrap().is_ok());
        assert!(generation(world) > before);
        assert_eq!(status(client.call("/devices")), 200);
        assert_ne!(last_token(world), token);
        assert_eq!(
            (world.server.logins(), world.session.counts().unauthorized),
            (2, 0)
        );
        let store = world.store.as_ref().unwrap();
        assert!(store.has_token_of(&world.session));
    });
}

#[test]
fn a_renewal_without_a_token_is_a_login() {
    with_both(World::new, |world, client| {
        client.renew().unwrap();
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(world.server.logins(), 1);
    });
}

#[test]
fn many_renewals_at_once_are_one_login() {
    let world = World::new();
    world.blocking().login(&CallOptions::default()).unwrap();
    world.server.hold_logins(true);
    let mut tasks = Tasks::new();
    for _ in 0..20 {
        let driver = world.asynchronous();
        tasks.spawn(async move { driver.renew(&CallOptions::default()).await });
    }
    tasks.run_until_stalled();
    assert_eq!(tasks.waiting(), 20);
    world.server.hold_logins(false);
    assert!(tasks.finish().iter().all(Result::is_ok));
    assert_eq!(world.server.logins(), 2);
}

#[test]
fn a_renewal_takes_the_newer_token_of_another_process() {
    with_both(stored, |world, client| {
        client.login().unwrap();
        let other = world.restarted();
        other.blocking().renew(&CallOptions::default()).unwrap();
        other.blocking().renew(&CallOptions::default()).unwrap();
        assert_eq!(world.server.logins(), 2);
        client.renew().unwrap();
        assert!(world.session.record().same_token(&other.session.record()));
        assert_eq!(world.server.logins(), 2);
    });
}

/// Fair use holds for it too.
#[test]
fn a_renewal_is_denied_as_any_login_and_takes_nothing_away() {
    with_both(World::new, |world, client| {
        (0..3).for_each(|_| client.renew().unwrap());
        let denied = client.renew().unwrap_err();
        assert!(matches!(denied.denial(), Denial::BudgetSpent { .. }));
        assert_eq!(status(client.call("/devices")), 200);
        world.advance(denied.retry_after().unwrap());
        client.renew().unwrap();
        client.logout();
        assert_eq!(client.renew().unwrap_err().denial(), &Denial::Closed);
        assert_eq!(world.server.logins(), 4);
    });
}

#[test]
fn a_renewal_that_waits_for_the_budget_takes_what_comes_meanwhile() {
    let world = World::new();
    let client = &world.clients()[1];
    (0..3).for_each(|_| client.renew().unwrap());
    let options = CallOptions::new().max_wait(seconds(600));
    let driver = world.asynchronous();
    crate::support::run::run(&world.clock, driver.renew(&options)).unwrap();
    assert_eq!(world.server.logins(), 4);
    assert!(world.clock.elapsed() <= seconds(120));
}

#[test]
fn t54_a_renewal_cancelled_anywhere_leaves_the_session_as_it_was_or_renewed() {
    for times in 0.. {
        let world = stored();
        world.blocking().login(&CallOptions::default()).unwrap();
        let driver = world.asynchronous();
        let mut renewal = async move { driver.renew(&CallOptions::default()).await }.boxed();
        let polled =
            (0..times).all(|_| crate::support::run::poll_once(renewal.as_mut()).is_pending());
        drop(renewal);
        // Guarantee 12: a renewal that was sent ends all the same.
        crate::support::run::run_spawned();
        let client = &world.clients()[1];
        assert_eq!(status(client.call("/devices")), 200, "after {times} polls");
        assert_eq!(world.session.counts().unauthorized, 0);
        assert!(world.server.logins() <= 2);
        let store = world.store.as_ref().unwrap();
        assert!(store.has_token_of(&world.session), "after {times} polls");
        if !polled {
            return;
        }
    }
}

/// The task runs later than its election: by then, the server may have replaced the token itself.
#[test]
fn a_token_that_the_server_replaces_before_the_login_is_sent_makes_it_needless() {
    let world = stored();
    world.server.route("/turn", Route::Rotate);
    assert_eq!(
        status(
            world
                .blocking()
                .execute(get("/devices"), &CallOptions::default())
        ),
        200
    );
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    let mut renewal = Box::pin(driver.renew(&options));
    // Elected; the runtime has not run its task yet.
    assert!((&mut renewal).now_or_never().is_none());
    assert_eq!(
        status(world.blocking().execute(get("/turn"), &options)),
        200
    );
    run(&world.clock, renewal).unwrap();
    assert_eq!(world.server.logins(), 1);
    assert_eq!(world.session.counts().rotations, 1);
}
