//! Credentials that are asked for at each login, from a source.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::ctc_core::{Credentials, Denial, LoginFailure, Phase, Settings};
use ctc_driver::{
    AsyncCredentialsSource, CallError, CallOptions, CredentialsError, Denied, SharedSession,
};
use event_listener::Event;

use crate::support::run::{Tasks, block_on, give_way, run, shut_down, until_stalled};
use crate::support::server::{Login, Seen};
use crate::support::store::TestStore;
use crate::support::{Answer, Client, World, credentials, denial, get, lock, seconds, status};

/// What a source does when it is asked.
#[derive(Clone, Debug)]
enum Says {
    Password(&'static str),
    User(&'static str, &'static str),
    Unavailable,
    Unusable,
    Panics,
    Hangs,
}

/// A source that goes by a script; its last line is repeated.
#[derive(Clone)]
struct Script(Arc<Scripted>);

struct Scripted {
    lines: Mutex<VecDeque<Says>>,
    asked: Mutex<usize>,
    held: Mutex<bool>,
    changed: Event,
    on_question: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Script {
    fn new(lines: &[Says]) -> Self {
        Self(Arc::new(Scripted {
            lines: Mutex::new(lines.iter().cloned().collect()),
            asked: Mutex::new(0),
            held: Mutex::new(false),
            changed: Event::new(),
            on_question: Mutex::new(None),
        }))
    }

    fn asked(&self) -> usize {
        *lock(&self.0.asked)
    }

    fn hold(&self, hold: bool) {
        *lock(&self.0.held) = hold;
        self.0.changed.notify(usize::MAX);
    }

    fn on_question(&self, hook: impl Fn() + Send + 'static) {
        *lock(&self.0.on_question) = Some(Box::new(hook));
    }

    /// `None`: it hangs.
    fn next(&self) -> Option<Result<Credentials, CredentialsError>> {
        *lock(&self.0.asked) += 1;
        if let Some(hook) = &*lock(&self.0.on_question) {
            hook();
        }
        let line = {
            let mut lines = lock(&self.0.lines);
            let line = lines.front().expect("a line").clone();
            if lines.len() > 1 {
                lines.pop_front();
            }
            line
        };
        Some(match line {
            Says::Password(password) => Ok(credentials(password)),
            Says::User(user, password) => Ok(Credentials::new(user, password).unwrap()),
            Says::Unavailable => Err(CredentialsError::unavailable(io::Error::other(
                "vault sealed",
            ))),
            Says::Unusable => Err(CredentialsError::unusable("no such variable")),
            Says::Panics => panic!("the source has a bug"),
            Says::Hangs => return None,
        })
    }
}

/// The script as an asynchronous source.
struct AsyncScript(Script);

#[async_trait]
impl AsyncCredentialsSource for AsyncScript {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        give_way().await;
        while *lock(&self.0.0.held) {
            let changed = self.0.0.changed.listen();
            if *lock(&self.0.0.held) {
                changed.await;
            }
        }
        match self.0.next() {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }
}

fn give(session: &SharedSession, client: &Client, script: &Script) {
    match client {
        Client::Blocking(_) => {
            let script = script.clone();
            session.set_credentials_source(move || match script.next() {
                Some(said) => said,
                // As long as nothing else ends it.
                None => loop {
                    std::thread::park();
                },
            });
        }
        Client::Async(..) => session.set_async_credentials_source(AsyncScript(script.clone())),
    }
}

/// Runs a test once with each driver, each in a new world whose session asks a source.
fn with_sources(
    settings: impl Fn() -> Settings,
    store: impl Fn() -> Option<TestStore>,
    lines: &[Says],
    test: impl Fn(&World, &Client, &Script),
) {
    for which in 0..2 {
        let world = World {
            store: store(),
            ..World::without_credentials(settings())
        };
        let client = world.clients().into_iter().nth(which).expect("two clients");
        let script = Script::new(lines);
        give(&world.session, &client, &script);
        test(&world, &client, &script);
        world
            .server
            .set(|state| assert!(state.logins_at_most <= 1, "two logins in flight"));
    }
}

fn with_each(lines: &[Says], test: impl Fn(&World, &Client, &Script)) {
    with_sources(Settings::default, || None, lines, test);
}

fn passwords(world: &World) -> Vec<String> {
    let password = |seen| match seen {
        Seen::Login { form } => form.split("password=").nth(1).map(str::to_owned),
        _ => None,
    };
    world
        .server
        .seen()
        .into_iter()
        .filter_map(password)
        .collect()
}

fn denied(response: Answer) -> Denied {
    match response {
        Err(CallError::Denied(denied)) => denied,
        other => panic!("not denied: {other:?}"),
    }
}

/// All the way down.
fn chain(error: &dyn Error) -> String {
    let source = error.source().map(chain);
    format!("{error}: {}", source.unwrap_or_default())
}

fn call_many(world: &World, count: usize) -> Vec<Answer> {
    let driver = Arc::new(world.asynchronous());
    let mut tasks = Tasks::new();
    world.server.hold_calls(true);
    for _ in 0..count {
        let driver = Arc::clone(&driver);
        let options = CallOptions::default();
        tasks.spawn(async move { driver.execute(get("/devices"), &options).await });
    }
    tasks.run_until_stalled();
    world.server.hold_calls(false);
    tasks.finish()
}

const OLD: Says = Says::Password("old");
const NEW: Says = Says::Password("new");

#[test]
fn each_login_asks_once_and_calls_with_a_token_never() {
    with_each(&[OLD], |world, client, script| {
        for _ in 0..3 {
            assert_eq!(status(client.call("/devices")), 200);
        }
        assert_eq!((script.asked(), world.server.logins()), (1, 1));
        world.server.revoke_all();
        world.advance(seconds(3600));
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!((script.asked(), world.server.logins()), (2, 2));
        assert_eq!(passwords(world), ["old", "old"]);
    });
}

/// The password was changed while 200 callers had a token of the old one.
#[test]
fn two_hundred_callers_on_a_changed_password_ask_once_and_log_in_once() {
    with_each(&[OLD, NEW], |world, client, script| {
        if matches!(client, Client::Blocking(_)) {
            return; // tasks only: threads are in `two_hundred_threads_…`
        }
        assert_eq!(status(client.call("/devices")), 200);
        world.server.revoke_all();
        world
            .server
            .set(|state| state.refuses = Some("password=old"));
        world.advance(seconds(3600));
        let responses = call_many(world, 200);
        assert!(
            responses
                .into_iter()
                .map(status)
                .all(|status| status == 200)
        );
        assert_eq!((script.asked(), world.server.logins()), (2, 2));
        assert_eq!(passwords(world), ["old", "new"]);
    });
}

/// The source is behind: the server has the new password already, and the source a moment later.
#[test]
fn two_hundred_callers_on_a_source_that_lags_make_two_logins() {
    with_each(&[OLD, OLD, NEW], |world, client, script| {
        if matches!(client, Client::Blocking(_)) {
            return;
        }
        assert_eq!(status(client.call("/devices")), 200);
        world.server.revoke_all();
        world
            .server
            .set(|state| state.refuses = Some("password=old"));
        world.advance(seconds(3600));
        let responses = call_many(world, 200);
        assert!(
            responses
                .into_iter()
                .map(status)
                .all(|status| status == 200)
        );
        assert_eq!((script.asked(), world.server.logins()), (3, 3));
        assert_eq!(passwords(world), ["old", "old", "new"]);
        assert_eq!(world.session.counts().logins_failed, 0);
    });
}

#[test]
fn two_hundred_threads_on_a_source_that_lags_make_two_logins() {
    let world = World::without_credentials(Settings::default());
    let script = Script::new(&[OLD, NEW]);
    let driver = world.blocking();
    give(&world.session, &Client::Blocking(driver.clone()), &script);
    world
        .server
        .set(|state| state.refuses = Some("password=old"));
    world.server.hold_logins(true);
    std::thread::scope(|scope| {
        let call = || status(driver.execute(get("/devices"), &CallOptions::default()));
        let threads: Vec<_> = (0..200).map(|_| scope.spawn(call)).collect();
        world.server.wait_until(|state| state.logins_now == 1);
        world.server.hold_logins(false);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 200);
        }
    });
    assert_eq!(
        (script.asked(), passwords(&world)),
        (2, vec!["old".into(), "new".into()])
    );
}

