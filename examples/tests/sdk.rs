//! Tests of the SDK with mocks, as its author would write them, and with the test server, over
//! every client.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use std::error::Error as _;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ctc_driver::ctc_core::{Endpoint, Login, OAuth, Unauthorized};
use ctc_driver::{
    AsyncCaller, AsyncDriver, AsyncTransport, BoxFuture, Caller, Driver, LoginRequest,
    LoginResponse, Runtime, SessionConfig, SharedSession, Transport, TransportError,
};
use ctc_examples::explain;
use ctc_examples::sdk::{AvlEvent, DeviceId, Error, Fleet, blocking};
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Rule,
    Server,
};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use http::{Method, Request, Response, StatusCode};

const TRUCK: DeviceId = DeviceId(1001);

/// With mocks: no server, no socket, no runtime.
mod mocked {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no line")]
    pub(super) struct NoLine;
    impl TransportError for NoLine {}

    mockall::mock! {
        Stack {}
        impl Transport for Stack {
            type Request = Request<Vec<u8>>;
            type Response = Response<String>;
            type Error = NoLine;
            fn send(&self, request: Request<Vec<u8>>) -> Result<Response<String>, NoLine>;
            fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, NoLine>;
        }
    }

    mockall::mock! {
        AsyncStack {}
        #[async_trait]
        impl AsyncTransport for AsyncStack {
            type Request = Request<Vec<u8>>;
            type Response = Response<String>;
            type Error = NoLine;
            async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<String>, NoLine>;
            async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, NoLine>;
        }
    }

    /// Runs a login immediately, because a mock never waits.
    struct Inline;

    impl Runtime for Inline {
        fn spawn(&self, task: BoxFuture<()>) {
            task.now_or_never().expect("no waiting");
        }

        fn sleep(&self, _: Duration) -> BoxFuture<()> {
            Box::pin(std::future::pending())
        }
    }

    fn session() -> SharedSession {
        let config = SessionConfig::new()
            .endpoint(Endpoint::us())
            .app_key("my-key");
        config
            .credentials("ada@example.com", "s3cret!s3cret!")
            .build()
            .unwrap()
    }

    fn logged_in() -> LoginResponse {
        Response::builder()
            .header("set-cookie", "authToken=AAAA")
            .body(vec![])
            .unwrap()
            .into()
    }

