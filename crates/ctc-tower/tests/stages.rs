//! Whether a request that got no response may have reached the server: as the layer is told.
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

use bytes::Bytes;
use ctc_tower::{CallError, CtcLayer, Denial, Endpoint, LoginFailure, SendFailure, SessionConfig};
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::{Client, Error, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use places::Places;
use tower::{BoxError, Layer, ServiceExt};

fn hyper_tells(error: &BoxError) -> SendFailure {
    match error.downcast_ref::<Error>() {
        Some(error) if error.is_connect() => SendFailure::NotSent,
        _ => SendFailure::MaybeSent,
    }
}

/// What a login at `url` does.
async fn login_failure(url: &str, classify: Option<fn(&BoxError) -> SendFailure>) -> LoginFailure {
    let config = SessionConfig::new().endpoint(Endpoint::danger_plain_http(url).unwrap());
    let mut config = config.app_key("key").credentials("u", "p");
    config.settings_mut().fair_use.burst = NonZeroU32::MIN;
    config.settings_mut().fair_use.refill = Duration::from_secs(3600);
    // Long enough that no busy machine sleeps through it before it is seen.
    config.settings_mut().fair_use.backoff = Duration::from_millis(500);
    let mut layer = CtcLayer::<Full<Bytes>>::new(config.build().unwrap());
    if let Some(classify) = classify {
        layer = layer.classify_error(classify);
    }
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_millis(300)));
    connector.enforce_http(false);
    let service = layer.layer(Client::builder(TokioExecutor::new()).build(connector));
    // Twice: one that was not sent costs nothing of a budget of one.
    let login = async || {
        let request = Request::get("/connect/x").body(Full::default()).unwrap();
        match service.clone().oneshot(request).await.unwrap_err() {
            CallError::Denied(denied) => denied.denial().clone(),
            error => panic!("{url}: {error}"),
        }
    };
    let Denial::BackingOff { cause, .. } = login().await else {
        panic!("{url}: no backoff");
    };
    tokio::time::sleep(Duration::from_millis(510)).await;
    let again = login().await;
    let is_free = matches!(again, Denial::BackingOff { .. });
    assert_eq!(is_free, cause == LoginFailure::NotSent, "{url}: {again:?}");
    cause
}

/// There is no TLS in here: what fails in the handshake is for the connector's own tests.
fn without_tls(places: &Places) -> impl Iterator<Item = &(&'static str, String)> {
    let tls = ["no TLS there", "hangs up instead", "a certificate that"];
    places
        .urls
        .iter()
        .filter(move |(wrong, _)| !tls.iter().any(|tls| wrong.starts_with(tls)))
}

#[tokio::test]
async fn what_cannot_be_reached_was_not_sent_if_the_layer_is_told_how_to_tell() {
    let places = Places::new();
    assert_eq!(without_tls(&places).count(), 4);
    for (wrong, url) in without_tls(&places) {
        assert_eq!(
            login_failure(url, Some(hyper_tells)).await,
            LoginFailure::NotSent,
            "{wrong}"
        );
    }
    let server = places::takes_and_closes();
    assert_eq!(
        login_failure(&server.url(), Some(hyper_tells)).await,
        LoginFailure::MaybeSent
    );
}

#[tokio::test]
async fn without_that_only_a_refused_connection_was_not_sent() {
    for (wrong, url) in without_tls(&Places::new()) {
        let is_refused = *wrong == "connection refused";
        let expected = if is_refused {
            LoginFailure::NotSent
        } else {
            LoginFailure::MaybeSent
        };
        assert_eq!(login_failure(url, None).await, expected, "{wrong}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_finds_no_socket_was_not_sent() {
    if !places::is_child() {
        return places::in_a_child("what_finds_no_socket_was_not_sent");
    }
    let server = raw::RawServer::start(|mut connection| connection.stall());
    places::no_more_files();
    assert_eq!(
        login_failure(&server.url(), Some(hyper_tells)).await,
        LoginFailure::NotSent
    );
}
