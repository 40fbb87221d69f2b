//! The nine guarantees that a driver can break. (The tenth, no panic whatever comes in, is the
//! core's alone.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ctc_driver::ctc_core::{Denial, Phase, Unauthorized};
use ctc_driver::{CallError, CallOptions, SessionEvent, SharedSession};

use crate::support::run::Tasks;
use crate::support::server::{Login, Route, Seen};
use crate::support::store::TestStore;
use crate::support::transport::Req;
use crate::support::{Answer, World, credentials, denial, get, seconds, status, why, with_both};

fn spawn(world: &World, tasks: &mut Tasks<Answer>, count: usize, path: &'static str) {
    for _ in 0..count {
        let driver = world.asynchronous();
        tasks.spawn(async move { driver.execute(get(path), &CallOptions::default()).await });
    }
}

#[test]
fn guarantee_1_at_most_one_login_in_flight_per_session_and_per_store() {
    let first = World::with_store(&TestStore::default());
    let worlds = [first.clone(), first.restarted(), first.restarted()];
    for round in 0..20 {
        first.server.revoke_all();
        first.advance(seconds(600));
        first.server.hold_logins(true);
        let mut tasks = Tasks::new();
        worlds
            .iter()
            .for_each(|world| spawn(world, &mut tasks, 20, "/devices"));
        tasks.run_until_stalled();
        first
            .server
            .set(|state| assert_eq!((state.logins_now, state.logins_at_most), (1, 1), "{round}"));
        first.server.hold_logins(false);
        tasks
            .finish()
            .into_iter()
            .for_each(|response| assert_eq!(status(response), 200));
    }
}

#[test]
fn guarantee_2_logins_are_bounded_whatever_the_server_does_and_however_often_we_restart() {
    with_both(
        || World::with_store(&TestStore::default()),
        |world, client| {
            let asynchronous = matches!(client, crate::support::Client::Async(..));
            let mut random = 7_u32;
            let mut session = world.restarted();
            for _ in 0..3_000 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                world.server.every_login(match random >> 28 {
                    0..3 => Login::Status(503),
                    3 => Login::Status(200),
                    4 => Login::MaybeSent,
                    5 => Login::Token("always-the-same"),
                    6 => Login::RetryAfter(429, "0"),
                    7 => Login::Panic,
                    _ => Login::Token("another"),
                });
                world.server.revoke_all();
                if random >> 20 & 3 == 0 {
                    session = world.restarted();
                }
                if random >> 16 & 15 == 0 {
                    session.session.reset();
                }
                let client = session
                    .clients()
                    .into_iter()
                    .nth(usize::from(asynchronous))
                    .unwrap();
                drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(
                    || client.call("/devices"),
                )));
                world.advance(seconds(u64::from(random >> 8 & 31)));
                let most = 3 + world.clock.elapsed().as_secs() / 120;
                assert!(u64::try_from(world.server.logins()).unwrap() <= most);
            }
            assert!(world.server.logins() > 20);
        },
    );
}

#[test]
fn guarantee_4_a_late_401_never_touches_a_newer_token() {
    let world = World::new();
    crate::herd::with_dead_token(&world);
    let mut tasks = Tasks::new();
    world.server.hold_calls(true);
    spawn(&world, &mut tasks, 10, "/devices");
    tasks.run_until_stalled();
    spawn(&world, &mut tasks, 1, "/free");
    tasks.run_until_stalled();
    assert_eq!((tasks.waiting(), world.server.logins()), (10, 2));
    world.server.hold_calls(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
    assert_eq!(world.server.logins(), 2);
}

/// The second token dies too, an hour after it came, while the replay is on its way.
#[test]
fn guarantee_4_a_call_is_not_sent_a_third_time() {
    let world = World::new();
    crate::herd::with_dead_token(&world);
    world.server.hold_logins(true);
    let mut tasks = Tasks::new();
    spawn(&world, &mut tasks, 1, "/devices");
    tasks.run_until_stalled();
    world.server.hold_calls(true);
    world.server.hold_logins(false);
    tasks.run_until_stalled();
    world.advance(seconds(3600));
    world.server.revoke_all();
    world.server.hold_calls(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| why(response) == Unauthorized::AlreadyReplayed)
    );
    assert_eq!((world.server.calls(), world.server.logins()), (2, 2));
    assert_eq!(
        status(world.clients()[1].call("/devices")),
        200,
        "the session is renewed all the same"
    );
}