#[test]
fn the_same_credentials_after_a_rejection_are_rejected_with_one_login() {
    with_each(&[OLD], |world, client, script| {
        world
            .server
            .set(|state| state.refuses = Some("password=old"));
        let responses = match client {
            Client::Async(..) => call_many(world, 200),
            Client::Blocking(_) => (0..3).map(|_| client.call("/devices")).collect(),
        };
        for response in responses {
            assert!(matches!(denial(response), Denial::Rejected { .. }));
        }
        assert_eq!((script.asked(), world.server.logins()), (2, 1));
        world.session.reset();
        world.server.set(|state| state.refuses = None);
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!((script.asked(), world.server.logins()), (3, 2));
    });
}

#[test]
fn a_second_rejection_ends_it_whatever_the_source_would_say_next() {
    let lines = [OLD, NEW, Says::Password("third")];
    with_each(&lines, |world, client, script| {
        world.server.every_login(Login::Status(401));
        assert!(matches!(
            denial(client.call("/devices")),
            Denial::Rejected { .. }
        ));
        assert_eq!(
            (script.asked(), passwords(world)),
            (2, vec!["old".into(), "new".into()])
        );
    });
}

#[test]
fn a_source_that_fails_after_a_rejection_leaves_the_rejection() {
    for second in [Says::Unavailable, Says::Unusable] {
        with_each(&[OLD, second], |world, client, script| {
            world.server.every_login(Login::Status(401));
            assert!(matches!(
                denial(client.call("/devices")),
                Denial::Rejected { .. }
            ));
            assert_eq!((script.asked(), world.server.logins()), (2, 1));
        });
    }
}

