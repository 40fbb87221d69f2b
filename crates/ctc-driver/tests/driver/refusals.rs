//! Logins that fail: who hears of it, who tries again, and when.

use std::error::Error;

use ctc_driver::ctc_core::{Denial, LoginFailure, Phase, Settings};
use ctc_driver::{CallError, CallOptions, Driver, SharedSession};

use crate::support::run::Tasks;
use crate::support::server::Login;
use crate::support::transport::Blocking;
use crate::support::{World, credentials, denial, get, seconds, session_for, status, with_both};

fn patient(max_wait: u64) -> CallOptions {
    let mut options = CallOptions::default();
    options.max_wait = seconds(max_wait);
    options
}

#[test]
fn t27_what_an_earlier_login_failed_with_is_no_cause_of_an_answer() {
    with_both(World::new, |world, client| {
        for (login, has_cause) in [(Login::MaybeSent, true), (Login::Status(503), false)] {
            world.server.next_login(login);
            let Err(CallError::Denied(denied)) = client.call("/devices") else {
                panic!("no login, no call")
            };
            assert_eq!(denied.source().is_some(), has_cause);
            world.advance(seconds(60));
        }
    });
}

#[test]
fn t27_no_answer_is_a_pause_with_its_cause_and_no_refusal() {
    with_both(World::new, |world, client| {
        world.server.next_login(Login::MaybeSent);
        let Err(CallError::Denied(denied)) = client.call("/devices") else {
            panic!("no login, no call")
        };
        assert!(matches!(
            denied.denial(),
            Denial::BackingOff {
                cause: LoginFailure::MaybeSent,
                ..
            }
        ));
        assert_eq!(denied.source().unwrap().to_string(), "the wire was cut");
        assert!(denied.retry_after().unwrap() <= seconds(5));
        world.advance(seconds(5));
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(world.server.logins(), 2);
    });
}

#[test]
fn t27_logins_that_may_have_been_sent_are_charged_and_the_others_not() {
    for (response, expected) in [(Login::MaybeSent, 3), (Login::NotSent, 8)] {
        with_both(World::new, |world, client| {
            world.server.every_login(response.clone());
            for _ in 0..8 {
                denial(client.call("/devices"));
                world.session.reset();
            }
            assert_eq!(world.server.logins(), expected);
        });
    }
}

#[test]
fn t28_t30_a_pause_fails_at_once_and_says_when_to_come_back() {
    with_both(World::new, |world, client| {
        world.server.next_login(Login::RetryAfter(503, "60"));
        for _ in 0..3 {
            let before = world.clock.elapsed();
            let Err(CallError::Denied(denied)) = client.call("/devices") else {
                panic!("denied")
            };
            assert_eq!(denied.retry_after(), Some(seconds(60)));
            assert_eq!(world.clock.elapsed(), before, "nobody waited");
        }
        assert!(matches!(world.session.phase(), Phase::BackingOff { .. }));
        world.advance(seconds(59));
        denial(client.call("/devices"));
        assert_eq!(world.server.logins(), 1);
        world.advance(seconds(1));
        assert_eq!(status(client.call("/devices")), 200);
    });
}

#[test]
fn a_denial_states_the_whole_seconds_until_a_retry_can_succeed() {
    with_both(World::new, |world, client| {
        world.server.next_login(Login::RetryAfter(503, "60"));
        let mut denied = client.login().unwrap_err();
        for told in ["; try again in 60 s", "; try again in 59 s"] {
            assert_eq!(denied.to_string(), denied.denial().to_string() + told);
            world.advance(std::time::Duration::from_millis(1_500));
            denied = client.login().unwrap_err();
        }
        world.session.close();
        let denied = client.login().unwrap_err();
        assert_eq!(denied.to_string(), Denial::Closed.to_string());
    });
}

#[test]
fn t30_waiting_is_opt_in_and_bounded() {
    let world = World::new();
    let client = &world.clients()[1];
    world.server.next_login(Login::RetryAfter(503, "60"));
    assert!(matches!(
        denial(client.send(get("/devices"), &patient(59))),
        Denial::BackingOff { .. }
    ));
    assert_eq!(world.clock.elapsed(), seconds(0));
    assert_eq!(status(client.send(get("/devices"), &patient(60))), 200);
    assert_eq!(world.clock.elapsed(), seconds(60));
}

#[test]
fn t30_a_thread_can_wait_too() {
    let pause = std::time::Duration::from_millis(20);
    let mut settings = Settings::default();
    settings.fair_use.backoff = pause;
    let world = World::new();
    let session = SharedSession::new(session_for("ada", settings));
    let driver = Driver::new(
        session,
        Blocking(world.server.clone(), world.clock.clone()),
        None,
    );
    world.server.next_login(Login::Status(503));
    // Enough for one pause: a thread that asked again without having waited would have none
    // left.
    assert_eq!(
        status(driver.execute(get("/devices"), &CallOptions::new().max_wait(pause))),
        200
    );
    assert_eq!(world.server.logins(), 2);
}

/// Only time that went by counts against `max_wait`, however often the session changes meanwhile.
#[test]
fn t30_being_woken_early_costs_no_patience() {
    let world = World::new();
    let client = &world.clients()[1];
    for _ in 0..3 {
        world.server.next_login(Login::Status(503));
        denial(client.call("/devices"));
        world.session.reset();
    }
    assert!(matches!(
        denial(client.call("/devices")),
        Denial::BudgetSpent { .. }
    ));
    let mut tasks = Tasks::new();
    let driver = world.asynchronous();
    tasks.spawn(async move { driver.execute(get("/devices"), &patient(121)).await });
    for _ in 0..5 {
        tasks.run_until_stalled();
        world.session.reset();
        world.advance(seconds(10));
    }
    tasks.run_until_stalled();
    assert_eq!(tasks.waiting(), 1, "gave up too early");
    world.advance(seconds(70));
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
}

#[test]
fn t30_new_credentials_end_the_wait() {
    let world = World::new();
    world.server.next_login(Login::Status(503));
    let mut tasks = Tasks::new();
    let driver = world.asynchronous();
    tasks.spawn(async move { driver.execute(get("/devices"), &patient(3600)).await });
    tasks.run_until_stalled();
    assert_eq!(tasks.waiting(), 1);
    world.session.set_credentials(credentials("n3w!"));
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
}

#[test]
fn t56_a_login_that_hangs_is_over_after_its_time_out() {
    with_both(World::new, |world, client| {
        world.server.next_login(Login::Hang);
        let denial = denial(client.call("/devices"));
        assert!(matches!(
            denial,
            Denial::BackingOff {
                cause: LoginFailure::MaybeSent,
                ..
            }
        ));
        assert_eq!(world.clock.elapsed(), seconds(30));
        world
            .server
            .set(|state| assert_eq!(state.logins_now, 0, "the slot is free again"));
        world.advance(seconds(5));
        assert_eq!(status(client.call("/devices")), 200);
    });
}

#[test]
fn t56_every_caller_waiting_for_a_hanging_login_is_told() {
    let world = World::new();
    world.server.next_login(Login::Hang);
    let mut tasks = Tasks::new();
    for _ in 0..1_000 {
        let driver = world.asynchronous();
        tasks.spawn(async move {
            driver
                .execute(get("/devices"), &CallOptions::default())
                .await
        });
    }
    tasks.run_until_stalled();
    assert_eq!(tasks.waiting(), 1_000);
    world.advance(seconds(30));
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| matches!(denial(response), Denial::BackingOff { .. }))
    );
    assert_eq!(world.server.logins(), 1);
}
