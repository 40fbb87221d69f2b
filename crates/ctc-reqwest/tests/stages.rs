//! Whether a request that got no response may have reached the server: by the stage that it came
//! to, whatever the error.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers are tests too"
)]

#[path = "../../ctc-ureq/tests/common/places.rs"]
mod places;
#[path = "../../ctc-ureq/tests/common/raw.rs"]
mod raw;

use std::num::NonZeroU32;
use std::time::Duration;

use ctc_driver::ctc_core::SendFailure;
use ctc_driver::{AsyncTransport, TransportError};
use ctc_reqwest::{
    Client, Denial, Endpoint, Error, LoginFailure, Outbound, ReqwestTransport, SendError,
    http_client_builder, reqwest,
};
use places::Places;

fn http() -> reqwest::ClientBuilder {
    http_through_a_proxy().no_proxy()
}

fn http_through_a_proxy() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    http_client_builder().connect_timeout(Duration::from_millis(300))
}

async fn send(http: &reqwest::Client, url: &str) -> SendError {
    let transport = ReqwestTransport::new(http.clone());
    let request = http.get(format!("{url}/connect/x")).build().unwrap();
    transport.send(Outbound::new(request)).await.unwrap_err()
}

/// What a call to `url` says of itself, and what a login there does.
async fn failures(http: &reqwest::Client, url: &str) -> (SendFailure, LoginFailure) {
    let call = send(http, url).await.failure();
    let client = Client::builder()
        .endpoint(Endpoint::danger_plain_http(url).unwrap())
        .app_key("key")
        .credentials("u", "p")
        .settings(|settings| {
            settings.fair_use.burst = NonZeroU32::MIN;
            settings.fair_use.refill = Duration::from_secs(3600);
            // Long enough that no busy machine sleeps through it before it is seen.
            settings.fair_use.backoff = Duration::from_millis(500);
        })
        .http_client(http.clone())
        .build()
        .unwrap();
    // Twice: one that was not sent costs nothing of a budget of one.
    let login = async || match client.login().await.unwrap_err() {
        Error::Denied(denied) => denied.denial().clone(),
        error => panic!("{url}: {error}"),
    };
    let Denial::BackingOff { cause, .. } = login().await else {
        panic!("{url}: no backoff");
    };
    tokio::time::sleep(Duration::from_millis(510)).await;
    let again = login().await;
    let is_free = matches!(again, Denial::BackingOff { .. });
    assert_eq!(is_free, cause == LoginFailure::NotSent, "{url}: {again:?}");
    (call, cause)
}

const NOT_SENT: (SendFailure, LoginFailure) = (SendFailure::NotSent, LoginFailure::NotSent);
const MAYBE_SENT: (SendFailure, LoginFailure) = (SendFailure::MaybeSent, LoginFailure::MaybeSent);

#[tokio::test]
async fn what_cannot_be_reached_was_not_sent() {
    let http = http().build().unwrap();
    for (wrong, url) in &Places::new().urls {
        assert_eq!(failures(&http, url).await, NOT_SENT, "{wrong}");
        let error = send(&http, url).await;
        assert_eq!(error.failed_at(), places::step(wrong), "{wrong}: {error:?}");
    }
}

#[tokio::test]
async fn what_a_proxy_refuses_was_not_sent() {
    let proxy = places::proxy();
    let through = reqwest::Proxy::all(proxy.url()).unwrap();
    let http = http_through_a_proxy().proxy(through).build().unwrap();
    assert_eq!(failures(&http, "https://192.0.2.1").await, NOT_SENT);
    assert_eq!(proxy.connections(), 3);
}

#[tokio::test]
async fn what_was_written_may_have_been_sent() {
    let server = places::takes_and_closes();
    let http = http().build().unwrap();
    assert_eq!(failures(&http, &server.url()).await, MAYBE_SENT);
}

#[tokio::test]
async fn what_a_server_does_not_respond_to_may_have_been_sent() {
    let server = raw::RawServer::start(|mut connection| connection.stall());
    let http = http()
        .read_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    assert_eq!(failures(&http, &server.url()).await, MAYBE_SENT);
}

#[cfg(unix)]
#[tokio::test]
async fn what_finds_no_socket_was_not_sent() {
    if !places::is_child() {
        return places::in_a_child("what_finds_no_socket_was_not_sent");
    }
    let server = raw::RawServer::start(|mut connection| connection.stall());
    let http = http().build().unwrap();
    places::no_more_files();
    assert_eq!(failures(&http, &server.url()).await, NOT_SENT);
    assert_eq!(
        failures(&http, "https://ctc-adapters.invalid").await,
        NOT_SENT
    );
}