#[test]
fn what_is_not_about_the_credentials_asks_no_second_time() {
    for response in [404, 405, 429, 500, 503] {
        with_each(&[OLD, NEW], |world, client, script| {
            world.server.next_login(Login::Status(response));
            denial(client.call("/devices"));
            assert_eq!(
                (script.asked(), world.server.logins()),
                (1, 1),
                "{response}"
            );
        });
    }
}

#[test]
fn the_second_try_is_charged_like_any_login() {
    let settings = || {
        let mut settings = Settings::default();
        settings.fair_use.burst = 1.try_into().unwrap();
        settings
    };
    with_sources(
        settings,
        || None,
        &[OLD, NEW],
        |world, client, script| {
            world
                .server
                .set(|state| state.refuses = Some("password=old"));
            let Denial::BudgetSpent { .. } = denial(client.call("/devices")) else {
                panic!("the budget has room for one login only");
            };
            assert_eq!((script.asked(), world.server.logins()), (2, 1));
            world.advance(Settings::default().fair_use.refill);
            assert_eq!(
                status(client.call("/devices")),
                200,
                "the new ones were not rejected"
            );
            assert_eq!(passwords(world), ["old", "new"]);
        },
    );
}

#[test]
fn a_source_that_fails_is_a_failed_login_that_costs_nothing() {
    with_each(&[Says::Unavailable], |world, client, script| {
        for asked in 1..=20 {
            let denied = denied(client.call("/devices"));
            let Denial::BackingOff { cause, .. } = denied.denial() else {
                panic!("{denied}");
            };
            assert_eq!(*cause, LoginFailure::CredentialsUnavailable);
            assert!(
                chain(&denied).contains("vault sealed"),
                "{}",
                chain(&denied)
            );
            let pause = denied.retry_after().unwrap();
            assert!(
                pause <= seconds(10),
                "as for a server out of reach: {pause:?}"
            );
            // Those who only hear of it get the same, and ask nobody.
            assert!(chain(&self::denied(client.call("/devices"))).contains("vault sealed"));
            assert_eq!((script.asked(), world.server.logins()), (asked, 0));
            world.advance(pause);
        }
        give(&world.session, client, &Script::new(&[OLD]));
        for _ in 0..Settings::default().fair_use.burst.get() {
            assert_eq!(status(client.call("/devices")), 200);
            world.server.revoke_all();
        }
    });
}

