//! Whose token is it? What a store keeps opens for the right password alone.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use ctc_driver::__adapter::records;
use ctc_driver::ctc_core::{Denial, Phase, SessionRecord};
use ctc_driver::{CallOptions, LeaseTerms, SessionEvent, SessionStore, SharedSession};

use crate::support::run::{block_on, until_stalled};
use crate::support::server::{Login, Route};
use crate::support::store::TestStore;
use crate::support::{
    Client, World, credentials, denial, get, lock, seconds, session_for, status, with_both,
};

fn stored() -> World {
    let world = World::with_store(&TestStore::default());
    world.server.set(|state| state.refuses = Some("wrong"));
    world
}

fn store(world: &World) -> &TestStore {
    world.store.as_ref().expect("a store")
}

/// The same kind of client in another process, perhaps with another password.
fn with_password(world: &World, client: &Client, password: &str) -> (World, Client) {
    let world = world.restarted_with(password);
    let which = usize::from(matches!(client, Client::Async(..)));
    let client = world.clients().into_iter().nth(which).expect("a client");
    (world, client)
}

fn kept(world: &World) -> SessionRecord {
    let kept = store(world).peek(&world.session.record_key());
    kept.expect("a record")
}

fn tokens(world: &World) -> serde_json::Value {
    json(&kept(world))["tokens"].clone()
}

fn json(record: &SessionRecord) -> serde_json::Value {
    serde_json::to_value(record).unwrap()
}

/// Whether the record opens for this password.
fn opens(world: &World, password: &str) -> bool {
    let reader = world.restarted_with(password);
    let opened = store(world).opened(&reader.session);
    opened.is_some_and(|opened| opened.has_token())
}

#[test]
fn guarantee_11_a_wrong_password_finds_nothing_and_leaves_the_right_ones_token() {
    with_both(stored, |world, client| {
        client.login().unwrap();
        let before = tokens(world);
        let (wrong, denied) = with_password(world, client, "wrong!");
        let refused = denial(denied.call("/devices"));
        assert!(matches!(refused, Denial::Rejected { .. }), "{refused:?}");
        assert_eq!(
            (wrong.session.counts().adopted, wrong.server.calls()),
            (0, 0)
        );
        assert_eq!(world.server.logins(), 2, "the server itself refused it");
        assert_eq!(tokens(world), before, "byte for byte");
        assert!(opens(world, "s3cret!") && !opens(world, "wrong!"));
        // Another process with it is told at once; the right one adopts.
        let (_, denied) = with_password(world, client, "wrong!");
        assert_eq!(denial(denied.call("/devices")), refused);
        let (right, client) = with_password(world, client, "s3cret!");
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(
            (right.session.counts().adopted, world.server.logins()),
            (1, 2)
        );
    });
}

#[test]
fn guarantee_11_a_token_is_never_kept_for_a_password_that_did_not_obtain_it() {
    with_both(stored, |world, client| {
        world.server.route("/turn", Route::Rotate);
        client.login().unwrap();
        assert!(world.session.set_credentials(credentials("wrong!")));
        assert_eq!(status(client.call("/turn")), 200);
        assert!(store_has(world, "s3cret!") && !opens(world, "wrong!"));
        // The same after a renewal with it that failed, which takes no token away.
        assert!(client.renew().is_err());
        assert!(store_has(world, "s3cret!") && !opens(world, "wrong!"));
        world.advance(seconds(60));
        assert_eq!(status(client.call("/turn")), 200);
        assert!(store_has(world, "s3cret!") && !opens(world, "wrong!"));
    });
}

/// Whether a process with this password would find this session's token.
fn store_has(world: &World, password: &str) -> bool {
    let reader = world.restarted_with(password);
    let opened = store(world).opened(&reader.session);
    opened.is_some_and(|opened| opened.same_token(&world.session.record()))
}

/// The key goes with the ticket.
#[test]
fn guarantee_11_a_login_under_way_brings_its_token_to_the_password_that_it_was_made_with() {
    let world = stored();
    world.server.hold_logins(true);
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    let mut call = Box::pin(driver.execute(get("/devices"), &options));
    assert!(until_stalled(call.as_mut()).is_pending());
    world.session.set_credentials(credentials("wrong!"));
    world.server.hold_logins(false);
    assert!(until_stalled(call.as_mut()).is_ready());
    assert!(store_has(&world, "s3cret!") && !opens(&world, "wrong!"));
}

