//! What a 401 leads to: one login and one replay, or a response that says why not.

use ctc_driver::ctc_core::Unauthorized;
use ctc_driver::{CallError, CallOptions, Replay};
use http::Method;

use crate::support::run::Tasks;
use crate::support::server::{Route, Seen};
use crate::support::transport::Req;
use crate::support::{World, get, post, seconds, status, why, with_both};

fn options(replay: Replay) -> CallOptions {
    let mut options = CallOptions::default();
    options.replay = replay;
    options
}

#[test]
fn guarantee_4_t11_endless_401_ends_after_one_login_and_one_replay() {
    with_both(World::new, |world, client| {
        world.server.route("/devices", Route::Forbidden);
        client.login().unwrap();
        world.advance(seconds(3600));
        assert_eq!(why(client.call("/devices")), Unauthorized::RouteRejected);
        assert_eq!((world.server.logins(), world.server.calls()), (2, 2));
        for _ in 0..100 {
            assert_eq!(why(client.call("/devices")), Unauthorized::RouteRejected);
        }
        assert_eq!((world.server.logins(), world.server.calls()), (2, 102));
    });
}

#[test]
fn t12_a_route_that_is_allowed_again_is_served_at_once() {
    // The first is within the time for which the route would be remembered as refused.
    for later in [60, 3600] {
        with_both(World::new, |world, client| {
            world.server.route("/secret", Route::Forbidden);
            assert_eq!(why(client.call("/secret")), Unauthorized::RouteRejected);
            world.server.route("/secret", Route::Status(200));
            assert_eq!(status(client.call("/secret")), 200);
            // Forgotten, so that the next 401 is about the token again.
            world.server.revoke_all();
            world.advance(seconds(later));
            assert_eq!(status(client.call("/secret")), 200);
            assert_eq!(world.server.logins(), 2);
        });
    }
}

/// Each change and each look that takes the session's lock reads the clock as well.
#[test]
fn an_ordinary_answer_does_not_bother_the_session() {
    with_both(World::new, |world, client| {
        world
            .server
            .route("/other", Route::Cookie(200, "colour=blue"));
        client.login().unwrap();
        let before = world.clock.reads();
        for path in ["/devices", "/other"] {
            (0..10).for_each(|_| assert_eq!(status(client.call(path)), 200));
        }
        assert_eq!(world.clock.reads(), before);
    });
}

#[test]
fn t13_only_401_is_ours() {
    with_both(World::new, |world, client| {
        for code in [204, 302, 400, 403, 404, 429, 500, 503] {
            world.server.route("/devices", Route::Status(code));
            assert_eq!(status(client.call("/devices")), code);
        }
        world.server.route("/devices", Route::NoAnswer);
        assert!(matches!(
            client.call("/devices"),
            Err(CallError::Transport(_))
        ));
        assert_eq!((world.server.logins(), world.server.calls()), (1, 9));
    });
}

#[test]
fn t18_bytes_are_sent_again_whole_and_streams_never() {
    with_both(World::new, |world, client| {
        client.login().unwrap();
        world.server.revoke_all();
        world.advance(seconds(3600));
        let put = Req::new(Method::PUT, "/devices").body(b"all of it");
        assert_eq!(status(client.send(put, &CallOptions::default())), 200);
        let bodies: Vec<_> = world.server.seen().into_iter().filter_map(body).collect();
        assert_eq!(bodies, [b"all of it".to_vec(), b"all of it".to_vec()]);

        world.server.revoke_all();
        world.advance(seconds(3600));
        let stream = || Req::new(Method::PUT, "/devices").body(b"once").stream();
        let always = options(Replay::Always);
        assert_eq!(
            why(client.send(stream(), &always)),
            Unauthorized::NotReplayable
        );
        assert_eq!(
            status(client.send(stream(), &always)),
            200,
            "the session is renewed all the same"
        );
        assert_eq!((world.server.logins(), world.server.calls()), (3, 4));
    });
}