#[test]
fn an_unusable_source_is_not_asked_again_until_a_reset() {
    with_each(&[Says::Unusable, OLD], |world, client, script| {
        for _ in 0..3 {
            let denied = denied(client.call("/devices"));
            assert_eq!(*denied.denial(), Denial::CredentialsUnusable);
            assert_eq!(denied.retry_after(), None);
            assert!(chain(&denied).contains("no such variable"));
            assert_eq!(world.session.phase(), Phase::CredentialsUnusable);
            world.advance(seconds(100_000));
        }
        assert_eq!((script.asked(), world.server.logins()), (1, 0));
        world.session.reset();
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(script.asked(), 2);
    });
}

#[test]
fn a_session_with_neither_credentials_nor_a_source_says_so() {
    let world = World::without_credentials(Settings::default());
    for client in world.clients() {
        world.session.reset();
        let denied = denied(client.call("/devices"));
        assert_eq!(*denied.denial(), Denial::CredentialsUnusable);
        assert!(
            chain(&denied).contains("set_credentials_source"),
            "{}",
            chain(&denied)
        );
    }
}

#[test]
fn a_blocking_driver_cannot_use_an_asynchronous_source() {
    let world = World::without_credentials(Settings::default());
    world
        .session
        .set_async_credentials_source(AsyncScript(Script::new(&[OLD])));
    let denied = denied(world.clients()[0].call("/devices"));
    assert_eq!(*denied.denial(), Denial::CredentialsUnusable);
    assert!(chain(&denied).contains("blocking"), "{}", chain(&denied));
}

#[test]
fn a_slow_source_has_as_long_as_a_login() {
    let settings = || {
        let mut settings = Settings::default();
        settings.login_timeout = Duration::from_millis(50);
        settings
    };
    with_sources(
        settings,
        || None,
        &[Says::Hangs, OLD],
        |world, client, script| {
            let (virtually, really) = (world.clock.elapsed(), std::time::Instant::now());
            let denied = denied(client.call("/devices"));
            let Denial::BackingOff { cause, .. } = denied.denial() else {
                panic!("{denied}");
            };
            assert_eq!(*cause, LoginFailure::CredentialsUnavailable);
            assert!(
                chain(&denied).contains("within 0.05 s"),
                "{}",
                chain(&denied)
            );
            let took = match client {
                Client::Blocking(_) => really.elapsed(),
                Client::Async(..) => world.clock.elapsed() - virtually,
            };
            assert!(
                took >= Duration::from_millis(50) && took < seconds(5),
                "{took:?}"
            );
            world.advance(seconds(10));
            assert_eq!(status(client.call("/devices")), 200);
            assert_eq!((script.asked(), world.server.logins()), (2, 1));
        },
    );
}

#[test]
fn a_source_that_panics_is_a_failed_login() {
    with_each(&[Says::Panics, OLD], |world, client, script| {
        let call = std::panic::AssertUnwindSafe(|| client.call("/devices"));
        let first = std::panic::catch_unwind(call);
        // In the blocking driver the panic goes on in the elected caller.
        assert_eq!(first.is_err(), matches!(client, Client::Blocking(_)));
        let Denial::BackingOff { cause, .. } = denial(client.call("/devices")) else {
            panic!("the login failed");
        };
        assert_eq!(cause, LoginFailure::Panicked);
        assert_eq!((script.asked(), world.server.logins()), (1, 0));
        world.advance(seconds(3600));
        assert_eq!(status(client.call("/devices")), 200);
    });
}

