//! Tokens that come with ordinary responses on their way into the store: soon, seldom, and in
//! nobody's way.

use ctc_driver::Clock;

use crate::support::server::Route;
use crate::support::store::{Fault, TestStore};
use crate::support::{Client, World, get, seconds, status, with_both};

/// A server that gives a new token with every response on `/turn`.
fn sliding() -> World {
    let world = World::with_store(&TestStore::default());
    world.server.route("/turn", Route::Rotate);
    world
}

fn store(world: &World) -> &TestStore {
    world.store.as_ref().expect("a store")
}

fn is_in_the_store(world: &World) -> bool {
    store(world).has_token_of(&world.session)
}

fn asynchronous(world: &World) -> Client {
    Client::Async(world.asynchronous(), world.clock.clone())
}

#[test]
fn a_rotated_token_is_saved_at_once_and_further_ones_once_a_minute() {
    with_both(sliding, |world, client| {
        client.login().unwrap();
        store(world).take_log();
        assert_eq!(status(client.call("/turn")), 200);
        assert!(is_in_the_store(world), "the first");
        assert_eq!(
            store(world).take_log(),
            ["lease", "load", "save", "release"]
        );
        for _ in 0..59 {
            world.advance(seconds(1));
            assert_eq!(status(client.call("/turn")), 200);
        }
        assert!(
            store(world).take_log().is_empty(),
            "nothing within the minute"
        );
        world.advance(seconds(1));
        // Any call will do.
        assert_eq!(status(client.call("/devices")), 200);
        assert!(is_in_the_store(world), "the newest");
        assert_eq!(store(world).take_log().len(), 4);
        assert_eq!(status(client.call("/devices")), 200);
        assert!(store(world).take_log().is_empty());
    });
}

#[test]
fn a_rotation_soon_after_a_login_is_saved_at_once() {
    with_both(sliding, |world, client| {
        client.login().unwrap();
        assert_eq!(status(client.call("/turn")), 200);
        world.advance(seconds(5));
        world.server.revoke_all();
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(status(client.call("/turn")), 200);
        assert!(is_in_the_store(world));
    });
}

#[test]
fn logout_takes_out_of_the_store_the_older_token_of_its_own() {
    with_both(sliding, |world, client| {
        client.login().unwrap();
        assert_eq!(status(client.call("/turn")), 200);
        assert_eq!(status(client.call("/turn")), 200);
        assert!(!is_in_the_store(world), "too soon after the last");
        client.logout();
        assert!(
            !store(world)
                .peek(&world.session.record_key())
                .unwrap()
                .has_token()
        );
    });
}

/// Also one that this session never wrote there.
#[test]
fn logout_takes_out_of_the_store_the_adopted_token_that_was_rotated_since() {
    with_both(sliding, |world, client| {
        let first = world.restarted();
        first
            .blocking()
            .login(&ctc_driver::CallOptions::default())
            .unwrap();
        client.login().unwrap();
        store(world).fail("save", Fault::Unavailable);
        assert_eq!(status(client.call("/turn")), 200);
        store(world).work_again();
        assert_eq!(world.session.counts().adopted, 1);
        client.logout();
        assert!(
            !store(world)
                .peek(&world.session.record_key())
                .unwrap()
                .has_token()
        );
    });
}

#[test]
fn a_rotation_that_finds_the_store_in_use_is_saved_a_minute_later() {
    with_both(sliding, |world, client| {
        client.login().unwrap();
        store(world).fail("lease", Fault::Busy);
        assert_eq!(status(client.call("/turn")), 200);
        store(world).work_again();
        assert_eq!(status(client.call("/devices")), 200);
        assert!(!is_in_the_store(world));
        world.advance(seconds(60));
        assert_eq!(status(client.call("/devices")), 200);
        assert!(is_in_the_store(world));
    });
}

#[test]
fn a_store_that_hangs_holds_an_answer_back_for_a_second_once_a_minute() {
    let world = sliding();
    let client = asynchronous(&world);
    client.login().unwrap();
    store(&world).hold(true);
    let took = || {
        let before = world.clock.now();
        assert_eq!(status(client.call("/turn")), 200);
        world.clock.now() - before
    };
    for _ in 0..3 {
        assert_eq!(took(), seconds(1));
        for _ in 0..10 {
            assert_eq!(took(), seconds(0));
        }
        world.advance(seconds(60));
    }
    store(&world).hold(false);
    assert_eq!(took(), seconds(0));
    assert!(is_in_the_store(&world));
}

#[test]
fn a_save_that_is_cut_off_is_made_up_for_a_minute_later() {
    let world = sliding();
    let client = asynchronous(&world);
    client.login().unwrap();
    store(&world).hold(true);
    let driver = world.asynchronous();
    let options = ctc_driver::CallOptions::default();
    let mut call = Box::pin(driver.execute(get("/turn"), &options));
    assert!(crate::support::run::until_stalled(call.as_mut()).is_pending());
    drop(call);
    store(&world).hold(false);
    assert!(!is_in_the_store(&world));
    world.advance(seconds(60));
    assert_eq!(status(client.call("/devices")), 200);
    assert!(is_in_the_store(&world));
}