#[test]
fn guarantee_5_no_login_after_close_until_reopen() {
    let worlds = || World::with_store(&TestStore::default());
    with_both(worlds, |world, client| {
        for close in [true, false] {
            client.login().unwrap();
            let before = world.server.logins();
            if close {
                world.session.close();
            } else {
                client.logout();
            }
            for _ in 0..5 {
                assert_eq!(denial(client.call("/devices")), Denial::Closed);
                world.session.set_credentials(credentials("n3w!"));
                world.session.reset();
                world.advance(seconds(3600));
            }
            assert!(client.login().is_err());
            assert_eq!(world.server.logins(), before);
            world.session.reopen();
        }
    });
}

#[test]
fn guarantee_5_no_login_after_close_although_one_was_waiting_for_the_store() {
    let world = World::with_store(&TestStore::default());
    let store = world.store.clone().unwrap();
    store.hold(true);
    let mut tasks = Tasks::new();
    spawn(&world, &mut tasks, 5, "/devices");
    tasks.run_until_stalled();
    world.session.close();
    store.hold(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| denial(response) == Denial::Closed)
    );
    assert_eq!(world.server.logins(), 0);
}

#[test]
fn guarantee_5_t23_t25_t58_no_login_when_rejected_until_the_credentials_change() {
    with_both(World::new, |world, client| {
        world.server.next_login(Login::Status(401));
        for _ in 0..24 {
            let Err(CallError::Denied(denied)) = client.call("/devices") else {
                panic!("no login, no call")
            };
            assert!(matches!(denied.denial(), Denial::Rejected { .. }));
            assert_eq!(denied.retry_after(), None);
            world.session.close();
            world.session.reopen();
            world.advance(seconds(3600));
        }
        assert_eq!((world.server.logins(), world.server.calls()), (1, 0));
        world.session.set_credentials(credentials("n3w!"));
        assert_eq!(status(client.call("/devices")), 200);
        let form = "username=ada%40example.com&password=n3w%21".to_owned();
        assert!(world.server.seen().contains(&Seen::Login { form }));
    });
}

/// A 401 that no login can cure now: the token is kept, and other routes go on with it.
#[test]
fn guarantee_6_a_401_while_no_login_may_be_made_leaves_the_token() {
    with_both(World::new, |world, client| {
        assert_eq!(status(client.call("/devices")), 200);
        world.advance(seconds(3600));
        // The budget goes on logins for routes that a good token was refused on.
        for path in ["/a", "/b", "/c", "/d", "/e"] {
            world.server.route(path, Route::Forbidden);
            why(client.call(path));
            world.advance(seconds(61));
        }
        world.server.route("/f", Route::Forbidden);
        assert!(matches!(
            why(client.call("/f")),
            Unauthorized::NoLogin {
                denial: Denial::BudgetSpent { .. },
                ..
            }
        ));
        assert_eq!(status(client.call("/devices")), 200);
        assert!(matches!(world.session.phase(), Phase::Open(_)));
    });
}

#[test]
fn guarantee_7_dropping_anything_anywhere_never_wedges_the_session() {
    let world = World::with_store(&TestStore::default());
    for round in 0..200_usize {
        world.server.revoke_all();
        world.advance(seconds(3600));
        let driver = world.asynchronous();
        let options = CallOptions::default();
        let mut futures: Vec<_> = (0..4)
            .map(|_| Box::pin(driver.execute(get("/devices"), &options)))
            .collect();
        for (index, future) in futures.iter_mut().enumerate() {
            for _ in 0..(round * (index + 3)) % 17 {
                if crate::support::run::poll_once(future.as_mut()).is_ready() {
                    break;
                }
            }
        }
        drop(futures);
        let client = &world.clients()[round % 2];
        assert_eq!(
            status(client.call("/devices")),
            200,
            "wedged in round {round}"
        );
    }
}