/// A panic after a rejection: that login was sent.
#[test]
fn a_source_that_panics_after_a_rejection_is_a_failed_login() {
    with_each(&[OLD, Says::Panics], |world, client, script| {
        world.server.next_login(Login::Status(401));
        let call = std::panic::AssertUnwindSafe(|| client.call("/devices"));
        let _ = std::panic::catch_unwind(call);
        let Denial::BackingOff { cause, .. } = denial(client.call("/devices")) else {
            panic!("the login failed");
        };
        assert_eq!((cause, script.asked()), (LoginFailure::Panicked, 2));
    });
}

#[test]
fn another_user_is_another_account() {
    let lines = [Says::User("ada", "p"), Says::User("bob", "p")];
    let store = || Some(TestStore::default());
    with_sources(Settings::default, store, &lines, |world, client, _| {
        assert_eq!(status(client.call("/devices")), 200);
        let ada = world.session.record_key();
        client.renew().unwrap();
        assert_ne!(world.session.record_key(), ada);
        let store = world.store.as_ref().unwrap();
        assert!(store.has_token_of(&world.session));
        assert_eq!(world.server.logins(), 2);
        assert_eq!(status(client.call("/devices")), 200);
    });
}

/// The old user's token does not serve the new one, whatever becomes of his login.
#[test]
fn another_user_does_not_get_the_token_of_the_one_before() {
    let lines = [Says::User("ada", "p"), Says::User("bob", "p")];
    with_each(&lines, |world, client, _| {
        assert_eq!(status(client.call("/devices")), 200);
        world.server.next_login(Login::Status(503));
        client.renew().unwrap_err();
        assert!(matches!(world.session.phase(), Phase::BackingOff { .. }));
    });
}

#[test]
fn the_account_stays_when_the_password_changes_and_its_token_goes_under_the_new_one() {
    for asynchronous in [false, true] {
        let world = World {
            store: Some(TestStore::without_secret()),
            ..World::without_credentials(Settings::default())
        };
        // In threads: keys are derived on threads of their own.
        let call = |world: &World, script: &Script| {
            let (options, get) = (CallOptions::default(), get("/devices"));
            let script = script.clone();
            let source = move || script.next().expect("a response");
            world.session.set_credentials_source(source);
            status(match asynchronous {
                true => block_on(world.asynchronous().execute(get, &options)),
                false => world.blocking().execute(get, &options),
            })
        };
        assert_eq!(
            world.session.record_key().account,
            "",
            "nobody was asked yet"
        );
        let script = Script::new(&[OLD, NEW]);
        assert_eq!(call(&world, &script), 200);
        let key = world.session.record_key();
        world.server.revoke_all();
        world.advance(seconds(3600));
        assert_eq!(call(&world, &script), 200);
        assert_eq!((world.session.record_key(), script.asked()), (key, 2));
        // Another process that has the new password: it asks, finds the token and sends nothing.
        let other = World {
            session: World::without_credentials(Settings::default()).session,
            ..world.clone()
        };
        let script = Script::new(&[NEW]);
        assert_eq!(call(&other, &script), 200);
        assert_eq!((script.asked(), world.server.logins()), (1, 2));
        assert_eq!(other.session.counts().adopted, 1);
    }
}

