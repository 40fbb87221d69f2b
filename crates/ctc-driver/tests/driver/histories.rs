//! What one process puts on record is not lost through another. Each case was found by the
//! simulator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ctc_driver::CallOptions;
use ctc_driver::ctc_core::{Credentials, Denial, Settings};

use crate::support::run::Tasks;
use crate::support::server::{Login, Route};
use crate::support::store::{Fault, TestStore};
use crate::support::{Client, World, credentials, denial, get, seconds, status, with_both};

fn stored() -> World {
    World::with_store(&TestStore::default())
}

fn store(world: &World) -> &TestStore {
    world.store.as_ref().expect("a store")
}

/// Spends the shared budget in other processes, with logins that fail.
fn spend_the_budget(world: &World) {
    for pause in [10, 20, 30] {
        world.server.next_login(Login::Status(503));
        let other = world.restarted();
        denial(other.clients()[1].call("/devices"));
        other.advance(seconds(pause));
    }
}

#[test]
fn a_login_that_is_no_longer_wanted_leaves_the_record_alone() {
    let world = stored();
    spend_the_budget(&world);
    store(&world).hold(true);
    let mut tasks = Tasks::new();
    let driver = world.asynchronous();
    tasks.spawn(async move {
        driver
            .execute(get("/devices"), &CallOptions::default())
            .await
    });
    tasks.run_until_stalled();
    world.session.close();
    world.session.reopen();
    store(&world).hold(false);
    // What the others spent is still on record, so that there is no login to be had.
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| matches!(denial(response), Denial::BudgetSpent { .. }))
    );
    assert_eq!(world.server.logins(), 3);
}

#[test]
fn a_rotated_token_is_saved_with_the_history_that_others_left() {
    with_both(stored, |world, client| {
        assert_eq!(status(client.call("/devices")), 200);
        let key = world.session.record_key();
        // Another process, whose own token was refused, has spent what was left.
        let other = world.restarted();
        assert_eq!(status(other.clients()[1].call("/devices")), 200);
        for _ in 0..2 {
            world.server.revoke_all();
            assert_eq!(status(other.clients()[1].call("/devices")), 200);
        }
        world.server.set(|state| {
            // The first process's token is alive after all, and rotated.
            state.valid.insert("token-1".to_owned());
        });
        world.server.route("/rotating", Route::Rotate);
        for _ in 0..3 {
            assert_eq!(status(client.call("/rotating")), 200);
        }
        assert!(store(world).peek(&key).is_some());
        world.server.revoke_all();
        world.advance(seconds(61));
        let third = world.restarted();
        let response = third.clients()[1].call("/devices");
        // The record's token is dead, and the three logins so far leave room for none.
        assert_eq!((status(response), world.server.logins()), (401, 3));
    });
}

#[test]
fn t68_a_login_that_lost_the_stores_lease_asks_the_store_again() {
    with_both(stored, |world, client| {
        let (other, slept) = (world.restarted(), AtomicBool::new(false));
        let watched = store(world).clone();
        let memory = store(world).clone();
        store(world).on_operation(move |what| {
            if what == "save" && !slept.swap(true, Relaxed) {
                // Another process logs in while this one sleeps past its lease.
                watched.fail("save", Fault::Lost);
                let winner = World {
                    store: None,
                    ..other.clone()
                };
                assert_eq!(status(winner.clients()[1].call("/devices")), 200);
                watched.plant(&winner.session);
            } else if what == "lease" && slept.load(Relaxed) {
                memory.work_again();
            }
        });
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(
            (world.server.logins(), world.session.counts().adopted),
            (1, 1)
        );
    });
}

#[test]
fn t10_a_record_never_lands_under_another_accounts_key() {
    with_both(stored, |world, client| {
        let first = world.session.record_key();
        let (session, changed) = (world.session.clone(), Arc::new(AtomicBool::new(false)));
        store(world).on_operation(move |what| {
            if what == "load" && !changed.swap(true, Relaxed) {
                session
                    .set_credentials(Credentials::new("bob@example.com", "b0b!b0b!b0b!").unwrap());
            }
        });
        drop(client.call("/devices"));
        if let Some(record) = store(world).peek(&first) {
            assert_eq!(record.key(), first);
        }
    });
}

/// A session keeps the token that its last password obtained. A younger one of that password, which
/// another process saved since, stays on record all the same, and so does what the session has to
/// say of its new password. Found by the simulator.
#[test]
fn an_older_token_of_the_last_password_neither_replaces_a_younger_one_nor_loses_a_refusal() {
    with_both(stored, |world, client| {
        world.server.set(|state| state.refuses = Some("wrong"));
        let in_process = |password: &str| {
            let world = world.restarted_with(password);
            let which = usize::from(matches!(client, Client::Async(..)));
            let client = world.clients().into_iter().nth(which).expect("a client");
            (world, client)
        };
        client.login().unwrap();
        let (other, newer) = in_process("s3cret!");
        newer.login().unwrap();
        newer.renew().unwrap();
        world.session.set_credentials(credentials("wrong!"));
        assert!(client.renew().is_err());
        let (reader, _) = in_process("s3cret!");
        let kept = store(world).opened(&reader.session).expect("a record");
        assert!(kept.same_token(&other.session.record()));
        let logins = world.server.logins();
        let (_, again) = in_process("wrong!");
        let refused = denial(again.call("/devices"));
        assert!(matches!(refused, Denial::Rejected { .. }), "{refused:?}");
        assert_eq!(world.server.logins(), logins, "it is on record");
    });
}

/// A session that was closed, logged out and opened again takes up the token that it closed with,
/// while the logout still waits for the store. Found by the simulator.
#[test]
fn a_logout_leaves_the_token_that_the_reopened_session_took_up_again() {
    with_both(stored, |world, client| {
        client.login().unwrap();
        world.session.close();
        let [_, again] = world.clients();
        let session = world.session.clone();
        let logged_out = AtomicBool::new(false);
        store(world).on_operation(move |what| {
            if what == "lease" && !logged_out.swap(true, Relaxed) {
                session.reopen();
                assert_eq!(status(again.call("/devices")), 200);
            }
        });
        client.logout();
        let kept = store(world).opened(&world.session).expect("a record");
        assert!(kept.same_token(&world.session.record()));
        assert_eq!(world.server.logins(), 1, "it was adopted");
    });
}

#[test]
fn t30_max_wait_holds_for_the_call_not_for_each_of_its_sendings() {
    let mut settings = Settings::default();
    settings.fair_use.short_token_lifetime = seconds(0);
    let world = World::with_settings(settings);
    let client = &world.clients()[1];
    let mut options = CallOptions::default();
    options.max_wait = seconds(100);
    for response in [
        Login::RetryAfter(503, "60"),
        Login::Token("token-x"),
        Login::RetryAfter(503, "60"),
    ] {
        world.server.next_login(response);
    }
    world.server.route("/devices", Route::Forbidden);
    assert!(matches!(
        denial(client.send(get("/devices"), &options)),
        Denial::BackingOff { .. }
    ));
    assert_eq!(world.clock.elapsed(), seconds(60));
}
