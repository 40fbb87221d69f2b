//! Renewal ahead of a token's known end, as the drivers see to it.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ctc_driver::ctc_core::{EarlyRenewal, Login as LoginKind, OAuth, Settings, TokenAttachment};
use ctc_driver::{AsyncDriver, CallOptions, Clock, SessionEvent, SharedSession, SystemClock};

use crate::support::run::{Tasks, run, run_spawned, shut_down};
use crate::support::server::Login;
use crate::support::store::TestStore;
use crate::support::transport::Async;
use crate::support::{World, get, lock, seconds, session_for, status};

const DAY: u64 = 86_400;
/// Of a day: no token is renewed before the first, each is due by the second, and after the third
/// callers wait.
const EARLIEST: u64 = DAY - DAY / 10;
const LATEST: u64 = DAY - DAY / 20;
const MANDATORY: u64 = DAY - DAY / 50;

fn settings(seed: u64) -> Settings {
    let mut settings = Settings::default();
    settings.login = LoginKind::OAuth(OAuth::us());
    // As the scripted server reads it.
    settings.attachment = Some(TokenAttachment::Cookie);
    settings.seed = seed;
    settings
}

fn world(life: u64, settings: Settings) -> World {
    let world = World::with_settings(settings);
    let oauth = Some((life, world.clock.clone()));
    world.server.set(|state| state.oauth = oauth);
    world
}

fn called(world: &World, driver: &AsyncDriver<Async>) -> u16 {
    let options = CallOptions::default();
    status(run(&world.clock, driver.execute(get("/devices"), &options)))
}

/// Lets the alarm see what time it is.
fn at(world: &World, second: u64) {
    world.advance(seconds(second) - world.clock.elapsed());
    run_spawned();
}

fn unauthorized(world: &World) -> usize {
    world.server.set(|state| state.unauthorized)
}

#[test]
fn a_day_with_fifty_processes_on_one_store_is_two_logins_and_no_401() {
    let first = world(DAY, settings(0));
    let store = TestStore::default();
    let processes: Vec<_> = (0..50)
        .map(|seed| {
            let session = session_for("ada@example.com", settings(seed));
            World {
                session: SharedSession::with_clock(session, first.clock.clone()),
                store: Some(store.clone()),
                ..first.clone()
            }
            .asynchronous()
        })
        .collect();
    let options = Arc::new(CallOptions::default());
    for round in 0..DAY / 300 {
        // They all call at one time, and whatever login they begin is under way at one time.
        first.server.hold_logins(true);
        let mut tasks = Tasks::new();
        for driver in &processes {
            let (driver, options) = (driver.clone(), Arc::clone(&options));
            tasks.spawn(async move { status(driver.execute(get("/devices"), &options).await) });
        }
        tasks.run_until_stalled();
        first.server.hold_logins(false);
        assert!(tasks.finish().iter().all(|status| *status == 200));
        run_spawned();
        at(&first, (round + 1) * 300);
    }
    assert!(first.clock.elapsed() >= seconds(DAY));
    assert_eq!((first.server.logins(), unauthorized(&first)), (2, 0));
    assert_eq!(first.server.set(|state| state.logins_at_most), 1);
    let adopted: u64 = processes
        .iter()
        .map(|driver| driver.session().counts().adopted)
        .sum();
    assert_eq!(adopted, 2 * 49, "all others took it from the store");
    shut_down();
}

#[test]
fn in_the_first_window_a_task_renews_and_no_caller_waits() {
    let world = world(DAY, settings(0));
    let driver = world.asynchronous();
    assert_eq!(called(&world, &driver), 200);
    let ends = world.session.token_ends().unwrap();
    at(&world, EARLIEST - 1);
    assert_eq!((called(&world, &driver), world.server.logins()), (200, 1));
    at(&world, LATEST);
    world.server.hold_logins(true);
    let began = world.clock.elapsed();
    for _ in 0..10 {
        assert_eq!(called(&world, &driver), 200);
    }
    assert_eq!((world.server.logins(), world.clock.elapsed()), (2, began));
    world.server.hold_logins(false);
    run_spawned();
    assert!(world.session.token_ends().unwrap() > ends);
    assert_eq!(called(&world, &driver), 200);
    assert_eq!((world.server.logins(), unauthorized(&world)), (2, 0));
    // And the alarm goes on with the new token.
    at(&world, LATEST + LATEST);
    assert_eq!((called(&world, &driver), world.server.logins()), (200, 3));
    shut_down();
}