/// After a rejection the store is asked with the new credentials, before they are sent.
#[test]
fn a_token_that_another_process_has_with_the_new_password_saves_the_second_login() {
    let store = || Some(TestStore::default());
    with_sources(
        Settings::default,
        store,
        &[OLD, NEW],
        |world, client, script| {
            let other = world.restarted_with("new");
            assert_eq!(status(other.clients()[0].call("/devices")), 200);
            world
                .server
                .set(|state| state.refuses = Some("password=old"));
            assert_eq!(status(client.call("/devices")), 200);
            assert_eq!((script.asked(), world.server.logins()), (2, 2));
            assert_eq!(passwords(world), ["new", "old"]);
            assert_eq!(world.session.counts().adopted, 1);
        },
    );
}

#[test]
fn no_lease_of_the_store_is_held_while_the_source_is_asked() {
    let store = || Some(TestStore::default());
    with_sources(
        Settings::default,
        store,
        &[OLD, NEW],
        |world, client, script| {
            let store = world.store.clone().unwrap();
            world
                .server
                .set(|state| state.refuses = Some("password=old"));
            let (on_question, logs) = (store.clone(), Arc::new(Mutex::new(vec![])));
            let seen = Arc::clone(&logs);
            script.on_question(move || lock(&seen).push(on_question.take_log()));
            assert_eq!(status(client.call("/devices")), 200);
            let logs = lock(&logs).clone();
            assert_eq!(logs.len(), 2);
            assert!(logs[0].is_empty(), "{logs:?}");
            let count = |operation| logs[1].iter().filter(|done| **done == operation).count();
            assert_eq!((count("lease"), count("release")), (1, 1), "{logs:?}");
        },
    );
}

/// The failure of a source is this process's own: others may well have the password.
#[test]
fn a_source_that_fails_holds_no_other_process_back() {
    for says in [Says::Unavailable, Says::Unusable] {
        let store = || Some(TestStore::default());
        let lines = [OLD, says];
        with_sources(Settings::default, store, &lines, |world, client, _| {
            assert_eq!(status(client.call("/devices")), 200);
            client.renew().unwrap_err();
            let printed = format!("{:?}", world.session.record());
            assert!(printed.contains("pause: None, refused: false"), "{printed}");
        });
    }
}

#[test]
fn a_logout_before_the_first_login_asks_neither_source_nor_store() {
    let store = || Some(TestStore::default());
    with_sources(Settings::default, store, &[OLD], |world, client, script| {
        client.logout();
        let log = world.store.as_ref().unwrap().take_log();
        assert!(log.is_empty() && script.asked() == 0, "{log:?}");
    });
}

#[test]
fn credentials_that_are_set_take_the_place_of_the_source_and_the_other_way_round() {
    with_each(&[OLD], |world, client, script| {
        world.session.set_credentials(credentials("fixed"));
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(
            (script.asked(), passwords(world)),
            (0, vec!["fixed".into()])
        );
        give(&world.session, client, script);
        world.server.revoke_all();
        world.advance(seconds(3600));
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(
            (script.asked(), passwords(world)),
            (1, vec!["fixed".into(), "old".into()])
        );
    });
}

#[test]
fn a_close_while_the_source_is_asked_sends_nothing() {
    with_each(&[OLD], |world, client, script| {
        let session = world.session.clone();
        script.on_question(move || session.close());
        assert_eq!(denial(client.call("/devices")), Denial::Closed);
        assert_eq!((script.asked(), world.server.logins()), (1, 0));
        script.on_question(|| {});
        world.session.reopen();
        for _ in 0..Settings::default().fair_use.burst.get() {
            assert_eq!(status(client.call("/devices")), 200, "nothing was charged");
            world.server.revoke_all();
        }
    });
}

/// The question is part of the login's task: it goes on when the caller that was elected has left,
/// and nobody else asks.
#[test]
fn the_question_outlives_the_caller_that_was_elected() {
    let world = World::without_credentials(Settings::default());
    let script = Script::new(&[OLD]);
    world
        .session
        .set_async_credentials_source(AsyncScript(script.clone()));
    script.hold(true);
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    let mut call = Box::pin(driver.execute(get("/devices"), &options));
    assert!(until_stalled(call.as_mut()).is_pending());
    drop(call);
    let mut other = Box::pin(driver.execute(get("/devices"), &options));
    assert!(until_stalled(other.as_mut()).is_pending());
    script.hold(false);
    assert_eq!(status(run(&world.clock, other)), 200);
    assert_eq!((script.asked(), world.server.logins()), (1, 1));
}