/// Writes a record as one would who can.
fn put(world: &World, record: &SessionRecord) {
    let terms = LeaseTerms {
        wait: seconds(0),
        ttl: seconds(60),
    };
    let mut lease = SessionStore::lease(store(world), &record.key(), terms).unwrap();
    lease.save(&kept(world).without_token()).unwrap();
    lease.save(record).unwrap();
}

/// What is planted, moved or changed opens for nobody, and costs a login at most.
#[test]
fn guarantee_11_a_tampered_record_opens_no_session() {
    type Change = fn(&mut serde_json::Value);
    let changes: [(&str, Change); 7] = [
        ("number", |token| token["generation"] = 9.into()),
        ("a number that nobody counts to", |token| {
            token["generation"] = u64::MAX.into();
            token["obtained_at"] = u64::MAX.into();
        }),
        ("whose", |token| token["by"] = "00".repeat(16).into()),
        ("time", |token| token["obtained_at"] = 1.into()),
        ("end", |token| token["expires_at"] = 1.into()),
        ("nonce", |token| token["nonce"] = "00".repeat(24).into()),
        ("text", |token| token["sealed"] = "00".repeat(40).into()),
    ];
    for (what, change) in changes {
        with_both(stored, |world, client| {
            client.login().unwrap();
            let mut record = json(&kept(world));
            change(&mut record["tokens"][0]);
            let record = serde_json::from_value(record).unwrap();
            put(world, &record);
            assert!(kept(world) == record, "{what}");
            let (other, client) = with_password(world, client, "s3cret!");
            assert_eq!(status(client.call("/devices")), 200, "{what}");
            let counts = other.session.counts();
            assert_eq!((counts.adopted, counts.logins), (0, 1), "{what}");
            // And that is all: the next process finds the new one.
            assert!(store(world).has_token_of(&other.session), "{what}");
        });
    }
}

#[test]
fn an_old_copy_put_back_costs_one_login_at_most() {
    with_both(stored, |world, client| {
        client.login().unwrap();
        let old = kept(world);
        world.advance(seconds(3600));
        world.server.revoke_all();
        assert_eq!(status(client.call("/devices")), 200);
        store(world).plant_record(&world.session.record_key(), &old);
        let (other, client) = with_password(world, client, "s3cret!");
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(
            (other.session.counts().logins, world.server.logins()),
            (1, 3)
        );
    });
}

/// Issue: a cron job with the old password beside a service with the new one.
#[test]
fn a_refusal_on_record_outlives_what_another_password_writes() {
    with_both(stored, |world, service| {
        world.server.route("/turn", Route::Rotate);
        service.login().unwrap();
        for minute in 0..144 {
            let (_, cron) = with_password(world, service, "wrong!");
            let refused = denial(cron.call("/devices"));
            assert!(matches!(refused, Denial::Rejected { .. }), "{refused:?}");
            world.advance(seconds(600));
            if minute % 10 == 0 {
                world.server.revoke_all();
            }
            assert_eq!(status(service.call("/turn")), 200);
        }
        let refused = world.server.seen();
        let refused = refused
            .iter()
            .filter(|seen| format!("{seen:?}").contains("wrong"));
        assert_eq!(refused.count(), 1, "a day");
        assert!(opens(world, "s3cret!"));
    });
}

#[test]
fn a_record_holds_the_refusals_and_tokens_of_a_few_passwords_the_newest_first() {
    with_both(stored, |world, client| {
        for number in 0..10 {
            let (_, client) = with_password(world, client, &format!("wrong{number}"));
            denial(client.call("/devices"));
            world.advance(seconds(3600));
        }
        let logins = world.server.logins();
        for (number, again) in [(9, 0), (2, 0), (0, 1)] {
            let (_, client) = with_password(world, client, &format!("wrong{number}"));
            denial(client.call("/devices"));
            assert_eq!(world.server.logins() - logins, again, "{number}");
        }
        for number in 0..6 {
            let (_, client) = with_password(world, client, &format!("right{number}"));
            client.login().unwrap();
            world.advance(seconds(3600));
        }
        let record = json(&kept(world));
        let count = |name: &str| record[name].as_array().map(Vec::len);
        assert_eq!((count("tokens"), count("refusals")), (Some(4), Some(8)));
        assert!(opens(world, "right5") && opens(world, "right2") && !opens(world, "right1"));
    });
}