    fn events(numbers: std::ops::Range<u64>) -> Response<String> {
        let event = |number| {
            format!(
                r#"{{"avlEvent": {{"messageUuid": "{number}", "deviceId": 1001,
                "eventType": "Location", "eventTime": "2025-01-01T00:00:00Z",
                "address": {{"addressLatitude": 33.5, "addressLongitude": -117.7}}}}}}"#
            )
        };
        let events: Vec<_> = numbers.map(event).collect();
        Response::new(format!(
            r#"{{"response": {{"results": [{}]}}}}"#,
            events.join(",")
        ))
    }

    fn asks_for(page: &'static str) -> impl Fn(&Request<Vec<u8>>) -> bool {
        move |request| {
            let uri = format!(
                "https://connect.calamp.com/connect/services/devices/1001/avlevents?{page}"
            );
            *request.uri() == uri.as_str() && request.headers()["cookie"] == "authToken=AAAA"
        }
    }

    #[test]
    fn pages_are_fetched_as_they_are_asked_for() {
        let mut stack = MockStack::new();
        stack
            .expect_send_login()
            .once()
            .return_once(|_| Ok(logged_in()));
        stack
            .expect_send()
            .withf(asks_for("pg=1&pgsize=100"))
            .once()
            .return_once(|_| Ok(events(0..100)));
        let fleet = blocking::Fleet::new(Driver::new(session(), stack, None));
        // The first page has a hundred events. The second is not fetched, or the mock would fail.
        assert_eq!(
            fleet.events(TRUCK).take(100).filter(Result::is_ok).count(),
            100
        );
    }

    #[test]
    fn the_last_page_is_the_one_that_is_not_full() {
        let mut stack = MockAsyncStack::new();
        stack
            .expect_send_login()
            .once()
            .return_once(|_| Ok(logged_in()));
        stack
            .expect_send()
            .withf(asks_for("pg=1&pgsize=100"))
            .once()
            .return_once(|_| Ok(events(0..100)));
        stack
            .expect_send()
            .withf(asks_for("pg=2&pgsize=100"))
            .once()
            .return_once(|_| Ok(events(100..120)));
        let fleet = Fleet::new(AsyncDriver::new(session(), stack, Inline, None));
        let events = fleet
            .events(TRUCK)
            .try_collect::<Vec<_>>()
            .now_or_never()
            .expect("no waiting")
            .unwrap();
        assert_eq!(events.len(), 120);
        assert_eq!(events[119].message_uuid, "119");
    }

    #[test]
    fn an_error_is_handed_out_once_and_ends_the_walk() {
        let mut stack = MockStack::new();
        stack
            .expect_send_login()
            .once()
            .return_once(|_| Ok(logged_in()));
        stack.expect_send().once().return_once(|_| Err(NoLine));
        let fleet = blocking::Fleet::new(Driver::new(session(), stack, None));
        let mut events = fleet.events(TRUCK);
        let error = events.next().unwrap().unwrap_err();
        let told = explain(&error);
        assert!(
            told.starts_with("cannot read the device's events: the call got no response"),
            "{told}"
        );
        assert!(told.ends_with(": no line"), "{told}");
        assert!(
            error
                .source()
                .and_then(|source| source.source())
                .is_some_and(<dyn std::error::Error>::is::<NoLine>)
        );
        assert!(events.next().is_none());
    }

    #[test]
    fn a_refused_password_says_so_and_waiting_does_not_help() {
        let mut stack = MockStack::new();
        let refused = || Response::builder().status(401).body(vec![]).unwrap();
        stack
            .expect_send_login()
            .once()
            .return_once(move |_| Ok(refused().into()));
        let fleet = blocking::Fleet::new(Driver::new(session(), stack, None));
        let error = fleet.device(TRUCK).unwrap_err();
        assert!(matches!(error, Error::NoSession { .. }), "{error:?}");
        assert_eq!(error.retry_after(), None);
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error_with_its_cause() {
        for body in ["<html>", r#"{"response": {"results": []}}"#] {
            let mut stack = MockStack::new();
            stack
                .expect_send_login()
                .once()
                .return_once(|_| Ok(logged_in()));
            stack
                .expect_send()
                .once()
                .return_once(|_| Ok(Response::new(body.to_owned())));
            let error = blocking::Fleet::new(Driver::new(session(), stack, None))
                .device(TRUCK)
                .unwrap_err();
            assert!(
                matches!(error, Error::ServerResponse { .. }) && error.source().is_some(),
                "{error:?}"
            );
        }
    }
}

/// Checks the blocking SDK over any client.
fn tour<C: Caller>(server: &Server, ctc: C) {
    let fleet = blocking::Fleet::new(ctc);
    assert_eq!(fleet.devices().filter(Result::is_ok).count(), 25);
    assert_eq!(fleet.device(TRUCK).unwrap().name, "Truck 1");
    let mut events = fleet.events(TRUCK);
    let first: Vec<AvlEvent> = events.by_ref().take(100).collect::<Result<_, _>>().unwrap();
    assert!(
        first
            .iter()
            .all(|event| event.device_id == TRUCK && event.position.latitude > 33.0)
    );
    server.revoke_all(); // between two pages
    assert_eq!(events.filter(Result::is_ok).count(), 20);
    assert_eq!(fleet.add_note(TRUCK, "checked").unwrap().text, "checked");
    assert!(matches!(
        fleet.device(DeviceId(1)),
        Err(Error::Status {
            status: StatusCode::NOT_FOUND,
            ..
        })
    ));
    check(server);
}

/// Checks the async SDK over any client.
async fn async_tour<C: AsyncCaller>(server: &Server, ctc: C) {
    let fleet = Fleet::new(ctc);
    assert_eq!(
        fleet.devices().try_collect::<Vec<_>>().await.unwrap().len(),
        25
    );
    assert_eq!(fleet.device(TRUCK).await.unwrap().name, "Truck 1");
    let mut events = std::pin::pin!(fleet.events(TRUCK));
    let first: Vec<_> = events.by_ref().take(100).try_collect().await.unwrap();
    assert_eq!(first.len(), 100);
    server.revoke_all();
    assert_eq!(events.try_collect::<Vec<_>>().await.unwrap().len(), 20);
    assert_eq!(
        fleet.add_note(TRUCK, "checked").await.unwrap().text,
        "checked"
    );
    let missing = fleet.device(DeviceId(1)).await;
    assert!(matches!(
        missing,
        Err(Error::Status {
            status: StatusCode::NOT_FOUND,
            ..
        })
    ));
    check(server);
}