#[test]
fn t19_a_post_is_sent_again_only_when_allowed() {
    with_both(World::new, |world, client| {
        client.login().unwrap();
        world.server.revoke_all();
        world.advance(seconds(3600));
        assert_eq!(
            why(client.send(post("/jobs"), &CallOptions::default())),
            Unauthorized::NotReplayable
        );
        assert_eq!(
            status(client.send(post("/jobs"), &CallOptions::default())),
            200
        );
        world.server.revoke_all();
        world.advance(seconds(3600));
        assert_eq!(
            status(client.send(post("/jobs"), &options(Replay::Always))),
            200
        );
        world.server.revoke_all();
        world.advance(seconds(3600));
        assert_eq!(
            why(client.send(get("/jobs"), &options(Replay::Never))),
            Unauthorized::NotReplayable
        );
    });
}

#[test]
fn t14_t16_t21_the_caller_sees_200_and_the_replay_has_one_new_cookie() {
    with_both(World::new, |world, client| {
        client.login().unwrap();
        world.server.revoke_all();
        world.advance(seconds(3600));
        let own = "lang=en; authToken=forged";
        let request = get("/devices")
            .header("cookie", own)
            .header("calamp-services-app", "forged");
        assert_eq!(status(client.send(request, &CallOptions::default())), 200);
        let tokens: Vec<_> = world.server.seen().into_iter().filter_map(token).collect();
        assert_eq!(tokens, ["token-1", "token-2"]);
    });
}

#[test]
fn t40_a_clearing_cookie_drops_the_token_but_only_a_401_is_sent_again() {
    with_both(World::new, |world, client| {
        world
            .server
            .route("/bye", Route::Cookie(200, "authToken=; Max-Age=0"));
        assert_eq!(status(client.call("/bye")), 200);
        assert_eq!(world.server.calls(), 1);
        world.advance(seconds(3600));
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(world.server.logins(), 2);
    });
}

#[test]
fn t48_a_late_cookie_never_replaces_a_newer_token() {
    let world = World::new();
    let driver = world.asynchronous();
    world.blocking().login(&CallOptions::default()).unwrap();
    world
        .server
        .route("/late", Route::Cookie(200, "authToken=from-the-past"));
    world.server.hold_calls(true);
    let mut tasks = Tasks::new();
    let (late, other) = (driver.clone(), driver.clone());
    tasks.spawn(async move { late.execute(get("/late"), &CallOptions::default()).await });
    tasks.run_until_stalled();
    world.server.revoke_all();
    tasks.spawn(async move { other.execute(get("/free"), &CallOptions::default()).await });
    tasks.run_until_stalled();
    assert_eq!((tasks.waiting(), world.server.logins()), (1, 2));
    world.server.hold_calls(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
    assert_eq!(status(world.clients()[1].call("/devices")), 200);
    assert_eq!(
        (world.server.logins(), world.session.counts().rotations),
        (2, 0)
    );
}

#[test]
fn a_rotated_token_serves_the_next_call() {
    with_both(World::new, |world, client| {
        world.server.route("/turn", Route::Rotate);
        for _ in 0..10 {
            assert_eq!(status(client.call("/turn")), 200);
        }
        assert_eq!(
            (world.server.logins(), world.session.counts().rotations),
            (1, 10)
        );
    });
}

#[test]
fn a_stack_that_panics_in_a_call_leaves_the_session_alone() {
    let world = World::new();
    world.server.route("/boom", Route::Panic);
    for client in world.clients() {
        let call = std::panic::AssertUnwindSafe(|| client.call("/boom"));
        assert!(std::panic::catch_unwind(call).is_err());
        assert_eq!(status(client.call("/devices")), 200);
    }
    assert_eq!(world.server.logins(), 1);
}

fn body(seen: Seen) -> Option<Vec<u8>> {
    if let Seen::Call { body, .. } = seen {
        Some(body)
    } else {
        None
    }
}

fn token(seen: Seen) -> Option<String> {
    if let Seen::Call { token, .. } = seen {
        Some(token)
    } else {
        None
    }
}