/// Input 38.
#[test]
fn a_hundred_calls_at_the_second_the_token_ends_are_one_login_and_no_401() {
    for second in [MANDATORY, DAY - 1, DAY, DAY + 1] {
        let world = world(DAY, settings(0));
        let driver = world.asynchronous();
        assert_eq!(called(&world, &driver), 200);
        at(&world, second);
        world.server.hold_logins(true);
        let mut tasks = Tasks::new();
        for _ in 0..100 {
            let driver = driver.clone();
            tasks.spawn(async move {
                status(
                    driver
                        .execute(get("/devices"), &CallOptions::default())
                        .await,
                )
            });
        }
        tasks.run_until_stalled();
        assert_eq!(
            (tasks.waiting(), world.server.logins()),
            (100, 2),
            "{second}"
        );
        world.server.hold_logins(false);
        assert_eq!(tasks.finish(), [200; 100]);
        assert_eq!((world.server.logins(), unauthorized(&world)), (2, 0));
        shut_down();
    }
}

/// T36. Each failure that a server can be the cause of.
#[test]
fn t36_a_renewal_that_fails_keeps_the_token_and_is_tried_again_after_the_pause() {
    let failures = [
        Login::Status(400),
        Login::Status(503),
        Login::RetryAfter(429, "60"),
        Login::NotSent,
        Login::MaybeSent,
        Login::Panic,
    ];
    for failure in failures {
        for second in [LATEST, MANDATORY] {
            let world = world(DAY, settings(0));
            let driver = world.asynchronous();
            assert_eq!(called(&world, &driver), 200);
            at(&world, second);
            world.server.next_login(failure.clone());
            for _ in 0..20 {
                assert_eq!(called(&world, &driver), 200, "{failure:?}");
                run_spawned();
            }
            assert_eq!(world.server.logins(), 2, "{failure:?}");
            if matches!(failure, Login::Status(400)) {
                continue; // a rejection: no try is of use
            }
            // The alarm waits for the end of the pause, which nobody asked for.
            at(&world, second + 130);
            assert_eq!(called(&world, &driver), 200);
            run_spawned();
            assert_eq!(
                (world.server.logins(), unauthorized(&world)),
                (3, 0),
                "{failure:?}"
            );
            shut_down();
        }
    }
}

/// Whoever comes in the second window waits for the login that began in the first.
#[test]
fn a_renewal_that_takes_until_the_second_window_is_waited_for() {
    let mut settings = settings(0);
    settings.login_timeout = seconds(DAY / 20);
    settings.lease = seconds(DAY / 10);
    let world = world(DAY, settings);
    let driver = world.asynchronous();
    assert_eq!(called(&world, &driver), 200);
    at(&world, LATEST);
    world.server.hold_logins(true);
    assert_eq!(called(&world, &driver), 200);
    at(&world, MANDATORY);
    let mut tasks = Tasks::new();
    tasks.spawn(async move {
        status(
            driver
                .execute(get("/devices"), &CallOptions::default())
                .await,
        )
    });
    tasks.run_until_stalled();
    assert_eq!((tasks.waiting(), world.server.logins()), (1, 2));
    world.server.hold_logins(false);
    assert_eq!(tasks.finish(), [200]);
    shut_down();
}

/// No call reads a clock, or takes the lock, while nothing is due.
#[test]
fn a_call_reads_no_clock_before_the_renewal_is_due() {
    let world = world(DAY, settings(0));
    let driver = world.asynchronous();
    assert_eq!(called(&world, &driver), 200);
    at(&world, DAY / 2);
    let reads = world.clock.reads();
    for _ in 0..100 {
        assert_eq!(called(&world, &driver), 200);
    }
    assert_eq!(world.clock.reads(), reads);
    shut_down();
}

/// However often it moves, and with nobody left to hear it.
#[test]
fn the_alarm_rings_once_for_each_token_and_does_not_keep_its_session() {
    let world = world(DAY, settings(0));
    let driver = world.asynchronous();
    for _ in 0..2 {
        assert_eq!(called(&world, &driver), 200);
        for _ in 0..10 {
            world.session.reset();
        }
        assert_eq!(world.clock.alarms(), 1);
        world.session.close();
        world.session.reopen();
        world.clock.forget_alarms();
        world.advance(seconds(1));
    }
    assert_eq!(called(&world, &driver), 200);
    let observer = Arc::new(());
    let held = Arc::clone(&observer);
    world
        .session
        .set_observer(move |_: &SharedSession, _: &SessionEvent<'_>| {
            let _ = &held;
        });
    let clock = world.clock.clone();
    drop((driver, world));
    assert_eq!((clock.alarms(), Arc::strong_count(&observer)), (1, 1));
    clock.advance(seconds(DAY));
    assert_eq!(clock.alarms(), 0);
}

/// No runtime is needed for it: the next caller's renews.
#[test]
fn the_alarm_rings_when_the_runtime_is_gone() {
    let world = world(DAY, settings(0));
    let driver = world.asynchronous();
    assert_eq!(called(&world, &driver), 200);
    shut_down();
    at(&world, DAY + 1);
    assert_eq!(called(&world, &driver), 200);
    assert_eq!((world.server.logins(), unauthorized(&world)), (2, 0));
}