/// Another password's writer carries the refusal over into a newer record.
#[test]
fn a_rejection_older_than_a_login_here_does_not_apply() {
    with_both(stored, |world, client| {
        world.server.next_login(Login::Status(401));
        denial(client.call("/devices"));
        world.session.reset();
        // The store is away while this session logs in.
        store(world).fail("lease", crate::support::store::Fault::Unavailable);
        assert_eq!(status(client.call("/devices")), 200);
        store(world).work_again();
        world.advance(seconds(3600));
        let (_, other) = with_password(world, client, "another");
        other.login().unwrap();
        world.advance(seconds(3600));
        world.server.revoke_all();
        assert_eq!(status(client.call("/devices")), 200);
    });
}

#[test]
fn an_accepted_login_takes_its_refusal_off_the_record_and_leaves_the_others() {
    with_both(stored, |world, client| {
        let (_, other) = with_password(world, client, "wrong!");
        denial(other.call("/devices"));
        world.server.next_login(Login::Status(401));
        denial(client.call("/devices"));
        assert_eq!(json(&kept(world))["refusals"].as_array().unwrap().len(), 2);
        world.session.reset();
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(json(&kept(world))["refusals"].as_array().unwrap().len(), 1);
        let (_, other) = with_password(world, client, "wrong!");
        denial(other.call("/devices"));
        assert_eq!(world.server.logins(), 3);
    });
}

#[test]
fn a_late_logout_leaves_the_next_sessions_token_in_the_store() {
    let world = stored();
    let options = CallOptions::default();
    let (driver, client) = (world.asynchronous(), &world.clients()[1]);
    client.login().unwrap();
    store(&world).hold(true);
    let mut logout = Box::pin(driver.logout());
    assert!(
        until_stalled(logout.as_mut()).is_pending(),
        "it waits for the lease"
    );
    world.session.reopen();
    // The next session logs in by way of another driver, which has the lease first.
    let next = world.blocking();
    next.login(&options).unwrap();
    assert!(store(&world).has_token_of(&world.session));
    store(&world).hold(false);
    assert!(until_stalled(logout.as_mut()).is_ready());
    assert!(store(&world).has_token_of(&world.session));
    let restarted = world.restarted();
    restarted.blocking().login(&options).unwrap();
    assert_eq!(restarted.session.counts().adopted, 1);
}

#[test]
fn a_reopened_session_does_not_take_up_the_token_that_it_logged_out() {
    with_both(stored, |world, client| {
        client.login().unwrap();
        // The store cannot be told.
        store(world).fail("lease", crate::support::store::Fault::Busy);
        client.logout();
        store(world).work_again();
        assert!(opens(world, "s3cret!"), "it is still there");
        world.session.reopen();
        assert_eq!(status(client.call("/devices")), 200);
        let counts = world.session.counts();
        assert_eq!((counts.adopted, counts.logins), (0, 2));
        assert_eq!(counts.unauthorized, 0, "the dead token was not sent");
    });
}

/// A token that is sealed anew has its times by the clock of now: a store would take it for an
/// older one, and keep the whole record out.
#[test]
fn a_clock_that_was_set_back_keeps_no_history_from_the_store() {
    with_both(stored, |world, client| {
        world.clock.wall_is_ahead(seconds(10));
        client.login().unwrap();
        let before = tokens(world);
        world.clock.wall_is_ahead(seconds(0));
        world.server.next_login(Login::Status(503));
        assert!(client.renew().is_err());
        assert_eq!(tokens(world), before);
        assert!(json(&kept(world))["pause"].is_object(), "{:?}", kept(world));
    });
}

// Stores without a secret of their own: the key is derived slowly.

fn slow() -> World {
    let world = World::with_store(&TestStore::without_secret());
    world.server.set(|state| state.refuses = Some("wrong"));
    world
}

