//! A limit on the logins of many sessions together.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ctc_driver::ctc_core::{Denial, LoginFailure, Settings};
use ctc_driver::{CallOptions, LoginLimiter, SessionEvent, SharedSession};

use crate::support::run::{Tasks, run_spawned, shut_down};
use crate::support::server::Seen;
use crate::support::store::TestStore;
use crate::support::{Client, World, denial, get, lock, seconds, session_for, status, with_both};

/// Another account of the same world, which shares the limiter.
fn account(world: &World, name: &str, limiter: &LoginLimiter) -> World {
    account_with(world, name, limiter, Settings::default())
}

fn account_with(world: &World, name: &str, limiter: &LoginLimiter, settings: Settings) -> World {
    let session = SharedSession::with_clock(session_for(name, settings), world.clock.clone());
    assert!(session.set_login_limiter(limiter));
    World {
        session,
        ..world.clone()
    }
}

fn users(world: &World) -> Vec<String> {
    let user = |seen| match seen {
        Seen::Login { form } => Some(form.split('&').next().unwrap_or_default().to_owned()),
        _ => None,
    };
    world.server.seen().into_iter().filter_map(user).collect()
}

fn name(number: usize) -> String {
    format!("u{number}")
}

/// Takes a limiter's only turn for a minute.
fn exhaust(world: &World, limiter: &LoginLimiter) {
    let other = account(world, "other", limiter).blocking();
    assert_eq!(
        status(other.execute(get("/devices"), &CallOptions::default())),
        200
    );
}

#[test]
fn a_herd_of_accounts_logs_in_at_the_limiters_pace_and_in_order() {
    let world = World::new();
    let limiter = LoginLimiter::new(5, 30);
    let options = CallOptions::new().max_wait(seconds(3600));
    let options = Arc::new(options);
    let mut tasks = Tasks::new();
    for number in 0..100 {
        let driver = account(&world, &name(number), &limiter).asynchronous();
        let options = Arc::clone(&options);
        tasks.spawn(async move { driver.execute(get("/devices"), &options).await });
    }
    let mut logins = Vec::new();
    while tasks.waiting() > 0 {
        tasks.run_until_stalled();
        let second = world.clock.elapsed().as_secs();
        logins.resize(world.server.logins(), second);
        if tasks.waiting() > 0 {
            assert!(world.clock.advance_to_next_timer(), "wedged");
        }
    }
    assert!(tasks.done.drain(..).map(status).all(|status| status == 200));
    let in_order: Vec<_> = (0..100)
        .map(|number| format!("username={}", name(number)))
        .collect();
    assert_eq!(users(&world), in_order);
    // 5 at once, then one every 2 seconds.
    assert_eq!((logins[4], logins[5], logins[99]), (0, 2, 190));
    assert_eq!((limiter.running(), limiter.waiting()), (0, 0));
    world
        .server
        .set(|state| assert_eq!(state.logins_at_most, 5));
}

#[test]
fn only_so_many_are_in_flight_however_slow_the_server_is() {
    let world = World::new();
    let limiter = LoginLimiter::new(3, 6000);
    world.server.hold_logins(true);
    let mut tasks = Tasks::new();
    for number in 0..10 {
        let driver = account(&world, &name(number), &limiter).asynchronous();
        tasks.spawn(async move {
            driver
                .execute(get("/devices"), &CallOptions::default())
                .await
        });
    }
    tasks.run_until_stalled();
    assert_eq!((limiter.running(), limiter.waiting()), (3, 7));
    assert_eq!(world.server.logins(), 3);
    world.server.hold_logins(false);
    while tasks.waiting() > 0 {
        tasks.run_until_stalled();
        world.clock.advance_to_next_timer();
    }
    world
        .server
        .set(|state| assert_eq!(state.logins_at_most, 3));
    assert_eq!(world.server.logins(), 10);
}

#[test]
fn a_login_that_has_waited_for_as_long_as_one_may_take_is_denied_and_nothing_is_sent() {
    with_both(World::new, |world, client| {
        let limiter = LoginLimiter::new(1, 1);
        exhaust(world, &limiter);
        let mut settings = Settings::default();
        settings.login_timeout = Duration::from_millis(40);
        let late = account_with(world, "late", &limiter, settings);
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        late.session
            .set_observer(move |_: &SharedSession, event: &SessionEvent<'_>| {
                lock(&heard).push(format!("{event:?}"));
            });
        let response = match client {
            // Threads wait in real time.
            Client::Blocking(_) => {
                let clock = late.clock.clone();
                let waiting = limiter.clone();
                let passes = thread::spawn(move || {
                    while waiting.waiting() == 0 {
                        thread::yield_now();
                    }
                    clock.advance(Duration::from_millis(40));
                });
                let response = late
                    .blocking()
                    .execute(get("/devices"), &CallOptions::default());
                passes.join().unwrap();
                response
            }
            Client::Async(..) => late.clients().into_iter().nth(1).unwrap().call("/devices"),
        };
        let told = denial(response);
        let Denial::BackingOff { cause, .. } = &told else {
            panic!("{told:?}");
        };
        assert_eq!(*cause, LoginFailure::Limited);
        let until = told.retry_after(late.session_now());
        assert_eq!(until, Some(seconds(60) - Duration::from_millis(40)));
        assert_eq!(users(world), ["username=other"]);
        assert_eq!(late.session.counts().queued, 1);
        assert!(lock(&events)[0].starts_with("LoginQueued { ahead: 0 }"));
        assert_eq!((limiter.running(), limiter.waiting()), (0, 0));
        // At that time there is room.
        world.advance(seconds(60));
        let which = usize::from(matches!(client, Client::Async(..)));
        let client = late.clients().into_iter().nth(which).unwrap();
        assert_eq!(status(client.call("/devices")), 200);
    });
}

