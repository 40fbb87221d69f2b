//! Whether a request that got no response may have reached the server: by the stage that it came
//! to, whatever the error.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers are tests too"
)]

#[path = "common/places.rs"]
mod places;
#[path = "common/raw.rs"]
mod raw;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ctc_driver::ctc_core::SendFailure;
use ctc_driver::{Transport, TransportError};
use ctc_ureq::ureq::{self, config::Config};
use ctc_ureq::{
    Client, Denial, Endpoint, Error, LoginFailure, Outbound, SendError, UreqTransport,
    http_client_builder,
};
use http::Request;
use places::Places;

fn config() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    let _: Result<(), Arc<_>> = rustls::crypto::ring::default_provider().install_default();
    http_client_builder().timeout_connect(Some(Duration::from_millis(300)))
}

fn send(config: &Config, url: &str) -> SendError {
    let transport = UreqTransport::from_config(config.clone());
    let request = Request::get(format!("{url}/connect/x")).body(()).unwrap();
    transport.send(Outbound::new(request)).unwrap_err()
}

/// What a call to `url` says of itself, and what a login there does.
fn failures(config: &Config, url: &str) -> (SendFailure, LoginFailure) {
    let call = send(config, url).failure();
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
        .http_config(config.clone())
        .build()
        .unwrap();
    // Twice: one that was not sent costs nothing of a budget of one.
    let login = || match client.login().unwrap_err() {
        Error::Denied(denied) => denied.denial().clone(),
        error => panic!("{url}: {error}"),
    };
    let Denial::BackingOff { cause, .. } = login() else {
        panic!("{url}: no backoff");
    };
    std::thread::sleep(Duration::from_millis(510));
    let again = login();
    let is_free = matches!(again, Denial::BackingOff { .. });
    assert_eq!(is_free, cause == LoginFailure::NotSent, "{url}: {again:?}");
    (call, cause)
}

const NOT_SENT: (SendFailure, LoginFailure) = (SendFailure::NotSent, LoginFailure::NotSent);
const MAYBE_SENT: (SendFailure, LoginFailure) = (SendFailure::MaybeSent, LoginFailure::MaybeSent);

#[test]
fn what_cannot_be_reached_was_not_sent() {
    for (wrong, url) in &Places::new().urls {
        assert_eq!(failures(&config().build(), url), NOT_SENT, "{wrong}");
        let error = send(&config().build(), url);
        assert_eq!(error.failed_at(), places::step(wrong), "{wrong}: {error:?}");
    }
}

#[test]
fn what_a_proxy_refuses_was_not_sent() {
    let proxy = places::proxy();
    let through = ureq::Proxy::new(&proxy.url()).unwrap();
    let config = config().proxy(Some(through)).build();
    // Not loopback, which a proxy may be left out for.
    assert_eq!(failures(&config, "https://192.0.2.1"), NOT_SENT);
    assert_eq!(proxy.connections(), 3);
}

#[test]
fn what_was_written_may_have_been_sent() {
    let server = places::takes_and_closes();
    assert_eq!(failures(&config().build(), &server.url()), MAYBE_SENT);
}

#[test]
fn what_a_server_does_not_respond_to_may_have_been_sent() {
    let server = raw::RawServer::start(|mut connection| connection.stall());
    let config = config()
        .timeout_recv_response(Some(Duration::from_millis(100)))
        .build();
    assert_eq!(failures(&config, &server.url()), MAYBE_SENT);
}

/// A body that makes a call of its own on the same thread changes nothing of what is known of the
/// request that it is the body of.
#[test]
fn a_request_within_a_request_is_a_request_of_its_own() {
    struct Calls(UreqTransport, String);
    impl std::io::Read for Calls {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            let request = Request::get(&self.1).body(()).unwrap();
            let error = self.0.send(Outbound::new(request)).unwrap_err();
            assert_eq!(error.failure(), SendFailure::NotSent);
            Ok(0)
        }
    }
    let server = places::takes_and_closes();
    let transport = UreqTransport::from_config(config().build());
    let body = Calls(transport.clone(), format!("http://{}/", places::refused()));
    let request = Request::post(server.url()).header("expect", "nothing");
    let request = request.body(ctc_ureq::Body::from_reader(body)).unwrap();
    let error = transport.send(Outbound::new(request)).unwrap_err();
    assert_eq!(error.failure(), SendFailure::MaybeSent);
}

#[cfg(unix)]
#[test]
fn what_finds_no_socket_was_not_sent() {
    if !places::is_child() {
        return places::in_a_child("what_finds_no_socket_was_not_sent");
    }
    let server = raw::RawServer::start(|mut connection| connection.stall());
    let config = config().build();
    places::no_more_files();
    assert_eq!(failures(&config, &server.url()), NOT_SENT);
    assert_eq!(failures(&config, "https://ctc-adapters.invalid"), NOT_SENT);
}

/// Of an agent whose connections somebody else makes, errors tell what they can.
#[test]
fn an_agent_of_your_own_tells_by_its_errors() {
    let places = Places::new();
    let transport = UreqTransport::new(config().build().new_agent());
    let failure = |url: &str| {
        let request = Request::get(url).body(()).unwrap();
        transport
            .send(Outbound::new(request))
            .unwrap_err()
            .failure()
    };
    for wrong in [
        "connection refused",
        "connecting takes too long",
        "a certificate that is not",
    ] {
        let place = places
            .urls
            .iter()
            .find(|place| place.0.starts_with(wrong))
            .unwrap();
        assert_eq!(failure(&place.1), SendFailure::NotSent, "{wrong}");
    }
    assert_eq!(
        failure(&places::takes_and_closes().url()),
        SendFailure::MaybeSent
    );
}
