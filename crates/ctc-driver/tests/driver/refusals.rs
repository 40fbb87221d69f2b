//! Logins that fail: who hears of it, who tries again, and when.

use std::error::Error;
use std::num::NonZeroU32;

use ctc_driver::ctc_core::{Denial, LoginFailure, Phase, Settings};
use ctc_driver::{CallError, CallOptions, Driver, SharedSession};

use crate::support::run::Tasks;
use crate::support::server::{Login, Seen};
use crate::support::transport::Blocking;
use crate::support::{World, credentials, denial, get, seconds, session_for, status, with_both};

fn patient(max_wait: u64) -> CallOptions {
    let mut options = CallOptions::default();
    options.max_wait = seconds(max_wait);
    options
}

#[test]
fn t23_t58_a_wrong_password_is_sent_once_in_ten_minutes() {
    with_both(World::new, |world, client| {
        world.server.every_login(Login::Status(401));
        for _ in 0..600 {
            let Err(CallError::Denied(denied)) = client.call("/devices") else {
                panic!("no login, no call")
            };
            assert!(matches!(denied.denial(), Denial::Rejected { .. }));
            assert_eq!(denied.retry_after(), None);
            world.advance(seconds(1));
        }
        assert_eq!((world.server.logins(), world.server.calls()), (1, 0));
    });
}

#[test]
fn t25_a_password_changed_elsewhere() {
    with_both(World::new, |world, client| {
        assert_eq!(status(client.call("/devices")), 200);
        world.server.revoke_all();
        world.server.next_login(Login::Status(403));
        world.advance(seconds(3600));
        denial(client.call("/devices"));
        denial(client.call("/devices"));
        assert_eq!(world.server.logins(), 2);
        world.session.set_credentials(credentials("n3w!"));
        assert_eq!(status(client.call("/devices")), 200);
        let last = world
            .server
            .seen()
            .into_iter()
            .rfind(|seen| matches!(seen, Seen::Login { .. }))
            .unwrap();
        assert_eq!(
            last,
            Seen::Login {
                form: "username=ada%40example.com&password=n3w%21".to_owned()
            }
        );
    });
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
fn t28_retry_after_is_obeyed() {
    with_both(World::new, |world, client| {
        world.server.next_login(Login::RetryAfter(429, "46"));
        denial(client.call("/devices"));
        world.advance(seconds(45));
        denial(client.call("/devices"));
        assert_eq!(world.server.logins(), 1);
        world.advance(seconds(1));
        assert_eq!(status(client.call("/devices")), 200);
    });
}

#[test]
fn t30_a_pause_fails_at_once_and_says_when_to_come_back() {
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
fn t33_thirty_days_of_hourly_expiry_and_faults_stay_within_the_budget() {
    let mut settings = Settings::default();
    settings.fair_use.burst = NonZeroU32::new(4).unwrap();
    settings.fair_use.refill = seconds(24 * 3600 / 96);
    let faulty = || World::with_settings(settings.clone());
    with_both(faulty, |world, client| {
        let mut today = 0;
        for minute in 0..30 * 24 * 60_u64 {
            let hour = minute / 60;
            world.server.logins_are_fine();
            if hour % 7 == 0 {
                world.server.every_login(Login::Status(503));
            }
            // Every fifth day the server forgets its tokens all the time.
            if minute % 60 == 0 || (hour / 24) % 5 == 0 {
                world.server.revoke_all();
            }
            match client.call("/devices") {
                Ok(response) => assert!([200, 401].contains(&response.status().as_u16())),
                Err(CallError::Denied(denied)) => assert!(denied.retry_after().is_some()),
                Err(other) => panic!("{other}"),
            }
            world.advance(seconds(60));
            if minute % (24 * 60) == 0 {
                let logins = world.server.logins();
                assert!(logins - today <= 100, "{} logins in a day", logins - today);
                today = logins;
            }
        }
        assert!(today > 30 * 10, "it logs in when it may: {today}");
    });
}

#[test]
fn t35_nothing_is_latched_for_ever() {
    with_both(World::new, |world, client| {
        world.server.next_login(Login::Status(403));
        denial(client.call("/devices"));
        world.session.reset();
        assert_eq!(status(client.call("/devices")), 200);
        world.server.revoke_all();
        world.server.next_login(Login::RetryAfter(503, "3600"));
        world.advance(seconds(3600));
        denial(client.call("/devices"));
        world.session.set_credentials(credentials("n3w!"));
        assert_eq!(status(client.call("/devices")), 200);
    });
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
