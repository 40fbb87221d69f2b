//! Credentials from a source, over sockets.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_ureq::{Client, ClientBuilder, Credentials, CredentialsError, Denial, Endpoint, Error};

const DEVICES: &str = "/connect/services/devices";

/// A client whose source has the old password for the first few questions, then the right one.
fn client(server: &Server, old: usize) -> (Client, Arc<AtomicUsize>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = Arc::new(AtomicUsize::new(0));
    let questions = Arc::clone(&asked);
    let source = move || -> Result<Credentials, CredentialsError> {
        let is_old = questions.fetch_add(1, SeqCst) < old;
        let password = if is_old { "0ld!" } else { DEFAULT_PASSWORD };
        Ok(Credentials::new(DEFAULT_USERNAME, password)?)
    };
    let builder: ClientBuilder = Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
        .app_key(DEFAULT_APP_KEY);
    (builder.credentials_source(source).build().unwrap(), asked)
}

#[test]
fn two_hundred_threads_on_a_source_that_lags_make_two_logins() {
    let server = Server::start().unwrap();
    let (client, asked) = client(&server, 1);
    thread::scope(|scope| {
        let call = || client.get(DEVICES).send().unwrap().status();
        let threads: Vec<_> = (0..200).map(|_| scope.spawn(call)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 200);
        }
    });
    assert_eq!((asked.load(SeqCst), server.counts().login_requests), (2, 2));
    server.revoke_all();
    assert_eq!(client.get(DEVICES).send().unwrap().status(), 200);
    assert_eq!(asked.load(SeqCst), 3, "each login asks");
}

#[test]
fn the_same_wrong_password_is_sent_once() {
    let server = Server::start().unwrap();
    let (client, asked) = client(&server, usize::MAX);
    for _ in 0..3 {
        let Err(Error::Denied(denied)) = client.get(DEVICES).send() else {
            panic!("a wrong password");
        };
        assert!(matches!(denied.denial(), Denial::Rejected { .. }));
    }
    assert_eq!((asked.load(SeqCst), server.counts().login_requests), (2, 1));
}
