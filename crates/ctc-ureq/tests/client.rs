//! The client as its users see it: builder, requests, answers, errors.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::{Cursor, Read};
use std::time::Duration;

use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Rule,
    Server,
};
use ctc_ureq::ureq::{self, Agent};
use ctc_ureq::{
    Body, BuildError, Client, ClientBuilder, Denial, Endpoint, Error, Login, LoginFailure, OAuth,
    SendError,
};
use http::{Method, Request};
use serde_json::{Value, json};

const DEVICES: &str = "/connect/services/devices";
const ECHO: &str = "/connect/test/echo";

fn builder(server: &Server) -> ClientBuilder {
    Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
}

fn client(server: &Server) -> Client {
    builder(server).build().unwrap()
}

#[test]
fn every_method_and_builder_step_reaches_the_wire() {
    let server = Server::start().unwrap();
    let client = client(&server);
    let echo = client
        .post(format!("{ECHO}?a=1"))
        .query(&[("b", "x y")])
        .query(&[("c", "ü")])
        .header("x-one", "1")
        .headers(
            [(http::header::ACCEPT, "text/plain".parse().unwrap())]
                .into_iter()
                .collect(),
        )
        .json(&json!({"speed": 88}))
        .timeout(Duration::from_secs(10))
        .send()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    let echo: Value = serde_json::from_str(&echo).unwrap();
    assert_eq!(echo["method"], "POST");
    let entry = server.journal().pop().unwrap();
    assert_eq!(entry.query, "a=1&b=x+y&c=%C3%BC");
    assert_eq!(entry.header("x-one"), ["1"]);
    assert_eq!(entry.header("accept"), ["text/plain"]);
    assert_eq!(entry.header("content-type"), ["application/json"]);
    assert_eq!(entry.body, br#"{"speed":88}"#);
    assert!(entry.header("user-agent")[0].starts_with("ctc-ureq/"));

    // An empty query changes nothing.
    let none: [(&str, &str); 0] = [];
    for (path, query) in [(ECHO, ""), ("/connect/test/echo?a=1", "a=1")] {
        let request = client.get(path).query(&none).build().unwrap();
        assert_eq!(request.uri().query().unwrap_or_default(), query);
        assert!(!request.uri().to_string().ends_with('?'));
    }

    client.post(ECHO).form(&[("k", "v w")]).send().unwrap();
    let entry = server.journal().pop().unwrap();
    assert_eq!(
        entry.header("content-type"),
        ["application/x-www-form-urlencoded"]
    );
    assert_eq!(entry.body, b"k=v+w");

    for (request, method) in [
        (client.get(ECHO), "GET"),
        (client.put(ECHO).body("text"), "PUT"),
        (client.delete(ECHO), "DELETE"),
        (client.head(ECHO), "HEAD"),
        (client.patch(ECHO), "PATCH"),
        (client.request(Method::OPTIONS, ECHO), "OPTIONS"),
    ] {
        assert_eq!(request.send().unwrap().status(), 200);
        assert_eq!(server.journal().pop().unwrap().method, method);
    }
    assert_eq!((server.counts().logins, server.counts().violations), (1, 0));
}

#[test]
fn what_cannot_be_a_request_is_told_with_its_source_and_not_sent() {
    let server = Server::start().unwrap();
    let client = client(&server);
    let no_text_keys = BTreeMap::from([((1, 2), 3)]);
    for request in [
        client.get(ECHO).header("no name", "1"),
        client.get(ECHO).header("x-one", "no\nvalue"),
        client.get(ECHO).query("no pairs"),
        client.get(ECHO).form("no pairs"),
        client.get(ECHO).json(&no_text_keys),
        // What comes after it does not hide it.
        client
            .get(ECHO)
            .header("no name", "1")
            .header("x-one", "1")
            .query(&[("a", 1)]),
    ] {
        let error = request.send().unwrap_err();
        assert!(
            matches!(error, Error::Request(_)) && error.source().is_some(),
            "{error:?}"
        );
    }
    assert!(client.get(ECHO).header("no name", "1").build().is_err());
    assert!(server.journal().is_empty());
}

/// A `Content-Length` of zero on a GET announces a body, which some gateways reject.
#[test]
fn a_body_without_bytes_is_no_body() {
    let server = Server::start().unwrap();
    let client = client(&server);
    for (method, length) in [(Method::GET, None), (Method::POST, Some("0"))] {
        let native = || Request::builder().method(method.clone()).uri(ECHO);
        for body in [
            Body::empty(),
            Body::from(Vec::new()),
            Body::from(""),
            Body::from(bytes::Bytes::new()),
        ] {
            let native = native().body(body).unwrap();
            assert_eq!(client.execute(native).unwrap().status(), 200);
            let entry = server.journal().pop().unwrap();
            assert_eq!(entry.header("content-length").first().copied(), length);
        }
    }
}

/// What some thread makes while it is sent.
#[test]
fn a_stream_need_not_be_shared_between_threads() {
    struct Received(std::sync::mpsc::Receiver<u8>);
    impl Read for Received {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let byte = self.0.recv().ok();
            let room = buffer.first_mut().zip(byte);
            Ok(room.map_or(0, |(room, byte)| {
                *room = byte;
                1
            }))
        }
    }
    let server = Server::start().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        b"made meanwhile"
            .iter()
            .try_for_each(|byte| sender.send(*byte))
    });
    let body = Body::from_reader(Received(receiver));
    let sent = client(&server).post(ECHO).body(body).send();
    assert_eq!(sent.unwrap().status(), 200);
    assert_eq!(server.journal().pop().unwrap().body, b"made meanwhile");
}