/// A call with either driver, on threads where the asynchronous one waits for another.
fn call_slowly(world: &World, asynchronous: bool) -> Result<u16, Denial> {
    let options = CallOptions::default();
    let called = if asynchronous {
        block_on(world.asynchronous().execute(get("/devices"), &options))
    } else {
        world.blocking().execute(get("/devices"), &options)
    };
    called
        .map(|response| response.status().as_u16())
        .map_err(|error| match error {
            ctc_driver::CallError::Denied(denied) => denied.denial().clone(),
            other => panic!("{other}"),
        })
}

#[test]
fn guarantee_11_the_same_holds_for_a_store_without_a_secret() {
    for asynchronous in [false, true] {
        let world = slow();
        assert_eq!(call_slowly(&world, asynchronous), Ok(200));
        let before = tokens(&world);
        let wrong = world.restarted_with("wrong!");
        let refused = call_slowly(&wrong, asynchronous);
        assert!(
            matches!(refused, Err(Denial::Rejected { .. })),
            "{refused:?}"
        );
        assert_eq!(tokens(&world), before);
        let right = world.restarted();
        assert_eq!(call_slowly(&right, !asynchronous), Ok(200));
        assert_eq!(
            (right.session.counts().adopted, world.server.logins()),
            (1, 2)
        );
        let wrong = world.restarted_with("wrong!");
        assert_eq!(call_slowly(&wrong, asynchronous), refused);
        assert_eq!(world.server.logins(), 2);
        let record = json(&kept(&world)).to_string();
        assert!(
            !record.contains("token-") && !record.contains("s3cret"),
            "{record}"
        );
    }
}

#[test]
fn a_key_is_derived_once_for_each_session() {
    let world = slow();
    assert_eq!(call_slowly(&world, false), Ok(200));
    store(&world).take_log();
    let held = records::hold_derivations();
    world.server.revoke_all();
    world.advance(seconds(3600));
    assert_eq!(call_slowly(&world, false), Ok(200));
    let log = ["lease", "load", "save", "save", "release"];
    assert_eq!(store(&world).take_log(), log);
    drop(held);
}

/// Its salt is another: the key is derived before the failure is reported.
#[test]
fn a_login_that_failed_takes_the_token_of_a_record_that_another_process_began() {
    for asynchronous in [false, true] {
        let world = slow();
        let winner = World {
            store: None,
            ..world.restarted()
        };
        assert_eq!(call_slowly(&winner, false), Ok(200));
        world.server.next_login(Login::Status(403));
        world.server.hold_logins(true);
        thread::scope(|scope| {
            let caller = scope.spawn(|| call_slowly(&world, asynchronous));
            world.server.wait_until(|state| state.logins_now == 1);
            let began = records::seal(&winner.session.record(), None, [9; 16], None);
            store(&world).plant_record(&world.session.record_key(), &began.unwrap());
            world.server.hold_logins(false);
            assert_eq!(caller.join().unwrap(), Ok(200));
        });
        assert_eq!(world.session.counts().adopted, 1);
    }
}

/// The salt is on record before the login is, which must not come back as another process's.
#[test]
fn guarantee_2_a_login_that_waited_for_its_key_is_counted_once() {
    for asynchronous in [false, true] {
        let world = slow();
        assert_eq!(call_slowly(&world, asynchronous), Ok(200));
        let driver = world.blocking();
        for left in [true, true, false] {
            assert_eq!(driver.renew(&CallOptions::default()).is_ok(), left);
        }
    }
}

fn can_be_leased(world: &World) -> bool {
    let terms = LeaseTerms {
        wait: seconds(0),
        ttl: seconds(60),
    };
    let key = world.session.record_key();
    SessionStore::lease(store(world), &key, terms).is_ok()
}

/// Never under the lease, never on the executor's thread.
#[test]
fn while_a_key_is_derived_the_lease_is_free_and_the_executor_goes_on() {
    let world = slow();
    let held = records::hold_derivations();
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    let mut call = Box::pin(driver.execute(get("/devices"), &options));
    assert!(until_stalled(call.as_mut()).is_pending());
    let log = ["lease", "load", "save", "release"];
    assert_eq!(
        store(&world).take_log(),
        log,
        "the salt is there for others"
    );
    assert!(can_be_leased(&world));
    assert_eq!(world.server.logins(), 0);
    // This thread is free to run anything else.
    assert!(until_stalled(std::pin::pin!(async {})).is_ready());
    drop(held);
    drop(call); // the login ends all the same
    world.session.close();
}

