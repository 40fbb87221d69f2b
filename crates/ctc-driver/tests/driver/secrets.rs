//! Canaries: a password, a key and tokens that must turn up nowhere but on the wire and in the
//! store.

use std::error::Error;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use ctc_driver::ctc_core::{AppKey, Credentials, Endpoint, Session, Settings};
use ctc_driver::{CallError, CallOptions, SharedSession};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::run::block_on;
use crate::support::server::{Login, Route, Server};
use crate::support::store::{Fault, TestStore};
use crate::support::{World, credentials, denial, get, lock, post, seconds, status};

/// Keeps every event of every level as text.
#[derive(Clone, Default)]
pub(crate) struct Listener(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let _ = write!(self.0, " {field}={value} ({value:?})");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text(span.metadata().name().to_owned());
        span.record(&mut text);
        lock(&self.0).push(text.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = Text(String::new());
        values.record(&mut text);
        lock(&self.0).push(text.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(format!(
            "{} {}",
            event.metadata().level(),
            event.metadata().name()
        ));
        event.record(&mut text);
        lock(&self.0).push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn world(store: &TestStore) -> World {
    let clock = crate::support::clock::VirtualClock::new();
    let credentials = Credentials::new("CANARY-user", "CANARY-password").unwrap();
    let key = AppKey::new("CANARY-key").unwrap();
    let session = Session::new(Endpoint::us(), key, credentials, Settings::default()).unwrap();
    World {
        session: SharedSession::with_clock(session, clock.clone()),
        clock,
        server: Server::with_prefix("CANARY-token-"),
        store: Some(store.clone()),
    }
}

/// Walks a session through everything that can happen to it; what anybody could print of it is in
/// the result.
fn everything(heard: &Listener) -> String {
    let mut printed = String::new();
    let mut print = |value: &dyn Debug| writeln!(printed, "{value:?} {value:#?}").unwrap();
    let store = TestStore::default();
    let world = world(&store);
    for (client, password) in world.clients().into_iter().zip(["CANARY-2", "CANARY-3"]) {
        world.server.next_login(Login::Status(503));
        print(&client.call("/devices"));
        print(&world.session.phase());
        world.advance(seconds(3600));
        assert_eq!(status(client.call("/devices")), 200);
        world.server.route("/turn", Route::Rotate);
        assert_eq!(status(client.call("/turn")), 200);
        print(&(
            world.session.clone(),
            world.session.record(),
            world.session.record_key(),
        ));
        print(&(
            world.blocking(),
            world.asynchronous(),
            world.session.settings(),
        ));
        world.server.revoke_all();
        world.advance(seconds(3600));
        world.server.next_login(Login::MaybeSent);
        let Err(error) = client
            .send(post("/devices"), &CallOptions::default())
            .and_then(|_| client.call("/x"))
        else {
            panic!("the login failed");
        };
        print(&error);
        let mut link: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = link {
            print(&error.to_string());
            link = error.source();
        }
        world.advance(seconds(3600));
        world.server.route("/forbidden", Route::Forbidden);
        print(&client.call("/forbidden"));
        let elsewhere = crate::support::transport::Req::to("https://elsewhere.example/?q=1");
        let Err(error @ CallError::Stamp(_)) = client.send(elsewhere, &CallOptions::default())
        else {
            panic!("sent elsewhere");
        };
        print(&(error.to_string(), error));
        print(&client.logout());
        world.session.reopen();
        world.advance(seconds(3600));
        world.server.next_login(Login::Status(401));
        denial(client.call("/devices"));
        world
            .session
            .set_credentials(Credentials::new("CANARY-user", password).unwrap());
        store.fail("save", Fault::Unavailable);
        assert_eq!(status(client.call("/devices")), 200);
        world.session.close();
        world.session.reopen();
        world.advance(seconds(3600));
    }
    print(&lock(&heard.0).clone());
    printed
}

pub(crate) fn scan() {
    let heard = Listener::default();
    let printed = tracing::subscriber::with_default(heard.clone(), || everything(&heard));
    assert!(
        !printed.contains("CANARY"),
        "{}",
        printed.split("CANARY").next().unwrap_or_default()
    );
    let events = lock(&heard.0).len();
    assert!(events > 30, "{events} events are too few to have looked");
}

#[test]
fn t78_no_canary_in_any_event_error_or_debug() {
    scan();
}

#[test]
fn t73_a_broken_store_is_warned_of_once() {
    let heard = Listener::default();
    tracing::subscriber::with_default(heard.clone(), || {
        let world = World::with_store(&TestStore::failing("lease", Fault::Unavailable));
        for client in world.clients() {
            world.session.set_credentials(credentials("n3w!"));
            world.server.revoke_all();
            world.advance(seconds(3600));
            assert_eq!(
                status(client.send(get("/devices"), &CallOptions::default())),
                200
            );
        }
    });
    let events = lock(&heard.0);
    let about_the_store = |event: &&String| event.contains("store_failed");
    let levels: Vec<_> = events
        .iter()
        .filter(about_the_store)
        .map(|event| &event[..4])
        .collect();
    assert_eq!(levels, ["WARN", "DEBU"]);
}

#[test]
fn what_is_printed_of_a_driver_says_how_its_session_stands() {
    let world = World::new();
    let printed = [
        format!("{:?}", world.blocking()),
        format!("{:?}", world.asynchronous()),
    ];
    for (printed, name) in printed.iter().zip(["Driver", "AsyncDriver"]) {
        let session =
            format!("{name} {{ session: SharedSession {{ phase: Empty, counts: Counts {{");
        assert!(printed.starts_with(&session), "{printed}");
    }
}

#[test]
fn the_cookies_of_every_answer_are_marked_by_both_drivers() {
    let world = World::new();
    world.server.route("/turn", Route::Rotate);
    world
        .server
        .route("/other", Route::Cookie(200, "colour=blue"));
    world
        .server
        .route("/refused", Route::Cookie(401, "colour=blue"));
    for path in ["/turn", "/other", "/refused"] {
        let options = CallOptions::default();
        let responses = [
            world.blocking().execute(get(path), &options),
            block_on(world.asynchronous().execute(get(path), &options)),
        ];
        for response in responses {
            assert!(
                response.unwrap().headers()["set-cookie"].is_sensitive(),
                "{path}"
            );
        }
    }
}
