//! The client as its users see it: builder, requests, answers, errors.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use ctc_reqwest::reqwest::{self, redirect::Policy};
use ctc_reqwest::{
    BuildError, Client, ClientBuilder, Denial, Endpoint, Error, Login, LoginFailure, OAuth,
    SendError, http_client_builder,
};
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Rule,
    Server,
};
use http::Method;
use serde_json::{Value, json};

const DEVICES: &str = "/connect/services/devices";
const ECHO: &str = "/connect/test/echo";

/// With TLS compiled in, the program must choose its provider before the first client is built.
fn choose_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn builder(server: &Server) -> ClientBuilder {
    choose_crypto_provider();
    Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
}

fn client(server: &Server) -> Client {
    builder(server).build().unwrap()
}

#[tokio::test]
async fn every_method_and_builder_step_reaches_the_wire() {
    let server = Server::start().unwrap();
    let client = client(&server);
    let echo: Value = client
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
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(echo["method"], "POST");
    let entry = server.journal().pop().unwrap();
    assert_eq!(entry.query, "a=1&b=x+y&c=%C3%BC");
    assert_eq!(entry.header("x-one"), ["1"]);
    assert_eq!(entry.header("accept"), ["text/plain"]);
    assert_eq!(entry.header("content-type"), ["application/json"]);
    assert_eq!(entry.body, br#"{"speed":88}"#);
    assert!(entry.header("user-agent")[0].starts_with("ctc-reqwest/"));

    client
        .post(ECHO)
        .form(&[("k", "v w")])
        .send()
        .await
        .unwrap();
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
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(server.journal().pop().unwrap().method, method);
    }
    assert_eq!((server.counts().logins, server.counts().violations), (1, 0));
}

#[tokio::test]
async fn what_cannot_be_a_request_is_told_with_its_source_and_not_sent() {
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
        let error = request.send().await.unwrap_err();
        assert!(
            matches!(error, Error::Request(_)) && error.source().is_some(),
            "{error:?}"
        );
    }
    assert!(client.get(ECHO).header("no name", "1").build().is_err());
    assert!(server.journal().is_empty());
}

#[tokio::test]
async fn a_native_request_and_streams_in_both_directions() {
    let server = Server::start().unwrap();
    let client = client(&server);
    let url = format!("{}{ECHO}", server.url()).parse().unwrap();
    let mut request = reqwest::Request::new(Method::POST, url);
    let pieces = ["one ", "two ", "three"].map(Ok::<_, std::io::Error>);
    *request.body_mut() = Some(reqwest::Body::wrap_stream(futures_util::stream::iter(
        pieces,
    )));
    assert_eq!(client.execute(request).await.unwrap().status(), 200);
    assert_eq!(server.journal().pop().unwrap().body, b"one two three");

    let mut download = client
        .get("/connect/test/bytes/3000000")
        .send()
        .await
        .unwrap();
    let mut length = 0;
    while let Some(chunk) = download.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!(length, 3_000_000);
}

#[tokio::test]
async fn t27_t56_trouble_at_login_is_a_typed_error_with_its_source() {
    let server = Server::start().unwrap();
    server.inject(Rule::forever(Matcher::Login, Fault::Hang { act: false }));
    let client = builder(&server)
        .login_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let Err(Error::Denied(denied)) = client.login().await else {
        panic!("should be denied")
    };
    let Denial::BackingOff { cause, .. } = denied.denial() else {
        panic!("{denied:?}")
    };
    assert_eq!(*cause, LoginFailure::MaybeSent);
    assert!(denied.retry_after().is_some());
    assert!(std::error::Error::source(&denied).is_some());

    server.clear_faults();
    let patient = client.get(DEVICES).max_wait(Duration::from_secs(30)).send();
    assert!(
        tokio::time::timeout(Duration::from_secs(60), patient)
            .await
            .unwrap()
            .is_ok()
    );
}

#[tokio::test]
async fn a_call_has_the_time_it_is_given() {
    let server = Server::start().unwrap();
    let client = builder(&server)
        .timeout(Duration::from_millis(150))
        .build()
        .unwrap();
    client.login().await.unwrap();
    server.inject(Rule::forever(
        Matcher::Path(DEVICES.into()),
        Fault::Hang { act: false },
    ));
    let Err(Error::Send(error)) = client.get(DEVICES).query(&[("q", "CANARY")]).send().await else {
        panic!("should time out")
    };
    assert!(matches!(&error, SendError::Reqwest(error) if error.is_timeout()));
    assert!(!format!("{error} {error:?}").contains("CANARY"));
    assert_eq!(client.session().counts().logins, 1);
}

#[tokio::test]
async fn t43_a_cookie_jar_of_your_own_client_adds_nothing_to_a_call() {
    let server = Server::start().unwrap();
    choose_crypto_provider();
    let http = http_client_builder().cookie_store(true).build().unwrap();
    let client = builder(&server).http_client(http).build().unwrap();
    client.get(DEVICES).send().await.unwrap();
    assert_eq!(server.journal().pop().unwrap().tokens().len(), 1);
    client
        .get(DEVICES)
        .header("cookie", "mine=1; authToken=stale")
        .send()
        .await
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

#[tokio::test]
async fn your_own_client_that_follows_redirects_is_detected() {
    let server = Server::start().unwrap();
    let other = Server::start().unwrap();
    choose_crypto_provider();
    let http = reqwest::Client::builder()
        .redirect(Policy::limited(5))
        .build()
        .unwrap();
    let client = builder(&server).http_client(http).build().unwrap();
    client.login().await.unwrap();
    let location = format!("{}/elsewhere", other.url());
    server.inject(Rule::once(
        Matcher::Path(DEVICES.into()),
        Fault::Redirect {
            status: 302,
            location,
        },
    ));
    let response = client.get(DEVICES).send().await;
    assert!(
        matches!(response, Err(Error::Send(SendError::LeftOrigin))),
        "{response:?}"
    );

    let fresh = reqwest::Client::builder()
        .redirect(Policy::limited(5))
        .build()
        .unwrap();
    let client = builder(&server).http_client(fresh).build().unwrap();
    let location = format!("{}/moved", server.url());
    server.inject(Rule::once(
        Matcher::Login,
        Fault::Redirect {
            status: 302,
            location,
        },
    ));
    let Err(Error::Denied(denied)) = client.login().await else {
        panic!("should be denied")
    };
    let source = std::error::Error::source(&denied).unwrap().to_string();
    assert!(source.contains("followed a redirect at login"), "{source}");
}

#[test]
fn what_the_builder_lacks_is_named() {
    choose_crypto_provider();
    let error = Client::builder().build().unwrap_err().to_string();
    assert!(error.contains("Endpoint::us()"), "{error}");
    let http = reqwest::Client::builder().build();
    let client = Client::builder()
        .endpoint(Endpoint::us())
        .app_key("k")
        .credentials("u", "p")
        .user_agent("mine/1")
        .http_client(http.unwrap());
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
        choose_crypto_provider();
        let client = Client::builder()
            .endpoint(Endpoint::danger_plain_http(&url).unwrap())
            .app_key(DEFAULT_APP_KEY)
            .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(client.login()).unwrap();
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
        runtime.block_on(client.login()).unwrap();
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
