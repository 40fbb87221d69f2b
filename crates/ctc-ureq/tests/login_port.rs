//! Logins have a connection of their own, and what is not delivered is read within bounds.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers are tests too"
)]

#[path = "common/raw.rs"]
mod raw;

use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ctc_driver::ctc_core::{AppKey, Credentials, SendFailure, Session};
use ctc_driver::{LoginRequest, Transport, TransportError};
use ctc_ureq::ureq::Agent;
use ctc_ureq::ureq::tls::{RootCerts, TlsConfig};
use ctc_ureq::{
    Client, ClientBuilder, Endpoint, Error, LogoutOutcome, Settings, UreqTransport,
    http_client_builder,
};
use raw::RawServer;

const DEVICES: &str = "/connect/services/devices";

fn endpoint(server: &RawServer) -> Endpoint {
    Endpoint::danger_plain_http(&server.url()).unwrap()
}

fn builder(server: &RawServer) -> ClientBuilder {
    Client::builder()
        .endpoint(endpoint(server))
        .app_key("key")
        .credentials("u", "p")
        .settings(|settings| {
            settings.fair_use.burst = NonZeroU32::new(10_000).unwrap();
            settings.fair_use.short_token_lifetime = Duration::ZERO;
        })
}

/// The login that the core makes, for a transport by itself.
fn login(server: &RawServer) -> LoginRequest {
    login_to(endpoint(server))
}

fn login_to(endpoint: Endpoint) -> LoginRequest {
    let key = AppKey::new("key").unwrap();
    let credentials = Credentials::new("u", "p").unwrap();
    let mut session = Session::new(endpoint, key, credentials, Settings::default()).unwrap();
    let admit = session.admit(&mut ctc_driver::ctc_core::Call::new(false), Instant::now());
    let ctc_driver::ctc_core::Admit::Login(order) = admit else {
        panic!("the first call is elected");
    };
    LoginRequest::new(order.request, Duration::from_secs(2))
}

/// Reading the certificates takes milliseconds: once for a client, not once more for its login.
#[test]
fn what_a_login_sets_up_of_tls_serves_the_calls_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    // It hangs up before TLS begins.
    let server = thread::spawn(move || drop(listener.accept().unwrap()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::clone(&provider))
        .root_certs(RootCerts::new_with_certs(&[]))
        .build();
    let config = http_client_builder().proxy(None).tls_config(tls).build();
    let transport = UreqTransport::from_config(config);
    let before = Arc::strong_count(&provider);
    let failed = transport.send_login(login_to(Endpoint::new(&url).unwrap()));
    server.join().unwrap();
    assert_eq!(failed.unwrap_err().failure(), SendFailure::NotSent);
    assert!(
        Arc::strong_count(&provider) > before,
        "the setup was dropped"
    );
}

/// The server closes a kept-alive connection some time after its 401, at the latest when a login's
/// first byte would arrive on it.
#[test]
fn a_login_never_goes_out_on_a_connection_that_the_server_closes() {
    for own_agent in [false, true] {
        for delay in [0, 200, 2000].map(Duration::from_micros) {
            let server = raw::closes_after_401(delay);
            let mut builder = builder(&server);
            if own_agent {
                builder = builder.http_client(http_client_builder().build().new_agent());
            }
            let client = builder.build().unwrap();
            for round in 0..200 {
                match client.get(DEVICES).send() {
                    Ok(response) => assert_eq!(response.status(), 200, "{delay:?} {round}"),
                    // A call on a connection that was closed just now is the caller's affair.
                    Err(Error::Send(error)) => println!("{delay:?} {round}: {error}"),
                    Err(error) => panic!("{delay:?} {round}: {error}"),
                }
            }
            let counts = client.session().counts();
            assert_eq!((counts.denied, counts.logins_failed), (0, 0), "{delay:?}");
            assert!(counts.logins > 100, "{delay:?}: {counts:?}");
        }
    }
}