#[test]
fn guarantee_7_a_leader_that_never_comes_back_is_replaced_when_its_lease_is_over() {
    let world = World::new();
    world.server.hold_logins(true);
    let driver = world.asynchronous();
    let mut lost = Box::pin(async move {
        driver
            .execute(get("/devices"), &CallOptions::default())
            .await
    });
    for _ in 0..5 {
        assert!(crate::support::run::poll_once(lost.as_mut()).is_pending());
    }
    std::mem::forget(lost);
    world.server.hold_logins(false);
    world.advance(seconds(61));
    assert_eq!(
        status(
            world
                .blocking()
                .execute(get("/devices"), &CallOptions::default())
        ),
        200
    );
    assert_eq!(world.server.logins(), 2);
}

#[test]
fn guarantee_8_token_and_key_never_leave_the_origin() {
    with_both(World::new, |world, client| {
        client.login().unwrap();
        for url in [
            "https://evil.example/",
            "http://connect.calamp.com/",
            "https://connect.calamp.com:444/",
        ] {
            let response = client.send(Req::to(url), &CallOptions::default());
            assert!(matches!(response, Err(CallError::Stamp(_))));
        }
        assert_eq!(world.server.calls(), 0);
        // A redirect is delivered, not followed; at login it is a failure.
        world.server.route("/moved", Route::Status(307));
        assert_eq!(status(client.call("/moved")), 307);
        world.session.close();
        world.session.reopen();
        world.server.next_login(Login::Status(307));
        assert!(matches!(
            denial(client.call("/devices")),
            Denial::BackingOff { .. }
        ));
        let foreign = |seen: &Seen| matches!(seen, Seen::Call { path, .. } if path != "/moved");
        assert!(!world.server.seen().iter().any(foreign));
    });
}

#[test]
fn guarantee_9_no_secret_is_ever_printed() {
    crate::secrets::scan();
}

/// User code runs whenever something is told. Each event in turn is the one at which it panics.
#[test]
fn guarantee_7_an_observer_that_panics_wedges_nothing() {
    let caught =
        |work: &dyn Fn()| drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
    let panics = |world: &World, client: &crate::support::Client, at: usize| {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        world
            .session
            .set_observer(move |_: &SharedSession, event: &SessionEvent<'_>| {
                assert_ne!(
                    count.fetch_add(1, Relaxed),
                    at,
                    "the observer panics at {event:?}"
                );
            });
        // A login is refused, one panics, one succeeds, one is given up before it is sent, and all
        // is logged out.
        for response in [Some(Login::Status(503)), Some(Login::Panic), None] {
            world.server.logins_are_fine();
            response
                .into_iter()
                .for_each(|response| world.server.every_login(response));
            (0..2).for_each(|_| caught(&|| drop(client.call("/devices"))));
            world.advance(seconds(3600));
        }
        world.server.revoke_all();
        let (session, store) = (world.session.clone(), world.store.clone().expect("a store"));
        store.on_operation(move |what| {
            if what == "load" {
                session.close();
            }
        });
        caught(&|| drop(client.call("/devices")));
        store.on_operation(|_| {});
        caught(&|| drop(client.logout()));
        seen.load(Relaxed) > at
    };
    for which in 0..2 {
        for at in 0.. {
            let world = World::with_store(&TestStore::default());
            let client = world.clients().into_iter().nth(which).unwrap();
            let has_panicked = panics(&world, &client, at);
            world
                .session
                .set_observer(|_: &SharedSession, _: &SessionEvent<'_>| {});
            assert_ne!(
                world.session.phase(),
                Phase::LoggingIn,
                "at event {at}: all wait for the lease"
            );
            world.session.reopen();
            assert_eq!(status(client.call("/devices")), 200, "at event {at}");
            if !has_panicked {
                assert!(at > 12, "there are more events than that: {at}");
                break;
            }
        }
    }
}

/// The runtime of a login shuts down, and the observer panics when it is told so.
#[test]
fn guarantee_7_an_observer_that_panics_at_an_abandoned_login_wedges_nothing() {
    let world = World::new();
    world.server.hold_logins(true);
    world
        .session
        .set_observer(|_: &SharedSession, event: &SessionEvent<'_>| {
            assert!(
                !matches!(event, SessionEvent::LoginAbandoned),
                "the observer panics"
            );
        });
    let driver = world.asynchronous();
    let mut call = Box::pin(async move {
        driver
            .execute(get("/devices"), &CallOptions::default())
            .await
    });
    assert!(crate::support::run::until_stalled(call.as_mut()).is_pending());
    drop(call);
    crate::support::run::shut_down();
    assert_eq!(world.session.phase(), Phase::Empty);
}
