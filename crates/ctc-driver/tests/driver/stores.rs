//! A session that outlives the process, and one that many share.

use std::error::Error;
use std::time::Duration;

use ctc_driver::ctc_core::{Denial, LoginFailure, Settings};
use ctc_driver::{
    AsyncSessionStore, CallOptions, LeaseTerms, LogoutOutcome, MemoryStore, StoreError,
};
use futures_util::FutureExt;

use crate::support::run::{Tasks, block_on, poll_once};
use crate::support::server::{Login, Route};
use crate::support::store::{Fault, TestStore};
use crate::support::{Client, World, denial, get, seconds, status, with_both};

fn stored() -> World {
    World::with_store(&TestStore::default())
}

fn store(world: &World) -> &TestStore {
    world.store.as_ref().expect("a store")
}

/// The same kind of client in another process.
fn restarted(world: &World, client: &Client) -> (World, Client) {
    let world = world.restarted();
    let which = usize::from(matches!(client, Client::Async(..)));
    let client = world.clients().into_iter().nth(which).expect("a client");
    (world, client)
}

#[test]
fn t32_a_program_started_fifty_times_logs_in_once() {
    with_both(stored, |world, client| {
        assert_eq!(status(client.call("/devices")), 200);
        for _ in 0..50 {
            let (world, client) = restarted(world, client);
            assert_eq!(status(client.call("/devices")), 200);
            assert_eq!(
                (
                    world.session.counts().adopted,
                    world.session.counts().logins
                ),
                (1, 0)
            );
        }
        assert_eq!(world.server.logins(), 1);
    });
}

#[test]
fn the_store_is_asked_first_the_debit_saved_before_sending_and_nothing_while_open() {
    with_both(stored, |world, client| {
        let (server, key) = (world.server.clone(), world.session.record_key());
        let (watched, debits) = (
            store(world).clone(),
            std::sync::Arc::new(std::sync::Mutex::new(vec![])),
        );
        let noted = std::sync::Arc::clone(&debits);
        store(world).on_operation(move |what| {
            let has_token = watched.peek(&key).map(|record| record.has_token());
            noted
                .lock()
                .unwrap()
                .push((what.to_owned(), server.logins(), has_token));
        });
        assert_eq!(status(client.call("/devices")), 200);
        let log = debits.lock().unwrap().clone();
        let expected = [
            ("lease", 0, None),
            ("load", 0, None),
            ("save", 0, None),
            ("save", 1, Some(false)),
            ("release", 1, Some(true)),
        ];
        assert_eq!(
            log,
            expected.map(|(what, logins, kept)| (what.to_owned(), logins, kept))
        );
        store(world).take_log();
        for _ in 0..10 {
            assert_eq!(status(client.call("/devices")), 200);
        }
        assert!(store(world).take_log().is_empty());
    });
}

#[test]
fn a_process_that_dies_in_mid_login_has_spent_it() {
    with_both(stored, |world, client| {
        world.server.every_login(Login::Panic);
        for _ in 0..10 {
            let (_, client) = restarted(world, client);
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(
                || client.call("/devices"),
            )));
        }
        assert_eq!(world.server.logins(), 3);
    });
}

#[test]
fn a_rejection_is_carried_over_restarts_until_the_password_changes() {
    with_both(stored, |world, client| {
        world.server.next_login(Login::Status(401));
        denial(client.call("/devices"));
        for _ in 0..60 {
            world.advance(seconds(60));
            let (_, client) = restarted(world, client);
            assert!(matches!(
                denial(client.call("/devices")),
                Denial::Rejected { .. }
            ));
        }
        assert_eq!(world.server.logins(), 1);
        let (world, client) = restarted(world, client);
        world
            .session
            .set_credentials(crate::support::credentials("n3w!"));
        assert_eq!(status(client.call("/devices")), 200);
    });
}

#[test]
fn reset_overrides_the_stores_rejection() {
    with_both(stored, |world, client| {
        world.server.next_login(Login::Status(401));
        denial(client.call("/devices"));
        let (world, client) = restarted(world, client);
        denial(client.call("/devices"));
        world.session.reset();
        assert_eq!(status(client.call("/devices")), 200);
        let (_, client) = restarted(&world, &client);
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(world.server.logins(), 2);
    });
}