#[test]
fn a_thread_in_line_is_called_when_its_turn_has_come() {
    let world = World::new();
    let limiter = LoginLimiter::new(1, 60_000);
    world.server.hold_logins(true);
    let call = |name: &str| {
        let driver = account(&world, name, &limiter).blocking();
        thread::spawn(move || driver.execute(get("/devices"), &CallOptions::default()))
    };
    let first = call("first");
    world.server.wait_until(|state| state.logins_now == 1);
    let second = call("second");
    while limiter.waiting() == 0 {
        thread::yield_now();
    }
    world.advance(seconds(1));
    world.server.hold_logins(false);
    for thread in [first, second] {
        assert_eq!(status(thread.join().unwrap()), 200);
    }
    assert_eq!(users(&world), ["username=first", "username=second"]);
    world
        .server
        .set(|state| assert_eq!(state.logins_at_most, 1));
}

#[test]
fn a_place_is_free_again_when_its_login_is_dropped_closed_or_without_a_client() {
    type End = fn(&World, &mut Tasks<()>);
    let ends: [End; 3] = [
        |_, _| assert_eq!(shut_down(), 1),
        |waiting, _| waiting.session.close(),
        // The last client goes: it is looked at when the turn comes.
        |waiting, tasks| {
            *tasks = Tasks::new();
            waiting.advance(seconds(60));
        },
    ];
    for (which, end) in ends.into_iter().enumerate() {
        let world = World::new();
        let limiter = LoginLimiter::new(1, 1);
        exhaust(&world, &limiter);
        let waiting = account(&world, "waiting", &limiter);
        let driver = waiting.asynchronous();
        let mut tasks = Tasks::new();
        tasks.spawn(async move {
            drop(driver.execute(get("/"), &CallOptions::default()).await);
        });
        tasks.run_until_stalled();
        assert_eq!(limiter.waiting(), 1, "{which}");
        end(&waiting, &mut tasks);
        run_spawned();
        assert_eq!((limiter.running(), limiter.waiting()), (0, 0), "{which}");
        world.advance(seconds(60));
        exhaust(&world, &limiter);
        assert_eq!(users(&world).len(), 2, "{which}");
    }
}

#[test]
fn a_token_of_the_store_needs_no_turn_and_no_lease_is_held_in_line() {
    let world = World::with_store(&TestStore::default());
    let limiter = LoginLimiter::new(1, 1);
    exhaust(&world, &limiter);
    let ours = account(&world, "ada@example.com", &limiter);
    let driver = ours.asynchronous();
    let mut tasks = Tasks::new();
    tasks.spawn(async move {
        driver
            .execute(get("/devices"), &CallOptions::default())
            .await
    });
    tasks.run_until_stalled();
    assert_eq!(limiter.waiting(), 1);
    // Another process, which is not in line, logs in meanwhile.
    let elsewhere = world.restarted();
    let response = elsewhere
        .blocking()
        .execute(get("/devices"), &CallOptions::default());
    assert_eq!(status(response), 200);
    world.advance(seconds(60));
    let mut responses = tasks.finish();
    assert_eq!(status(responses.remove(0)), 200);
    assert_eq!(users(&world).len(), 2);
    assert_eq!(ours.session.counts().adopted, 1);
    // The turn was given back: no need to wait for another minute.
    exhaust(&world, &limiter);

    let next = account(&world, "ada@example.com", &limiter);
    for client in next.clients() {
        assert_eq!(status(client.call("/devices")), 200);
    }
    assert_eq!(next.session.counts().queued, 0);
}

#[test]
fn a_renewal_waits_for_its_turn_while_the_token_serves() {
    let world = World::new();
    let limiter = LoginLimiter::new(1, 1);
    let ours = account(&world, "ada@example.com", &limiter);
    let client = ours.clients().into_iter().nth(1).unwrap();
    assert_eq!(status(client.call("/devices")), 200);
    let error = client.renew().unwrap_err();
    let Denial::BackingOff { cause, .. } = error.denial() else {
        panic!("{error:?}");
    };
    assert_eq!(*cause, LoginFailure::Limited);
    assert_eq!(status(client.call("/devices")), 200);
    assert_eq!(world.server.logins(), 1);
}