#[test]
fn a_native_request_and_streams_in_both_directions() {
    let server = Server::start().unwrap();
    let client = client(&server);
    let body = Body::from_reader(
        Cursor::new("one ")
            .chain(Cursor::new("two "))
            .chain(Cursor::new("three")),
    );
    let request = Request::post(format!("{}{ECHO}", server.url()))
        .body(body)
        .unwrap();
    assert_eq!(client.execute(request).unwrap().status(), 200);
    assert_eq!(server.journal().pop().unwrap().body, b"one two three");

    let download = client.get("/connect/test/bytes/3000000").send().unwrap();
    let length = std::io::copy(
        &mut download.into_body().into_reader(),
        &mut std::io::sink(),
    )
    .unwrap();
    assert_eq!(length, 3_000_000);
}

#[test]
fn t27_t56_trouble_at_login_is_a_typed_error_with_its_source() {
    let server = Server::start().unwrap();
    server.inject(Rule::forever(Matcher::Login, Fault::Hang { act: false }));
    let client = builder(&server)
        .login_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let Err(Error::Denied(denied)) = client.login() else {
        panic!("should be denied")
    };
    let Denial::BackingOff { cause, .. } = denied.denial() else {
        panic!("{denied:?}")
    };
    assert_eq!(*cause, LoginFailure::MaybeSent);
    assert!(denied.retry_after().is_some());
    assert!(std::error::Error::source(&denied).is_some());

    server.clear_faults();
    assert!(
        client
            .get(DEVICES)
            .max_wait(Duration::from_secs(30))
            .send()
            .is_ok()
    );
}

#[test]
fn a_call_has_the_time_it_is_given() {
    let server = Server::start().unwrap();
    let client = builder(&server)
        .timeout(Duration::from_millis(150))
        .build()
        .unwrap();
    client.login().unwrap();
    server.inject(Rule::forever(
        Matcher::Path(DEVICES.into()),
        Fault::Hang { act: false },
    ));
    let Err(Error::Send(error)) = client.get(DEVICES).query(&[("q", "CANARY")]).send() else {
        panic!("should time out")
    };
    assert!(matches!(&error, SendError::Ureq(ureq::Error::Timeout(_))));
    assert!(!format!("{error} {error:?}").contains("CANARY"));
    assert_eq!(client.session().counts().logins, 1);
}

