//! What is told of a store that fails.

use std::sync::{Arc, Mutex};

use ctc_driver::{LogoutOutcome, SessionEvent, SharedSession};

use crate::support::store::{Fault, TestStore};
use crate::support::{Client, World, lock, seconds, status, with_both};

type Told = Arc<Mutex<Vec<&'static str>>>;

/// What the observer hears of the store: `warning`, `again` or `busy`.
fn listen(world: &World) -> Told {
    let told = Told::default();
    let notes = Arc::clone(&told);
    world.session.set_observer(
        move |_: &SharedSession, event: &SessionEvent<'_>| match event {
            SessionEvent::StoreFailed { first, .. } => {
                lock(&notes).push(if *first { "warning" } else { "again" });
            }
            SessionEvent::StoreBusy => lock(&notes).push("busy"),
            _ => {}
        },
    );
    told
}

fn take(told: &Told) -> Vec<&'static str> {
    std::mem::take(&mut lock(told))
}

fn stored() -> World {
    World::with_store(&TestStore::default())
}

fn log_in_anew(world: &World, client: &Client) {
    world.server.revoke_all();
    world.advance(seconds(3600));
    assert_eq!(status(client.call("/devices")), 200);
}

#[test]
fn t73_a_store_is_warned_of_each_time_that_it_goes_down() {
    with_both(stored, |world, client| {
        let (told, store) = (listen(world), world.store.clone().unwrap());
        for _ in 0..3 {
            log_in_anew(world, client);
            assert_eq!(take(&told), [""; 0]);
            store.fail("lease", Fault::Unavailable);
            log_in_anew(world, client);
            log_in_anew(world, client);
            assert_eq!(take(&told), ["warning", "again"]);
            store.work_again();
        }
    });
}

/// A part of it works all the time.
#[test]
fn t73_a_store_that_fails_in_one_thing_is_warned_of_once() {
    for operation in ["load", "save", "release"] {
        with_both(stored, |world, client| {
            let (told, store) = (listen(world), world.store.clone().unwrap());
            store.fail(operation, Fault::Unavailable);
            (0..3).for_each(|_| log_in_anew(world, client));
            let told = take(&told);
            assert!(
                told[0] == "warning" && told[1..].iter().all(|told| *told == "again"),
                "{told:?}"
            );
        });
    }
}

#[test]
fn a_logout_beside_another_processs_login_is_no_failure_of_the_store() {
    with_both(stored, |world, client| {
        let (told, store) = (listen(world), world.store.clone().unwrap());
        client.login().unwrap();
        store.fail("lease", Fault::Busy);
        assert!(matches!(client.logout(), LogoutOutcome::Accepted(_)));
        assert_eq!(
            (take(&told), world.session.counts().store_failures),
            (vec!["busy"], 0)
        );
        store.work_again();
        world.session.reopen();
        client.login().unwrap();
        store.fail("save", Fault::Unavailable);
        log_in_anew(world, client);
        assert_eq!(take(&told)[0], "warning", "the one warning is not used up");
    });
}