#[test]
fn a_login_and_a_logout_leave_the_pooled_connections_alone() {
    let server = RawServer::start(|mut connection| {
        while let Some(request) = connection.request() {
            let is_own = connection.number != 1;
            let is_call = request.line.contains("devices");
            assert_ne!(is_call, is_own, "{}", request.line);
            if request.is_login() {
                connection.log_in(connection.number);
            } else {
                connection.respond(200);
            }
        }
    });
    let client = builder(&server).build().unwrap();
    for _ in 0..3 {
        assert_eq!(client.get(DEVICES).send().unwrap().status(), 200);
    }
    client.renew().unwrap();
    assert_eq!(client.get(DEVICES).send().unwrap().status(), 200);
    assert!(matches!(client.logout(), LogoutOutcome::Accepted(_)));
    assert_eq!(server.connections(), 4);
}

#[test]
fn a_login_with_an_endless_body_blocks_no_caller() {
    let server = raw::login_stalls(
        "HTTP/1.1 200 OK\r\nset-cookie: authToken=T\r\ncontent-length: 100\r\n\r\n{",
    );
    let client = builder(&server).build().unwrap();
    let began = Instant::now();
    assert_eq!(client.get(DEVICES).send().unwrap().status(), 200);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_wanted_body_is_read_up_to_its_limit_and_within_the_timeout() {
    let server = raw::login_stalls(
        "HTTP/1.1 200 OK\r\nset-cookie: authToken=T\r\ncontent-length: 100\r\n\r\n0123456789",
    );
    let agent = http_client_builder().build().new_agent();
    let config = http_client_builder().build();
    for transport in [
        UreqTransport::new(agent),
        UreqTransport::from_config(config),
    ] {
        let mut request = login(&server);
        request.body_limit = 7;
        let began = Instant::now();
        let response = transport.send_login(request).unwrap();
        assert_eq!(
            (response.body(), response.status().as_u16()),
            (&b"0123456"[..], 200)
        );
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );

        let mut request = login(&server);
        request.body_limit = 50;
        request.timeout = Duration::from_millis(300);
        let began = Instant::now();
        let error = transport.send_login(request).unwrap_err();
        assert_eq!(
            error.failure(),
            ctc_driver::ctc_core::SendFailure::MaybeSent
        );
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
}

#[test]
fn a_whole_body_is_read_when_it_is_wanted() {
    let server = RawServer::start(|mut connection| {
        while connection.request().is_some() {
            connection.write("HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n");
            connection.write("4\r\nsome\r\n5\r\n more\r\n0\r\n\r\n");
        }
    });
    let transport = UreqTransport::from_config(http_client_builder().build());
    let mut request = login(&server);
    request.body_limit = 1000;
    assert_eq!(transport.send_login(request).unwrap().body(), b"some more");
}

/// The replay waits for a second at most, however the 401's body is announced.
#[test]
fn a_401_whose_body_stalls_is_discarded_in_time() {
    for head in [
        "content-length: 100\r\n\r\n{",
        "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    ] {
        let response: &str = format!("HTTP/1.1 401 No\r\n{head}").leak();
        let own = |builder: ClientBuilder| builder.http_client(Agent::new_with_defaults());
        for set_up in [|builder| builder, own as fn(ClientBuilder) -> ClientBuilder] {
            let server = raw::unauthorized_stalls(response);
            let client = set_up(builder(&server)).build().unwrap();
            let began = Instant::now();
            assert_eq!(client.get(DEVICES).send().unwrap().status(), 200);
            assert!(
                began.elapsed() < Duration::from_millis(1500),
                "{:?}",
                began.elapsed()
            );
        }
    }
}

/// A 401's short body is read to its end, so that its connection serves the replay; a longer one is
/// not.
#[test]
fn a_short_401_keeps_its_connection() {
    for (length, connections) in [(100, 1), (64 * 1024 + 1, 2)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let on_calls = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
        let seen = Arc::clone(&on_calls);
        let server = RawServer::start(move |mut connection| {
            while let Some(request) = connection.request() {
                if request.is_login() {
                    connection.log_in(calls.load(Ordering::SeqCst));
                    continue;
                }
                seen.lock().unwrap().insert(connection.number);
                if calls.fetch_add(1, Ordering::SeqCst) == 0 {
                    connection.write(&format!(
                        "HTTP/1.1 401 No\r\ncontent-length: {length}\r\n\r\n{}",
                        "x".repeat(length)
                    ));
                } else {
                    connection.respond(200);
                }
            }
        });
        let client = builder(&server).build().unwrap();
        assert_eq!(client.get(DEVICES).send().unwrap().status(), 200);
        assert_eq!(on_calls.lock().unwrap().len(), connections, "{length}");
    }
}