fn check(server: &Server) {
    let counts = server.counts();
    assert_eq!(
        (counts.logins, counts.needless_logins, counts.violations),
        (2, 0, 0)
    );
    assert_eq!(server.notes(1001), ["checked"]);
    for entry in server
        .journal()
        .iter()
        .filter(|entry| entry.method == Method::GET.as_str())
    {
        assert_eq!(
            entry.header("content-length"),
            Vec::<&str>::new(),
            "a GET has no body"
        );
    }
}

/// Returns both logins: the SDK does not depend on which it is.
fn logins(server: &Server) -> [Login; 2] {
    let oauth = OAuth::danger_plain_http(&server.token_url(), DEFAULT_CLIENT_ID);
    [Login::AuthToken, Login::OAuth(oauth.unwrap())]
}

fn over_ureq(server: &Server, login: Login) -> ctc_ureq::Client {
    let builder =
        ctc_ureq::Client::builder().endpoint(Endpoint::danger_plain_http(&server.url()).unwrap());
    builder
        .login(login)
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()
        .unwrap()
}

fn over_reqwest(server: &Server, login: Login) -> ctc_reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = ctc_reqwest::Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap());
    builder
        .login(login)
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()
        .unwrap()
}

#[test]
fn over_ureq_it_all_works() {
    for kind in 0..2 {
        let server = Server::start().unwrap();
        let login = logins(&server)[kind].clone();
        tour(&server, over_ureq(&server, login));
    }
}

#[tokio::test]
async fn over_reqwest_it_all_works() {
    for kind in 0..2 {
        let server = Server::start().unwrap();
        let login = logins(&server)[kind].clone();
        async_tour(&server, over_reqwest(&server, login)).await;
    }
}

#[tokio::test]
async fn over_tower_it_all_works() {
    use http_body_util::Full;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    use tower::Layer;

    for kind in 0..2 {
        let server = Server::start().unwrap();
        let session = SessionConfig::new()
            .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
            .login(logins(&server)[kind].clone())
            .app_key(DEFAULT_APP_KEY)
            .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
            .build()
            .unwrap();
        let hyper: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        async_tour(&server, ctc_tower::CtcLayer::new(session).layer(hyper)).await;
    }
}

#[tokio::test]
async fn streams_can_be_spawned() {
    let server = Server::start().unwrap();
    let fleet = Fleet::new(over_reqwest(&server, Login::AuthToken));
    let events = tokio::spawn(async move { fleet.events(TRUCK).count().await });
    assert_eq!(events.await.unwrap(), 120);
}

#[test]
fn a_write_is_not_repeated_and_the_error_says_why() {
    let server = Server::start().unwrap();
    let fleet = blocking::Fleet::new(over_ureq(&server, Login::AuthToken));
    fleet.add_note(TRUCK, "one").unwrap();
    server.revoke_all();
    let error = fleet.add_note(TRUCK, "two").unwrap_err();
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<Unauthorized>());
    assert_eq!(source, Some(&Unauthorized::NotReplayable), "{error:?}");
    fleet.add_note(TRUCK, "two").unwrap();
    assert_eq!(server.notes(1001), ["one", "two"]);
}

#[tokio::test]
async fn a_body_that_ends_early_differs_from_a_missing_response() {
    let cut = || {
        let server = Server::start().unwrap();
        let point = ctc_testkit::Point::MidBody;
        server.inject(Rule::forever(
            Matcher::AnyCall,
            Fault::Cut {
                at: point,
                act: true,
            },
        ));
        server
    };
    let server = cut();
    let error = Fleet::new(over_reqwest(&server, Login::AuthToken))
        .device(TRUCK)
        .await
        .unwrap_err();
    assert!(
        explain(&error).contains("body ended early"),
        "{}",
        explain(&error)
    );
    let server = cut();
    let error = blocking::Fleet::new(over_ureq(&server, Login::AuthToken))
        .device(TRUCK)
        .unwrap_err();
    assert!(
        explain(&error).contains("body ended early"),
        "{}",
        explain(&error)
    );
}

/// What the SDK does when CTC is busy, with a caller of the test, which takes no time.
mod retries {
    use std::sync::Mutex;

    use ctc_driver::CallError;
    use http::header::{DATE, RETRY_AFTER};

    use super::mocked::NoLine;
    use super::*;