#[test]
fn a_busy_store_is_a_denial_and_no_login_goes_out() {
    with_both(
        || World::with_store(&TestStore::failing("lease", Fault::Busy)),
        |world, client| {
            let denial = denial(client.call("/devices"));
            assert!(matches!(
                denial,
                Denial::BackingOff {
                    cause: LoginFailure::StoreBusy,
                    ..
                }
            ));
            assert_eq!(
                (world.server.logins(), world.session.counts().logins),
                (0, 0)
            );
        },
    );
}

#[test]
fn a_store_that_never_grants_its_lease_is_busy_in_the_end() {
    let world = stored();
    store(&world).hold(true);
    let denial = denial(world.clients()[1].call("/devices"));
    assert!(matches!(
        denial,
        Denial::BackingOff {
            cause: LoginFailure::StoreBusy,
            ..
        }
    ));
    assert_eq!(world.server.logins(), 0);
    assert!(
        world.clock.elapsed() <= seconds(60),
        "within the session's own lease"
    );
    store(&world).hold(false);
    world.advance(seconds(5));
    assert_eq!(status(world.clients()[1].call("/devices")), 200);
}

#[test]
fn a_login_waits_for_the_store_as_long_as_it_can_a_logout_a_while_and_a_rotation_not_at_all() {
    with_both(stored, |world, client| {
        world.server.route("/turn", Route::Rotate);
        assert_eq!(status(client.call("/turn")), 200);
        client.logout();
        let terms = |wait| LeaseTerms {
            wait: seconds(wait),
            ttl: seconds(60),
        };
        assert_eq!(store(world).terms(), [terms(50), terms(0), terms(5)]);
    });
    let short = || {
        let mut settings = Settings::default();
        (settings.login_timeout, settings.lease) = (seconds(4), seconds(8));
        World {
            store: Some(TestStore::default()),
            ..World::with_settings(settings)
        }
    };
    with_both(short, |world, client| {
        client.login().unwrap();
        assert_eq!(
            store(world).terms(),
            [LeaseTerms {
                wait: seconds(4),
                ttl: seconds(8)
            }]
        );
    });
}

#[test]
fn t73_a_broken_store_never_stops_a_call_and_costs_no_login() {
    for operation in ["lease", "load", "save", "release"] {
        for fault in [Fault::Unavailable, Fault::Lost] {
            with_both(
                || World::with_store(&TestStore::failing(operation, fault)),
                |world, client| {
                    for _ in 0..20 {
                        assert_eq!(status(client.call("/devices")), 200);
                    }
                    assert_eq!(world.server.logins(), 1, "{operation}: {fault:?}");
                    world.server.revoke_all();
                    world.advance(seconds(3600));
                    assert_eq!(status(client.call("/devices")), 200);
                    assert_eq!(world.server.logins(), 2, "{operation}: {fault:?}");
                    assert!(world.session.counts().store_failures >= 2);
                    assert!(matches!(client.logout(), LogoutOutcome::Accepted(_)));
                },
            );
        }
    }
}

#[test]
fn t65_twenty_sessions_on_one_store_make_one_login() {
    let first = stored();
    let worlds: Vec<_> = (0..20).map(|_| first.restarted()).collect();
    for round in 1..=3 {
        first.server.hold_logins(true);
        let mut tasks = Tasks::new();
        for world in &worlds {
            for _ in 0..5 {
                let driver = world.asynchronous();
                tasks.spawn(async move {
                    driver
                        .execute(get("/devices"), &CallOptions::default())
                        .await
                });
            }
        }
        tasks.run_until_stalled();
        first.server.hold_logins(false);
        assert!(
            tasks
                .finish()
                .into_iter()
                .all(|response| status(response) == 200)
        );
        assert_eq!(first.server.logins(), round);
        first.server.revoke_all();
        first.advance(seconds(3600));
    }
}

#[test]
fn t65_twenty_threads_with_a_session_each_make_one_login() {
    let first = stored();
    first.server.hold_logins(true);
    std::thread::scope(|scope| {
        let call = || {
            first
                .restarted()
                .blocking()
                .execute(get("/devices"), &CallOptions::default())
        };
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(call)).collect();
        first.server.wait_until(|state| state.logins_now == 1);
        first.server.hold_logins(false);
        assert!(
            threads
                .into_iter()
                .all(|thread| status(thread.join().unwrap()) == 200)
        );
    });
    assert_eq!(first.server.logins(), 1);
}