#[test]
fn while_a_key_is_derived_by_a_thread_the_lease_is_free() {
    let world = slow();
    let held = records::hold_derivations();
    thread::scope(|scope| {
        let caller = scope.spawn(|| call_slowly(&world, false));
        while !store(&world).was_asked_to("release") {
            thread::yield_now();
        }
        assert!(can_be_leased(&world));
        drop(held);
        assert_eq!(caller.join().unwrap(), Ok(200));
    });
}

/// The key goes to the session even if the caller left, and so does the token.
#[test]
fn a_caller_that_leaves_while_its_key_is_derived_leaves_it_to_the_next() {
    let world = slow();
    let held = records::hold_derivations();
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    // The task itself is dropped, as by a runtime that shuts down.
    let mut call = Box::pin(driver.execute(get("/devices"), &options));
    assert!(until_stalled(call.as_mut()).is_pending());
    drop(call);
    assert_eq!(crate::support::run::shut_down(), 1);
    assert_eq!(
        world.session.phase(),
        Phase::Empty,
        "the ticket was given back"
    );
    drop(held);
    while !records::has_key(&world.session) {
        thread::yield_now();
    }
    let held = records::hold_derivations();
    store(&world).take_log();
    assert_eq!(call_slowly(&world, false), Ok(200), "without a derivation");
    drop(held);
}

#[test]
fn whatever_number_of_sessions_starts_no_more_than_four_derive_at_a_time() {
    let store = TestStore::without_secret();
    let worlds: Vec<_> = (0..12)
        .map(|number| World {
            session: SharedSession::new(session_for(
                &format!("user{number}@example.com"),
                ctc_driver::ctc_core::Settings::default(),
            )),
            store: Some(store.clone()),
            ..World::new()
        })
        .collect();
    thread::scope(|scope| {
        for (number, world) in worlds.iter().enumerate() {
            scope.spawn(move || assert_eq!(call_slowly(world, number % 2 == 0), Ok(200)));
        }
    });
    let most = records::most_derivations();
    assert!((1..=4).contains(&most), "{most}");
}

/// Somebody who writes the store gives it another salt each time that it is read.
#[test]
fn a_salt_that_changes_each_time_keeps_nobody_from_logging_in() {
    let world = slow();
    assert_eq!(call_slowly(&world, false), Ok(200));
    let before = tokens(&world);
    world.server.revoke_all();
    world.advance(seconds(3600));
    let (watched, key, salt) = (
        store(&world).clone(),
        world.session.record_key(),
        AtomicU8::new(0),
    );
    let record = json(&kept(&world));
    store(&world).take_log();
    store(&world).on_operation(move |what| {
        if what == "load" {
            let mut record = record.clone();
            let salt = salt.fetch_add(1, SeqCst);
            record["salt"] = format!("{salt:02x}").repeat(16).into();
            let record = serde_json::from_value(record).unwrap();
            watched.plant_record(&key, &record);
        }
    });
    assert_eq!(call_slowly(&world, false), Ok(200));
    let loads = store(&world).take_log();
    let loads = loads.iter().filter(|what| **what == "load").count();
    assert_eq!(loads, 4, "three rounds, and then without a key");
    assert_eq!(tokens(&world), before, "what it could not open it left");
}

#[test]
fn an_event_tells_of_a_record_with_tokens_of_other_passwords_alone() {
    with_both(stored, |world, client| {
        client.login().unwrap();
        let (other, denied) = with_password(world, client, "wrong!");
        let told = Arc::new(Mutex::new(0));
        let count = Arc::clone(&told);
        other
            .session
            .set_observer(move |_: &SharedSession, event: &SessionEvent<'_>| {
                if matches!(event, SessionEvent::StoredByOthers) {
                    *lock(&count) += 1;
                }
            });
        denial(denied.call("/devices"));
        assert_eq!(*lock(&told), 1);
    });
}
