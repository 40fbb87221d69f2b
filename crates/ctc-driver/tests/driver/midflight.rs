//! The session is closed, reopened or given other credentials while logins and calls are under way.

use ctc_driver::ctc_core::{Denial, Phase, Unauthorized};
use ctc_driver::{CallError, CallOptions, LogoutOutcome};

use crate::support::run::{Tasks, run_spawned};
use crate::support::server::{Login, Route};
use crate::support::store::TestStore;
use crate::support::{Answer, World, credentials, denial, get, seconds, status, why, with_both};

fn tasks(world: &World, count: usize) -> Tasks<Answer> {
    let mut tasks = Tasks::new();
    for _ in 0..count {
        let driver = world.asynchronous();
        tasks.spawn(async move {
            driver
                .execute(get("/devices"), &CallOptions::default())
                .await
        });
    }
    tasks.run_until_stalled();
    tasks
}

/// Ten tasks wait for a login that the server holds back.
fn waiting() -> (World, Tasks<Answer>) {
    let world = World::new();
    world.server.hold_logins(true);
    let tasks = tasks(&world, 10);
    assert_eq!((tasks.waiting(), world.server.logins()), (10, 1));
    (world, tasks)
}

#[test]
fn close_wakes_all_who_wait() {
    let (world, mut tasks) = waiting();
    world.session.close();
    tasks.run_until_stalled();
    // One sees the login to its end, so that its token can be logged out.
    assert_eq!(tasks.waiting(), 1);
    world.server.hold_logins(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| denial(response) == Denial::Closed)
    );
}

#[test]
fn t49_a_login_response_after_close_is_logged_out() {
    let (world, tasks) = waiting();
    world.session.close();
    world.server.hold_logins(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| denial(response) == Denial::Closed)
    );
    // Nobody waits for its logout.
    run_spawned();
    assert_eq!(world.session.phase(), Phase::Closed);
    assert_eq!(
        (world.server.logouts(), world.server.calls()),
        (vec!["token-1".to_owned()], 0)
    );
    assert_eq!(world.session.counts().orphans, 1);
}