/// The other process does not take the lease (another host's clock, a lost lease): both log in, and
/// the server refuses the second.
#[test]
fn t66_a_rejected_second_login_adopts_the_other_token() {
    with_both(stored, |world, client| {
        let winner = World {
            store: None,
            ..world.restarted()
        };
        let (record, store) = (winner.session.clone(), store(world).clone());
        winner.blocking().login(&CallOptions::default()).unwrap();
        world.server.next_login(Login::Status(403));
        // The winner's record appears after ours was loaded, while our login is on the wire.
        let server = world.server.clone();
        let mut written = false;
        let memory = store.clone();
        store.on_operation(move |what| {
            if what == "load" && server.logins() == 2 && !written {
                written = true;
                memory.plant(&record);
            }
        });
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(
            (world.server.logins(), world.session.counts().adopted),
            (2, 1)
        );
    });
}

#[test]
fn t82_a_wall_clock_hours_off_costs_one_login_at_most() {
    for ahead in [true, false] {
        with_both(stored, |world, client| {
            let off = seconds(7 * 3600);
            world
                .clock
                .wall_is_ahead(if ahead { seconds(0) } else { off });
            assert_eq!(status(client.call("/devices")), 200);
            world
                .clock
                .wall_is_ahead(if ahead { off } else { seconds(0) });
            for _ in 0..20 {
                let (_, client) = restarted(world, client);
                assert_eq!(status(client.call("/devices")), 200);
            }
            assert_eq!(
                world.server.logins(),
                1,
                "the token is tried, whatever the clock says"
            );
            world.server.revoke_all();
            let (_, client) = restarted(world, client);
            assert_eq!(status(client.call("/devices")), 200);
            assert_eq!(world.server.logins(), 2);
        });
    }
}

#[test]
fn a_rotated_token_is_kept() {
    with_both(stored, |world, client| {
        world.server.route("/turn", Route::Rotate);
        assert_eq!(status(client.call("/turn")), 200);
        assert!(store(world).has_token_of(&world.session));
        let (_, client) = restarted(world, client);
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(world.server.logins(), 1);
    });
}

#[test]
fn logout_takes_out_of_the_store_what_is_its_own() {
    with_both(stored, |world, client| {
        client.login().unwrap();
        client.logout();
        let key = world.session.record_key();
        assert!(!store(world).peek(&key).unwrap().has_token());

        // Another process has logged in anew since: its token stays.
        let (other, newer) = restarted(world, client);
        newer.login().unwrap();
        world.session.reopen();
        client.login().unwrap();
        world.server.revoke_all();
        world.advance(seconds(3600));
        assert_eq!(status(newer.call("/devices")), 200);
        client.logout();
        assert!(store(world).has_token_of(&other.session));
    });
}

#[test]
fn a_pause_that_another_process_caused_has_no_error_of_ours_as_its_source() {
    with_both(stored, |world, client| {
        // Ours: one login without a response, then a good one.
        world.server.next_login(Login::MaybeSent);
        let denied = client.login().unwrap_err();
        assert!(denied.source().is_some());
        world.advance(seconds(600));
        client.login().unwrap();
        // Hours later another process's login has no response. Our token is dead as well.
        world.advance(seconds(36_000));
        world.server.revoke_all();
        let (other, theirs) = restarted(world, client);
        other.server.next_login(Login::MaybeSent);
        denial(theirs.call("/devices"));
        denial(client.call("/devices"));
        let denied = client.login().unwrap_err();
        assert!(matches!(
            denied.denial(),
            Denial::BackingOff {
                cause: LoginFailure::MaybeSent,
                ..
            }
        ));
        assert!(denied.source().is_none(), "{denied}: {:?}", denied.source());
    });
}

#[test]
fn the_memory_store_limits_each_wait_as_requested() {
    let (memory, key) = (MemoryStore::new(), World::new().session.record_key());
    let terms = |wait| LeaseTerms {
        wait,
        ttl: seconds(3600),
    };
    let held = AsyncSessionStore::lease(&memory, &key, terms(seconds(0)))
        .now_or_never()
        .unwrap();
    assert!(held.is_ok());
    let at_once = AsyncSessionStore::lease(&memory, &key, terms(seconds(0))).now_or_never();
    assert!(matches!(at_once, Some(Err(StoreError::Busy))));
    // One that waits for longer is there already.
    let mut patient = AsyncSessionStore::lease(&memory, &key, terms(seconds(1800)));
    assert!(poll_once(patient.as_mut()).is_pending());
    let soon = block_on(AsyncSessionStore::lease(
        &memory,
        &key,
        terms(Duration::from_millis(20)),
    ));
    assert!(matches!(soon, Err(StoreError::Busy)));
    drop(held);
    assert!(block_on(patient).is_ok());
}
