//! A server that refuses a token answers at once, and reads no body that it does not want.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

#[path = "common/raw.rs"]
mod raw;

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ctc_ureq::{Body, Client, Endpoint, Replay};
use raw::RawServer;

const PATH: &str = "/connect/upload";

/// A server whose first token is good for one call. It reads a body after it has looked at the
/// token.
fn server() -> (RawServer, Arc<AtomicUsize>) {
    let (tokens, taken) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let received = Arc::clone(&taken);
    let server = RawServer::start(move |mut connection| {
        while let Some(head) = connection.head() {
            if head.is_login() {
                connection.body(&head);
                connection.log_in(tokens.fetch_add(1, Ordering::SeqCst));
            } else if head.line.contains("PUT") && head.text.contains("authToken=T0") {
                // At once, and away: what else comes is not read.
                connection.respond(401);
                return;
            } else {
                if head.header("expect").is_some() {
                    connection.write("HTTP/1.1 100 Continue\r\n\r\n");
                }
                received.fetch_add(connection.body(&head), Ordering::SeqCst);
                connection.respond(200);
            }
        }
    });
    (server, taken)
}

fn client(server: &RawServer) -> Client {
    let client = Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
        .app_key("key")
        .credentials("u", "p")
        .build()
        .unwrap();
    assert_eq!(client.get(PATH).send().unwrap().status(), 200);
    client
}

#[test]
fn a_large_upload_with_a_dead_token_is_sent_again() {
    for size in [1, 16].map(|mebibytes| mebibytes * 1024 * 1024) {
        for _ in 0..20 {
            let (server, taken) = server();
            let client = client(&server);
            let response = client.put(PATH).body(vec![b'x'; size]).send().unwrap();
            assert_eq!(
                (response.status().as_u16(), client.session().counts().logins),
                (200, 2)
            );
            assert_eq!(taken.load(Ordering::SeqCst), size);
        }
    }
}

#[test]
fn a_stream_with_a_dead_token_gets_its_401_and_the_next_call_logs_in() {
    let (server, _) = server();
    let client = client(&server);
    let stream = || Body::from_reader(Cursor::new(vec![b'x'; 16 * 1024 * 1024]));
    for status in [401, 200] {
        let call = client
            .put(PATH)
            .replay(Replay::Always)
            .header("content-length", 16 << 20);
        assert_eq!(call.body(stream()).send().unwrap().status(), status);
    }
    assert_eq!(client.session().counts().logins, 2);
}

#[test]
fn a_small_upload_is_not_announced() {
    let server = RawServer::start(|mut connection| {
        while let Some(request) = connection.request() {
            assert!(request.header("expect").is_none());
            connection.log_in(1);
        }
    });
    let body = vec![b'x'; 1024 * 1024 - 1];
    assert_eq!(
        client(&server)
            .put(PATH)
            .body(body)
            .send()
            .unwrap()
            .status(),
        200
    );
}

/// Some servers know nothing of announcements: the body comes a second later then.
#[test]
fn a_server_that_does_not_continue_gets_the_body_all_the_same() {
    let server = RawServer::start(|mut connection| {
        while connection.request().is_some() {
            connection.log_in(1);
        }
    });
    let body = vec![b'x'; 1024 * 1024];
    assert_eq!(
        client(&server)
            .put(PATH)
            .body(body)
            .send()
            .unwrap()
            .status(),
        200
    );
}