/// A runtime that drops the task in the midst of the question: the next caller asks anew, and
/// nothing is charged.
#[test]
fn a_question_whose_task_is_dropped_costs_nothing() {
    let world = World::without_credentials(Settings::default());
    let script = Script::new(&[OLD]);
    world
        .session
        .set_async_credentials_source(AsyncScript(script.clone()));
    let (driver, options) = (world.asynchronous(), CallOptions::default());
    for _ in 0..10 {
        script.hold(true);
        let mut call = Box::pin(driver.execute(get("/devices"), &options));
        assert!(until_stalled(call.as_mut()).is_pending());
        assert_eq!(shut_down(), 1);
        script.hold(false);
        assert_eq!(denial(run(&world.clock, call)), Denial::NotRun);
    }
    let call = driver.execute(get("/devices"), &options);
    assert_eq!(status(run(&world.clock, call)), 200);
    assert_eq!((script.asked(), world.server.logins()), (1, 1));
}

/// A blocking source does not block the runtime: the executor's only thread goes on while it is
/// asked.
#[test]
fn a_blocking_source_is_asked_on_a_thread_of_its_own() {
    let ways: [fn(&SharedSession, Blocked); 2] = [
        |session, source| session.set_credentials_source(move || source.wait()),
        |session, source| session.set_async_credentials_source(move || source.wait()),
    ];
    for way in ways {
        let world = World::without_credentials(Settings::default());
        let (asks, asked) = channel();
        let gate = Arc::new(Event::new());
        let opened = Arc::new(Mutex::new(false));
        way(
            &world.session,
            Blocked {
                asks,
                gate: Arc::clone(&gate),
                opened: Arc::clone(&opened),
            },
        );
        let (driver, options) = (world.asynchronous(), CallOptions::default());
        let mut call = Box::pin(driver.execute(get("/devices"), &options));
        // Returns although the source has not.
        assert!(until_stalled(call.as_mut()).is_pending());
        assert_ne!(asked.recv().unwrap(), std::thread::current().id());
        *lock(&opened) = true;
        gate.notify(usize::MAX);
        let response = loop {
            if let Poll::Ready(response) = until_stalled(call.as_mut()) {
                break response;
            }
            std::thread::yield_now();
        };
        assert_eq!(status(response), 200);
    }
}

#[derive(Clone)]
struct Blocked {
    asks: Sender<std::thread::ThreadId>,
    gate: Arc<Event>,
    opened: Arc<Mutex<bool>>,
}

impl Blocked {
    fn wait(&self) -> Result<Credentials, CredentialsError> {
        use event_listener::Listener;
        self.asks.send(std::thread::current().id()).unwrap();
        loop {
            let changed = self.gate.listen();
            if *lock(&self.opened) {
                return Ok(credentials("p"));
            }
            changed.wait();
        }
    }
}

/// A call of the source's own with the session it is for would wait for itself.
#[test]
fn a_source_that_calls_with_the_session_itself_is_denied() {
    let world = World::without_credentials(Settings::default());
    let driver = world.blocking();
    let inner = driver.clone();
    world.session.set_credentials_source(move || {
        match inner.execute(get("/password"), &CallOptions::default()) {
            Err(error @ CallError::Denied(_)) => Err(CredentialsError::unavailable(error)),
            other => panic!("not denied: {other:?}"),
        }
    });
    let denied = denied(driver.execute(get("/devices"), &CallOptions::default()));
    assert!(
        chain(&denied).contains("within a CTC login"),
        "{}",
        chain(&denied)
    );
}
