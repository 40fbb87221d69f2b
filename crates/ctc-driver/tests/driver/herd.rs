//! Many tasks, one login.

use std::sync::Arc;

use ctc_driver::ctc_core::{Denial, Settings};
use ctc_driver::{CallOptions, SharedSession};

use crate::support::clock::VirtualClock;
use crate::support::run::Tasks;
use crate::support::server::{Login, Seen, Server};
use crate::support::{Answer, World, denial, get, session_for, status, with_both};

const MANY: usize = 10_000;

fn spawn_calls(world: &World, tasks: &mut Tasks<Answer>, count: usize) {
    let driver = Arc::new(world.asynchronous());
    for _ in 0..count {
        let driver = Arc::clone(&driver);
        tasks.spawn(async move {
            driver
                .execute(get("/devices"), &CallOptions::default())
                .await
        });
    }
}

fn tokens(world: &World) -> Vec<String> {
    let token = |seen| {
        if let Seen::Call { token, .. } = seen {
            Some(token)
        } else {
            None
        }
    };
    let mut tokens: Vec<_> = world.server.seen().into_iter().filter_map(token).collect();
    tokens.dedup();
    tokens
}

#[test]
fn t01_ten_thousand_tasks_on_a_cold_start_make_one_login() {
    let world = World::new();
    world.server.hold_logins(true);
    let mut tasks = Tasks::new();
    spawn_calls(&world, &mut tasks, MANY);
    tasks.run_until_stalled();
    assert_eq!(
        (tasks.waiting(), world.server.logins(), world.server.calls()),
        (MANY, 1, 0)
    );
    world.server.hold_logins(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .map(status)
            .all(|status| status == 200)
    );
    assert_eq!(
        (world.server.logins(), tokens(&world)),
        (1, vec!["token-1".to_owned()])
    );
}

#[test]
fn guarantee_3_t02_t07_ten_thousand_tasks_on_a_dead_token_make_one_login() {
    let world = World::new();
    with_dead_token(&world);
    let mut tasks = Tasks::new();
    world.server.hold_calls(true);
    spawn_calls(&world, &mut tasks, MANY);
    tasks.run_until_stalled();
    world.server.hold_calls(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .map(status)
            .all(|status| status == 200)
    );
    let counts = world.session.counts();
    assert_eq!(
        (world.server.logins(), counts.unauthorized, counts.replays),
        (2, 10_000, 10_000)
    );
}

#[test]
fn guarantee_3_t23_t24_ten_thousand_tasks_with_refused_credentials_make_one_login() {
    let world = World::new();
    world.server.every_login(Login::Status(401));
    world.server.hold_logins(true);
    let mut tasks = Tasks::new();
    spawn_calls(&world, &mut tasks, MANY);
    tasks.run_until_stalled();
    world.server.hold_logins(false);
    let denials: Vec<_> = tasks.finish().into_iter().map(denial).collect();
    let rejected = Denial::rejected(http::StatusCode::UNAUTHORIZED);
    assert!(denials.len() == MANY && denials.iter().all(|denial| *denial == rejected));
    assert_eq!(
        (world.server.logins(), world.session.counts().denied),
        (1, 10_000)
    );
}

#[test]
fn t06_t09_every_clone_and_both_drivers_share_the_session() {
    let world = World::new();
    let (blocking, asynchronous) = (world.blocking(), world.asynchronous());
    for round in 1..=3 {
        world.server.revoke_all();
        for _ in 0..100 {
            let task = asynchronous.clone();
            let call = async move { task.execute(get("/devices"), &CallOptions::default()).await };
            assert_eq!(status(crate::support::run::run(&world.clock, call)), 200);
            let response = blocking
                .clone()
                .execute(get("/devices"), &CallOptions::default());
            assert_eq!(status(response), 200);
        }
        assert_eq!(world.server.logins(), round);
        world.advance(crate::support::seconds(3600));
    }
}

#[test]
fn t06_login_and_execute_take_the_same_flight() {
    let world = World::new();
    world.server.hold_logins(true);
    let mut tasks = Tasks::new();
    let driver = world.asynchronous();
    let again = driver.clone();
    tasks.spawn(async move { driver.login(&CallOptions::default()).await.is_ok() });
    tasks.spawn(async move {
        again
            .execute(get("/devices"), &CallOptions::default())
            .await
            .is_ok()
    });
    tasks.run_until_stalled();
    world.server.hold_logins(false);
    assert_eq!(tasks.finish(), [true, true]);
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn t10_two_accounts_never_mix() {
    let clock = VirtualClock::new();
    let worlds = ["ada", "bob"].map(|name| World {
        clock: clock.clone(),
        server: Server::with_prefix(if name == "ada" { "ada-" } else { "bob-" }),
        session: SharedSession::with_clock(session_for(name, Settings::default()), clock.clone()),
        store: None,
    });
    let [ada, bob] = &worlds;
    assert_ne!(ada.session.record_key(), bob.session.record_key());
    let store = crate::support::store::TestStore::default();
    let [ada, bob] = [ada, bob].map(|world| World {
        store: Some(store.clone()),
        ..world.clone()
    });
    for round in 0..4 {
        for world in [&ada, &bob, &ada] {
            if round % 2 == 1 {
                world.server.revoke_all();
                world.advance(crate::support::seconds(600));
            }
            for client in world.clients() {
                assert_eq!(status(client.call("/devices")), 200);
            }
        }
    }
    assert!(tokens(&ada).iter().all(|token| token.starts_with("ada-")));
    assert!(tokens(&bob).iter().all(|token| token.starts_with("bob-")));
}

#[test]
fn t83_a_herd_after_ten_hours_of_sleep_makes_one_login() {
    let world = World::new();
    with_dead_token(&world);
    world.advance(crate::support::seconds(36_000));
    let mut tasks = Tasks::new();
    spawn_calls(&world, &mut tasks, 1_000);
    assert!(
        tasks
            .finish()
            .into_iter()
            .map(status)
            .all(|status| status == 200)
    );
    assert_eq!(world.server.logins(), 2);
}

#[test]
fn the_counters_are_right() {
    with_both(World::new, |world, client| {
        assert_eq!(status(client.call("/devices")), 200);
        world.server.revoke_all();
        world.advance(crate::support::seconds(3600));
        assert_eq!(status(client.call("/devices")), 200);
        world
            .server
            .route("/turn", crate::support::server::Route::Rotate);
        assert_eq!(status(client.call("/turn")), 200);
        world.server.revoke_all();
        world.server.next_login(Login::Status(503));
        world.advance(crate::support::seconds(3600));
        denial(client.call("/devices"));
        let counts = world.session.counts();
        assert_eq!(
            (counts.calls, counts.unauthorized, counts.replays),
            (5, 2, 1)
        );
        assert_eq!(
            (counts.logins, counts.logins_failed, counts.denied),
            (3, 1, 0)
        );
        assert_eq!(
            (counts.rotations, counts.adopted, counts.store_failures),
            (1, 0, 0)
        );
    });
}

pub(crate) fn with_dead_token(world: &World) {
    world
        .blocking()
        .login(&CallOptions::default())
        .expect("a login");
    world.server.revoke_all();
}
