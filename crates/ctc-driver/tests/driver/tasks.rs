//! The login as a task of the runtime: what its callers wait for, and what goes along with it.

use std::io;
use std::sync::{Arc, Mutex};

use ctc_driver::ctc_core::Phase;
use ctc_driver::{CallOptions, LogoutOutcome};
use futures_util::FutureExt;
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, info_span};

use crate::support::run::{run, run_spawned, until_stalled};
use crate::support::store::TestStore;
use crate::support::{World, get, lock, seconds, status};

fn stored() -> (World, TestStore) {
    let store = TestStore::default();
    (World::with_store(&store), store)
}

fn is_saved(world: &World, store: &TestStore) -> bool {
    store.has_token_of(&world.session)
}

/// A program that ends after its first call must not lose the token.
#[test]
fn the_elected_caller_returns_when_its_token_is_saved() {
    let (world, store) = stored();
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    let mut call = Box::pin(driver.execute(get("/devices"), &options));
    store.hold_saves_after(1);
    assert!(until_stalled(call.as_mut()).is_pending());
    assert!(
        matches!(world.session.phase(), Phase::Open(_)),
        "it is logged in"
    );
    assert!(!is_saved(&world, &store));
    store.let_saves_go();
    assert_eq!(status(run(&world.clock, call)), 200);
    assert!(is_saved(&world, &store));
}

#[test]
fn a_store_that_hangs_holds_the_elected_caller_up_for_a_second_and_no_other() {
    let (world, store) = stored();
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    let mut call = Box::pin(driver.execute(get("/devices"), &options));
    store.hold_saves_after(1);
    assert!(until_stalled(call.as_mut()).is_pending());
    let other = world.asynchronous();
    let second = other.execute(get("/devices"), &options).now_or_never();
    assert!(second.is_none(), "the scripted server gives way once");
    let mut second = Box::pin(other.execute(get("/devices"), &options));
    assert!(until_stalled(second.as_mut()).is_ready());
    let before = world.clock.elapsed();
    assert_eq!(status(run(&world.clock, call)), 200);
    assert_eq!(world.clock.elapsed() - before, seconds(1));
}

/// T49: the token of a login that is answered after the logout is logged out before `logout`
/// returns.
#[test]
fn t49_a_logout_in_mid_login_waits_for_the_orphan() {
    let world = World::new();
    world.server.hold_logins(true);
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    let mut call = Box::pin(driver.execute(get("/devices"), &options));
    assert!(until_stalled(call.as_mut()).is_pending());
    let mut logout = Box::pin(driver.logout());
    assert!(until_stalled(logout.as_mut()).is_pending());
    world.server.hold_logins(false);
    assert!(matches!(run(&world.clock, logout), LogoutOutcome::NoToken));
    assert_eq!(world.session.counts().orphans, 1);
    assert_eq!(world.server.logouts().len(), 1);
}

/// Nobody waits for the logout of a token that nobody wants, except for `logout`.
#[test]
fn an_orphans_logout_that_hangs_holds_nobody_up() {
    for what in ["call", "login", "renew"] {
        let world = World::new();
        world.server.hold_logins(true);
        let (driver, options) = (world.asynchronous(), CallOptions::default());
        let mut first = Box::pin(driver.execute(get("/devices"), &options));
        assert!(until_stalled(first.as_mut()).is_pending());
        world.session.close();
        world.session.reopen();
        world.server.set(|state| state.logout_status = Some(1));
        world.server.hold_logins(false);
        run_spawned();
        assert_eq!(world.session.counts().orphans, 1, "{what}");
        let before = world.clock.elapsed();
        match what {
            "call" => assert_eq!(status(run(&world.clock, first)), 200),
            "login" => run(&world.clock, driver.login(&options)).unwrap(),
            _ => run(&world.clock, driver.renew(&options)).unwrap(),
        }
        assert_eq!(world.clock.elapsed(), before, "{what}");
        // And it is given up after 5 s.
        let logout = driver.logout();
        assert!(matches!(
            run(&world.clock, logout),
            LogoutOutcome::Unreachable(_)
        ));
        assert_eq!(world.clock.elapsed() - before, seconds(5), "{what}");
    }
}

#[test]
fn t20_a_logout_is_bounded_whatever_hangs() {
    for own in [None, Some(seconds(2))] {
        let (world, store) = stored();
        let (driver, options) = (world.asynchronous(), CallOptions::default());
        run(&world.clock, driver.login(&options)).unwrap();
        world.server.set(|state| state.logout_status = Some(1));
        store.hold(true);
        let before = world.clock.elapsed();
        let outcome = match own {
            None => run(&world.clock, driver.logout()),
            Some(limit) => run(&world.clock, driver.logout_within(limit)),
        };
        assert!(
            matches!(outcome, LogoutOutcome::Unreachable(_)),
            "{outcome:?}"
        );
        assert_eq!(world.clock.elapsed() - before, own.unwrap_or(seconds(5)));
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The task runs later and elsewhere; its events belong to the caller that was elected.
#[test]
fn a_login_has_the_elected_callers_span_and_subscriber() {
    let world = World::new();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    world.server.hold_logins(true);
    let call = async move { driver.execute(get("/devices"), &options).await };
    let mut call = Box::pin(
        async move { call.instrument(info_span!("handler")).await }.with_subscriber(subscriber),
    );
    assert!(until_stalled(call.as_mut()).is_pending());
    drop(call);
    world.server.hold_logins(false);
    run_spawned();
    let log = String::from_utf8(lock(&log.0).clone()).unwrap();
    let logged_in = log
        .lines()
        .find(|line| line.contains("logged_in"))
        .expect("the event");
    assert!(logged_in.contains("handler:"), "{log}");
}