#[test]
fn t43_the_callers_cookies_are_kept_beside_the_token() {
    let server = Server::start().unwrap();
    let client = client(&server);
    client.get(DEVICES).send().unwrap();
    client
        .get(DEVICES)
        .header("cookie", "mine=1; authToken=stale")
        .send()
        .unwrap();
    let entry = server.journal().pop().unwrap();
    let cookies = entry.header("cookie");
    assert_eq!(cookies.len(), 1);
    assert!(
        cookies[0].starts_with("mine=1; authToken=") && !cookies[0].contains("stale"),
        "{cookies:?}"
    );
    assert_eq!(server.counts().violations, 0);
}

#[test]
fn your_own_agent_follows_no_redirect_and_returns_every_status() {
    let server = Server::start().unwrap();
    let other = Server::start().unwrap();
    // As ureq sets it up by default: ten redirects, and errors for 4xx and 5xx.
    let client = builder(&server)
        .http_client(Agent::new_with_defaults())
        .build()
        .unwrap();
    client.login().unwrap();
    let location = format!("{}/elsewhere", other.url());
    server.inject(Rule::once(
        Matcher::Path(DEVICES.into()),
        Fault::Redirect {
            status: 302,
            location,
        },
    ));
    assert_eq!(client.get(DEVICES).send().unwrap().status(), 302);
    let response = client.get("/connect/test/status/503").send().unwrap();
    assert_eq!(
        (response.status().as_u16(), other.journal().len()),
        (503, 0)
    );
}

#[test]
fn t63_a_blocking_call_in_an_async_worker_works_and_nests_no_runtime() {
    let server = Server::start().unwrap();
    let client = client(&server);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        assert_eq!(client.get(DEVICES).send().unwrap().status(), 200);
        let client = client.clone();
        let inside =
            tokio::spawn(
                async move { client.get(DEVICES).send().map(|response| response.status()) },
            );
        assert_eq!(inside.await.unwrap().unwrap(), 200);
    });
}

#[test]
fn what_the_builder_lacks_is_named() {
    let error = Client::builder().build().unwrap_err().to_string();
    assert!(error.contains("Endpoint::us()"), "{error}");
    let client = Client::builder()
        .endpoint(Endpoint::us())
        .app_key("k")
        .credentials("u", "p")
        .user_agent("mine/1")
        .http_client(Agent::new_with_defaults());
    assert!(matches!(client.build(), Err(BuildError::OwnHttpClient)));
    let spaces = Client::builder()
        .endpoint(Endpoint::us())
        .app_key("SECRET KEY")
        .credentials("u", "p")
        .build();
    let error = format!(
        "{:?} {}",
        spaces.as_ref().unwrap_err(),
        spaces.as_ref().unwrap_err()
    );
    assert!(error.contains("character 7 of"), "{error}");
    assert!(!error.contains("SECRET"), "{error}");
}

/// The variables that name a proxy are a process's own, so this test runs itself once more in
/// another one.
#[test]
fn guarantee_8_plain_http_goes_through_no_proxy() {
    const SERVER: &str = "CTC_TEST_SERVER";
    const TOKEN_URL: &str = "CTC_TEST_TOKEN_URL";
    if let Ok(url) = std::env::var(SERVER) {
        let client = Client::builder()
            .endpoint(Endpoint::danger_plain_http(&url).unwrap())
            .app_key(DEFAULT_APP_KEY)
            .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
            .build()
            .unwrap();
        client.login().unwrap();
        // Nor does a password on its way to a token endpoint on this machine.
        let token_url = std::env::var(TOKEN_URL).unwrap();
        let oauth = OAuth::danger_plain_http(&token_url, DEFAULT_CLIENT_ID).unwrap();
        let client = Client::builder()
            .endpoint(Endpoint::new("https://api.example").unwrap())
            .login(Login::OAuth(oauth))
            .app_key(DEFAULT_APP_KEY)
            .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
            .build()
            .unwrap();
        client.login().unwrap();
        return;
    }
    let (server, proxy) = (Server::start().unwrap(), Server::start().unwrap());
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again
        .args(["--exact", "guarantee_8_plain_http_goes_through_no_proxy"])
        .env(SERVER, server.url())
        .env(TOKEN_URL, server.token_url());
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(variable, proxy.url());
    }
    assert!(again.output().unwrap().status.success());
    assert_eq!(
        (server.counts().logins, proxy.counts()),
        (2, ctc_testkit::Counts::default())
    );
}