#[test]
fn reopen_in_mid_flight_lets_them_log_in_anew() {
    let (world, tasks) = waiting();
    world.session.close();
    world.session.reopen();
    world.server.hold_logins(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
    assert_eq!(world.server.logins(), 2);
}

#[test]
fn reset_in_mid_flight_changes_nothing_for_those_who_wait() {
    let (world, mut tasks) = waiting();
    world.session.reset();
    tasks.run_until_stalled();
    assert_eq!(tasks.waiting(), 10);
    world.server.hold_logins(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn credentials_set_in_mid_flight_outlive_the_refusal_of_the_old() {
    let world = World::new();
    world.server.next_login(Login::Status(403));
    world.server.hold_logins(true);
    let tasks = tasks(&world, 10);
    world.session.set_credentials(credentials("n3w!"));
    world.server.hold_logins(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
    assert_eq!(world.server.logins(), 2);
}

/// Waiters that the leader left behind keep its login alive, woken or not.
#[test]
fn a_change_in_mid_flight_does_not_cost_the_login_of_a_cancelled_leader() {
    let world = World::new();
    world.server.hold_logins(true);
    let driver = world.asynchronous();
    let options = CallOptions::default();
    let mut leader = Box::pin(driver.execute(get("/devices"), &options));
    assert!(crate::support::run::poll_once(leader.as_mut()).is_pending());
    let mut tasks = tasks(&world, 1);
    drop(leader);
    world.session.reset();
    tasks.run_until_stalled();
    world.server.hold_logins(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn t51_logout_with_calls_in_flight_starts_no_login() {
    let world = World::new();
    world.blocking().login(&CallOptions::default()).unwrap();
    world.server.hold_calls(true);
    let tasks = tasks(&world, 10);
    assert!(matches!(
        world.clients()[1].logout(),
        LogoutOutcome::Accepted(_)
    ));
    world.server.hold_calls(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| why(response) == Unauthorized::Closed)
    );
    assert_eq!(
        (world.server.logins(), world.server.logouts().len()),
        (1, 1)
    );
}

#[test]
fn t52_logout_says_what_became_of_it_and_always_closes() {
    with_both(World::new, |world, client| {
        let outcome = client.logout();
        assert!(matches!(outcome, LogoutOutcome::NoToken));
        assert!(
            outcome
                .to_string()
                .ends_with("; there was no token to invalidate on the server")
        );
        world.session.reopen();
        for (status, expected, told) in [
            (
                0,
                "Unreachable",
                "so the token may still be valid there: the wire was cut",
            ),
            (
                401,
                "Accepted",
                "the server accepted the logout (status 401 Unauthorized)",
            ),
            (
                200,
                "Accepted",
                "the server accepted the logout (status 200 OK)",
            ),
            (
                500,
                "Rejected",
                "so the token may still be valid there: check logout_path or the revocation URL",
            ),
        ] {
            client.login().unwrap();
            world.server.set(|state| state.logout_status = Some(status));
            let outcome = client.logout();
            assert!(
                format!("{outcome:?}").starts_with(expected),
                "{status}: {outcome:?}"
            );
            let closed = "the session is closed and its token is discarded; ";
            let text = outcome.to_string();
            assert!(
                text.starts_with(closed) && text.ends_with(told),
                "{status}: {text}"
            );
            assert_eq!(world.session.phase(), Phase::Closed);
            assert_eq!(denial(client.call("/devices")), Denial::Closed);
            world.session.reopen();
            world.advance(seconds(3600));
        }
    });
}

#[test]
fn t59_a_call_that_comes_while_the_token_is_renewed_waits() {
    let world = World::new();
    crate::herd::with_dead_token(&world);
    world.server.hold_logins(true);
    let mut tasks = tasks(&world, 1);
    let late = world.asynchronous();
    tasks.spawn(async move { late.execute(get("/devices"), &CallOptions::default()).await });
    tasks.run_until_stalled();
    assert_eq!((tasks.waiting(), world.server.calls()), (2, 1));
    world.server.hold_logins(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
    // The server itself fails on a request without a token.
    assert_eq!((world.server.logins(), world.server.calls()), (2, 3));
}

#[test]
fn t60_a_slow_call_blocks_no_others() {
    let world = World::new();
    world.blocking().login(&CallOptions::default()).unwrap();
    world.server.hold_calls(true);
    let slow = tasks(&world, 1);
    for client in world.clients() {
        assert_eq!(status(client.call("/free")), 200);
        world.session.reset();
        assert!(matches!(world.session.phase(), Phase::Open(_)));
    }
    world.server.hold_calls(false);
    assert!(
        slow.finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
}

#[test]
fn t60_a_held_login_does_not_lock_the_session() {
    let (world, tasks) = waiting();
    // Each of these takes the lock, on the very thread that drives the login.
    assert_eq!(world.session.phase(), Phase::LoggingIn);
    assert!(!world.session.record().has_token());
    assert!(format!("{:?}", world.session).contains("LoggingIn"));
    world.server.hold_logins(false);
    tasks.finish();
}

#[test]
fn a_login_that_was_closed_before_it_was_sent_is_not_sent() {
    for operation in ["lease", "load", "save"] {
        let worlds = || World::with_store(&TestStore::default());
        with_both(worlds, |world, client| {
            let session = world.session.clone();
            world.store.as_ref().unwrap().on_operation(move |what| {
                if what == operation {
                    session.close();
                }
            });
            assert_eq!(
                denial(client.call("/devices")),
                Denial::Closed,
                "closed at {operation}"
            );
            assert_eq!(world.server.logins(), 0, "closed at {operation}");
        });
    }
}

#[test]
fn t46_a_request_to_elsewhere_is_not_sent() {
    with_both(World::new, |world, client| {
        for url in [
            "https://evil.example/connect/services/devices",
            "http://connect.calamp.com/connect/services/devices",
            "https://connect.calamp.com:8443/devices",
            "/devices",
        ] {
            let request = || crate::support::transport::Req::to(url);
            for _ in 0..2 {
                let response = client.send(request(), &CallOptions::default());
                assert!(matches!(response, Err(CallError::Stamp(_))), "{url}");
            }
        }
        assert_eq!(world.server.calls(), 0);
        assert_eq!(
            world.server.logins(),
            0,
            "no login is spent on a call that can never be made"
        );
    });
}

#[test]
fn a_forgotten_route_is_watched_no_longer() {
    with_both(World::new, |world, client| {
        world.server.route("/secret", Route::Forbidden);
        why(client.call("/secret"));
        world.session.reset();
        world.server.route("/secret", Route::Status(200));
        world.advance(seconds(3600));
        assert_eq!(status(client.call("/secret")), 200);
    });
}