    #[derive(Default)]
    struct Busy {
        responses: Mutex<Vec<(u16, Option<&'static str>)>>,
        pauses: Mutex<Vec<Duration>>,
    }

    #[async_trait]
    impl AsyncCaller for Busy {
        type Error = NoLine;

        async fn fetch(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, CallError<NoLine>> {
            let (status, after) = self.responses.lock().unwrap().remove(0);
            let mut response = Response::builder().status(status);
            if let Some(after) = after {
                response = response.header(RETRY_AFTER, after);
            }
            if after.is_some_and(|after| after.contains("2031")) {
                response = response.header(DATE, "Wed, 15 Jan 2031 12:00:00 GMT");
            }
            let note = br#"{"response":{"results":[{"note":{"id":1,"text":"x"}}]}}"#;
            Ok(response.body(note.to_vec()).unwrap())
        }

        async fn sleep(&self, duration: Duration) {
            self.pauses.lock().unwrap().push(duration);
        }
    }

    /// Returns the status that the SDK ends with, and its waits.
    fn note(responses: &[(u16, Option<&'static str>)]) -> (Option<u16>, Vec<Duration>) {
        let busy = Busy::default();
        *busy.responses.lock().unwrap() = responses.to_vec();
        let fleet = Fleet::new(&busy);
        let status = match fleet.add_note(TRUCK, "x").now_or_never().unwrap() {
            Ok(_) => None,
            Err(Error::Status { status, .. }) => Some(status.as_u16()),
            Err(error) => panic!("{error:?}"),
        };
        (status, std::mem::take(&mut *busy.pauses.lock().unwrap()))
    }

    fn device(responses: &[(u16, Option<&'static str>)]) -> (u16, Vec<Duration>) {
        let busy = Busy::default();
        *busy.responses.lock().unwrap() = responses.to_vec();
        let fleet = Fleet::new(&busy);
        let status = match fleet.device(TRUCK).now_or_never().unwrap() {
            Err(Error::Status { status, .. }) => status.as_u16(),
            other => panic!("{other:?}"),
        };
        (status, std::mem::take(&mut *busy.pauses.lock().unwrap()))
    }

    #[test]
    fn retry_after_is_honoured_and_a_post_is_repeated_after_a_429_only() {
        let (second, own) = (Duration::from_secs(1), Duration::from_millis(400));
        let busy = [(429, Some("1")), (429, None), (200, None)];
        assert_eq!(note(&busy), (None, vec![second, own]));
        assert_eq!(note(&[(503, Some("1"))]), (Some(503), vec![]));
        assert_eq!(
            device(&[(503, Some("1")), (404, None)]),
            (404, vec![second])
        );
        // A time counts by the server's clock. A past one, and what is neither, are no reason to
        // fail.
        let date = Some("Wed, 15 Jan 2031 12:00:07 GMT");
        let past = Some("Sat, 01 Jan 2000 00:00:00 GMT");
        let busy = [(503, date), (503, past), (429, Some("soon")), (404, None)];
        let pauses = vec![Duration::from_secs(7), Duration::ZERO, own * 2];
        assert_eq!(device(&busy), (404, pauses));
        // Too long a pause, and too many of them, are for the application.
        assert_eq!(
            device(&[(429, Some("Thu, 16 Jan 2031 12:00:00 GMT"))]).0,
            429
        );
        assert_eq!(device(&[(429, Some("3600"))]), (429, vec![]));
        assert_eq!(device(&[(502, None); 4]).1.len(), 3);
    }
}

/// As README.md says: what stays the SDK's is short. Lines of code: no comments, blank lines or
/// imports.
#[test]
fn retries_and_the_walk_through_pages_take_25_lines_each() {
    fn lines<'a>(text: impl Iterator<Item = &'a str>) -> usize {
        let is_code =
            |line: &&str| !(line.is_empty() || line.starts_with("//") || line.starts_with("use "));
        text.map(str::trim).filter(is_code).count()
    }
    let retry = lines(include_str!("../sdk/retry.rs").lines());
    assert!(retry <= 25, "retry.rs: {retry}");
    for text in [
        include_str!("../sdk/fleet.rs"),
        include_str!("../sdk/blocking.rs"),
    ] {
        for head in ["fn fetch(", "fn pages<"] {
            let from_head = text.lines().skip_while(|line| !line.contains(head));
            let method = lines(from_head.take_while(|line| *line != "    }")) + 1;
            assert!((10..=25).contains(&method), "{head} {method}");
        }
    }
}
