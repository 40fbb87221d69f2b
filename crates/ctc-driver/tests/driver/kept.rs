//! What is written to a store, and what is left alone there.

use ctc_driver::CallOptions;
use ctc_driver::ctc_core::{Credentials, Denial, SessionRecord};

use crate::support::run::Tasks;
use crate::support::server::Route;
use crate::support::store::{Fault, TestStore};
use crate::support::{World, denial, get, status, with_both};

fn stored() -> World {
    let world = World::with_store(&TestStore::default());
    world.server.route("/turn", Route::Rotate);
    world
}

fn store(world: &World) -> &TestStore {
    world.store.as_ref().expect("a store")
}

fn kept(world: &World) -> SessionRecord {
    store(world)
        .peek(&world.session.record_key())
        .expect("a record")
}

#[test]
fn a_rotated_token_is_not_written_while_the_store_is_in_use_or_broken() {
    for (fault, failures) in [(Fault::Busy, 0), (Fault::Unavailable, 1)] {
        with_both(stored, |world, client| {
            client.login().unwrap();
            let before = kept(world);
            store(world).fail("lease", fault);
            assert_eq!(status(client.call("/turn")), 200);
            assert!(kept(world) == before && !store(world).has_token_of(&world.session));
            assert_eq!(world.session.counts().store_failures, failures, "{fault:?}");
        });
    }
}

#[test]
fn a_rotated_token_takes_the_place_of_an_older_one_alone() {
    for (number, log) in [
        (1, &["lease", "load", "save", "release"] as &[_]),
        (2, &["lease", "load", "save", "release"]),
        (3, &["lease", "load", "release"]),
    ] {
        with_both(stored, |world, client| {
            client.login().unwrap();
            // Another process has its first, second or third token on record by now.
            let other = World {
                store: None,
                ..world.restarted()
            };
            other.blocking().login(&CallOptions::default()).unwrap();
            for _ in 1..number {
                assert_eq!(status(other.clients()[0].call("/turn")), 200);
            }
            store(world).plant(&other.session);
            store(world).take_log();
            assert_eq!(status(client.call("/turn")), 200);
            assert_eq!(store(world).take_log(), log, "{number}");
        });
    }
}

#[test]
fn a_record_never_goes_to_another_accounts_place() {
    let world = stored();
    let key = world.session.record_key();
    world.server.hold_logins(true);
    let mut tasks = Tasks::new();
    let driver = world.asynchronous();
    tasks.spawn(async move {
        driver
            .execute(get("/devices"), &CallOptions::default())
            .await
    });
    tasks.run_until_stalled();
    world
        .session
        .set_credentials(Credentials::new("bob@example.com", "s3cret!").unwrap());
    world.server.hold_logins(false);
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| status(response) == 200)
    );
    let ada = store(&world)
        .peek(&key)
        .expect("the login that was sent is on record");
    assert!(ada.key() == key && !ada.has_token());
    assert!(store(&world).has_token_of(&world.session));
}

/// It costs nothing: no other process must find it among the logins that were made.
#[test]
fn a_login_that_is_unwanted_by_the_time_the_store_was_asked_is_not_put_on_record() {
    for operation in ["lease", "load"] {
        with_both(stored, |world, client| {
            let session = world.session.clone();
            store(world).on_operation(move |what| {
                if what == operation {
                    session.close();
                }
            });
            assert_eq!(denial(client.call("/devices")), Denial::Closed);
            assert_eq!(
                store(world).take_log(),
                ["lease", "load", "release"],
                "closed at {operation}"
            );
            assert!(
                store(world).peek(&world.session.record_key()).is_none(),
                "closed at {operation}"
            );
        });
    }
}