#[test]
fn without_an_alarm_the_token_is_renewed_after_its_401() {
    let world = world(DAY, settings(0));
    let driver = world.asynchronous();
    assert_eq!(called(&world, &driver), 200);
    world.clock.forget_alarms();
    at(&world, DAY + 1);
    assert_eq!(called(&world, &driver), 200);
    assert_eq!((world.server.logins(), unauthorized(&world)), (2, 1));
    at(&world, DAY + 1 + LATEST);
    assert_eq!(called(&world, &driver), 200);
    run_spawned();
    assert_eq!((world.server.logins(), unauthorized(&world)), (3, 1));
}

/// A runtime that runs nothing more costs no caller a token that is good.
#[test]
fn a_renewal_that_no_runtime_runs_denies_no_caller() {
    let world = world(DAY, settings(0));
    let driver = world.asynchronous();
    assert_eq!(called(&world, &driver), 200);
    at(&world, MANDATORY);
    for _ in 0..20 {
        let options = CallOptions::default();
        let mut call = std::pin::pin!(driver.execute(get("/devices"), &options));
        let response = loop {
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            shut_down();
            if let Poll::Ready(response) = polled {
                break response;
            }
        };
        assert_eq!(status(response), 200);
    }
    assert_eq!(world.server.logins(), 1);
}

/// By default such a token is used until its 401; and where it is not, the budget holds.
#[test]
fn a_life_of_five_seconds_never_means_a_login_a_call() {
    for shortest_life in [None, Some(Duration::ZERO)] {
        let mut settings = settings(0);
        if let Some(life) = shortest_life {
            let mut renewal = EarlyRenewal::default();
            renewal.shortest_life = life;
            settings.early_renewal = Some(renewal);
        }
        let world = world(5, settings);
        let driver = world.asynchronous();
        let options = CallOptions::default();
        for second in 0..1200 {
            at(&world, second);
            let mut call = std::pin::pin!(driver.execute(get("/devices"), &options));
            // A denial or a 401 is right, too.
            let _ = crate::support::run::until_stalled(call.as_mut());
        }
        let logins = world.server.logins();
        assert!((3..=13).contains(&logins), "{shortest_life:?}: {logins}");
        shut_down();
    }
}

#[test]
fn in_the_blocking_driver_only_the_elected_thread_waits() {
    let mut rules = EarlyRenewal::default();
    (rules.advised_percent, rules.mandatory_percent) = (100, 0);
    rules.shortest_life = Duration::ZERO;
    let mut settings = settings(0);
    settings.early_renewal = Some(rules);
    let world = world(DAY, settings);
    let driver = world.blocking();
    assert_eq!(
        status(driver.execute(get("/devices"), &CallOptions::default())),
        200
    );
    world.advance(seconds(DAY / 2 + 1));
    world.server.hold_logins(true);
    std::thread::scope(|scope| {
        let elected =
            scope.spawn(|| status(driver.execute(get("/devices"), &CallOptions::default())));
        world.server.wait_until(|state| state.logins_now == 1);
        for _ in 0..10 {
            assert_eq!(
                status(driver.execute(get("/devices"), &CallOptions::default())),
                200
            );
        }
        assert!(!elected.is_finished());
        world.server.hold_logins(false);
        assert_eq!(elected.join().unwrap(), 200);
    });
    assert_eq!((world.server.logins(), unauthorized(&world)), (2, 0));
}

/// Its calls are all that it has: no task and no thread of its own renews.
#[test]
fn in_the_blocking_driver_a_call_renews_each_token_in_its_turn() {
    let world = world(DAY, settings(0));
    let driver = world.blocking();
    let call = || status(driver.execute(get("/devices"), &CallOptions::default()));
    assert_eq!(call(), 200);
    for renewal in 1..=3 {
        at(&world, renewal * LATEST);
        assert_eq!((call(), call()), (200, 200));
        assert_eq!(world.server.logins() as u64, 1 + renewal);
    }
    assert_eq!(unauthorized(&world), 0);
}

/// By the machine's own clock on purpose: nothing else shows that its thread wakes the alarm. The
/// alarm's time has come already, so that the test waits for the thread, and for no time.
#[test]
fn the_clock_of_the_machine_wakes_the_alarm() {
    struct Told(Mutex<Sender<Option<String>>>);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            let thread = std::thread::current().name().map(str::to_owned);
            let _ = lock(&self.0).send(thread);
        }
    }
    let (told, woken) = channel();
    let alarm = Waker::from(Arc::new(Told(Mutex::new(told))));
    SystemClock.wake_at(SystemClock.now(), alarm);
    let thread = woken.recv_timeout(seconds(20)).expect("it is woken");
    assert_eq!(thread.as_deref(), Some("ctc-timer"));
}
