//! Logins have a connection of their own, and what is not delivered is read within bounds.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers are tests too"
)]

#[path = "../../ctc-ureq/tests/common/raw.rs"]
mod raw;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use ctc_driver::ctc_core::{Admit, AppKey, Call, Credentials, Session};
use ctc_driver::{AsyncTransport, LoginRequest};
use ctc_reqwest::{
    Client, ClientBuilder, Endpoint, Error, LogoutOutcome, ReqwestTransport, Settings,
    http_client_builder, reqwest,
};
use raw::RawServer;

const DEVICES: &str = "/connect/services/devices";

fn provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn endpoint(server: &RawServer) -> Endpoint {
    Endpoint::danger_plain_http(&server.url()).unwrap()
}

fn builder(server: &RawServer) -> ClientBuilder {
    provider();
    Client::builder()
        .endpoint(endpoint(server))
        .app_key("key")
        .credentials("u", "p")
        .settings(|settings| {
            settings.fair_use.burst = NonZeroU32::new(10_000).unwrap();
            settings.fair_use.short_token_lifetime = Duration::ZERO;
        })
}

fn http() -> reqwest::ClientBuilder {
    http_client_builder().no_proxy()
}

fn for_logins() -> reqwest::Client {
    http().pool_max_idle_per_host(0).build().unwrap()
}

/// The login that the core makes, for a transport by itself.
fn login(server: &RawServer) -> LoginRequest {
    let key = AppKey::new("key").unwrap();
    let credentials = Credentials::new("u", "p").unwrap();
    let endpoint = endpoint(server);
    let mut session = Session::new(endpoint, key, credentials, Settings::default()).unwrap();
    let Admit::Login(order) = session.admit(&mut Call::new(false), Instant::now()) else {
        panic!("the first call is elected");
    };
    LoginRequest::new(order.request, Duration::from_secs(2))
}

/// The server closes a kept-alive connection some time after its 401, at the latest when a login's
/// first byte would arrive on it.
#[tokio::test]
async fn a_login_never_goes_out_on_a_connection_that_the_server_closes() {
    for own_clients in [false, true] {
        for delay in [0, 200, 2000].map(Duration::from_micros) {
            let server = raw::closes_after_401(delay);
            let mut builder = builder(&server);
            if own_clients {
                let client = http().build().unwrap();
                builder = builder.http_client(client).login_http_client(for_logins());
            }
            let client = builder.build().unwrap();
            for round in 0..200 {
                match client.get(DEVICES).send().await {
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

#[tokio::test]
async fn a_login_and_a_logout_leave_the_pooled_connections_alone() {
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
        assert_eq!(client.get(DEVICES).send().await.unwrap().status(), 200);
    }
    client.renew().await.unwrap();
    assert_eq!(client.get(DEVICES).send().await.unwrap().status(), 200);
    assert!(matches!(client.logout().await, LogoutOutcome::Accepted(_)));
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn a_login_with_an_endless_body_blocks_no_caller() {
    let server = raw::login_stalls(
        "HTTP/1.1 200 OK\r\nset-cookie: authToken=T\r\ncontent-length: 100\r\n\r\n{",
    );
    let client = builder(&server).build().unwrap();
    let began = Instant::now();
    assert_eq!(client.get(DEVICES).send().await.unwrap().status(), 200);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_wanted_body_is_read_up_to_its_limit() {
    provider();
    let server = raw::login_stalls(
        "HTTP/1.1 200 OK\r\nset-cookie: authToken=T\r\ncontent-length: 100\r\n\r\n0123456789",
    );
    let transport = ReqwestTransport::new(http().build().unwrap());
    for transport in [transport.clone(), transport.with_login_client(for_logins())] {
        let mut request = login(&server);
        request.body_limit = 7;
        let response = transport.send_login(request).await.unwrap();
        assert_eq!(
            (response.body(), response.status().as_u16()),
            (&b"0123456"[..], 200)
        );

        // The driver bounds it in time.
        let mut request = login(&server);
        request.body_limit = 50;
        let limit = Duration::from_millis(200);
        assert!(
            tokio::time::timeout(limit, transport.send_login(request))
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_whole_body_is_read_when_it_is_wanted() {
    provider();
    let server = RawServer::start(|mut connection| {
        while connection.request().is_some() {
            connection.write("HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n");
            connection.write("4\r\nsome\r\n5\r\n more\r\n0\r\n\r\n");
        }
    });
    let transport = ReqwestTransport::new(http().build().unwrap());
    let mut request = login(&server);
    request.body_limit = 1000;
    assert_eq!(
        transport.send_login(request).await.unwrap().body(),
        b"some more"
    );
}

/// The replay waits for a second at most, however the 401's body is announced.
#[tokio::test]
async fn a_401_whose_body_stalls_is_discarded_in_time() {
    for head in [
        "content-length: 100\r\n\r\n{",
        "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    ] {
        let server = raw::unauthorized_stalls(format!("HTTP/1.1 401 No\r\n{head}").leak());
        let client = builder(&server).build().unwrap();
        let began = Instant::now();
        assert_eq!(client.get(DEVICES).send().await.unwrap().status(), 200);
        assert!(
            began.elapsed() < Duration::from_millis(1500),
            "{:?}",
            began.elapsed()
        );
    }
}
