//! Credentials from a source, over sockets.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use ctc_reqwest::{
    AsyncCredentialsSource, Client, ClientBuilder, Credentials, CredentialsError, CredentialsFile,
    Denial, Endpoint, Error, LoginFailure,
};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use futures_util::future::join_all;

const DEVICES: &str = "/connect/services/devices";

fn builder(server: &Server) -> ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
        .app_key(DEFAULT_APP_KEY)
}

/// The old password for the first few questions, then the right one.
#[derive(Clone)]
struct Lagging {
    asked: Arc<AtomicUsize>,
    old: usize,
}

impl Lagging {
    fn new(old: usize) -> Self {
        let asked = Arc::default();
        Self { asked, old }
    }

    fn next(&self) -> Result<Credentials, CredentialsError> {
        let is_old = self.asked.fetch_add(1, SeqCst) < self.old;
        let password = if is_old { "0ld!" } else { DEFAULT_PASSWORD };
        Ok(Credentials::new(DEFAULT_USERNAME, password)?)
    }
}

struct Vault(Lagging);

#[async_trait]
impl AsyncCredentialsSource for Vault {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.0.next()
    }
}

/// On one thread, which a blocking source must not block.
#[tokio::test]
async fn two_hundred_calls_on_a_source_that_lags_make_two_logins() {
    let blocking = Lagging::new(1);
    let source = blocking.clone();
    let blocking_client = move |server: &Server| {
        let ask = source.clone();
        builder(server).credentials_source(move || ask.next())
    };
    let asynchronous = Lagging::new(1);
    let source = asynchronous.clone();
    let async_client =
        move |server: &Server| builder(server).credentials_source(Vault(source.clone()));
    type Build = Box<dyn Fn(&Server) -> ClientBuilder>;
    let clients: [(Lagging, Build); 2] = [
        (blocking, Box::new(blocking_client)),
        (asynchronous, Box::new(async_client)),
    ];
    for (source, client) in clients {
        let server = Server::start().unwrap();
        let client = client(&server).build().unwrap();
        let calls = join_all((0..200).map(|_| client.get(DEVICES).send())).await;
        assert!(calls.into_iter().all(|call| call.unwrap().status() == 200));
        assert_eq!(source.asked.load(SeqCst), 2);
        assert_eq!(server.counts().login_requests, 2);
        server.revoke_all();
        assert_eq!(client.get(DEVICES).send().await.unwrap().status(), 200);
        assert_eq!(source.asked.load(SeqCst), 3, "each login asks");
    }
}

#[tokio::test]
async fn the_same_wrong_password_is_sent_once() {
    let server = Server::start().unwrap();
    let source = Lagging::new(usize::MAX);
    let client = builder(&server)
        .credentials_source(Vault(source.clone()))
        .build()
        .unwrap();
    for _ in 0..3 {
        let Err(Error::Denied(denied)) = client.get(DEVICES).send().await else {
            panic!("a wrong password");
        };
        assert!(matches!(denied.denial(), Denial::Rejected { .. }));
    }
    assert_eq!(
        (source.asked.load(SeqCst), server.counts().login_requests),
        (2, 1)
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_sends_nothing() {
    let server = Server::start().unwrap();
    let source = CredentialsFile::new("/no/such/username", "/no/such/password");
    let client = builder(&server).credentials_source(source).build().unwrap();
    let Err(Error::Denied(denied)) = client.login().await else {
        panic!("no credentials");
    };
    let Denial::BackingOff { cause, .. } = denied.denial() else {
        panic!("{denied}");
    };
    assert_eq!(*cause, LoginFailure::CredentialsUnavailable);
    assert_eq!(server.counts().connections, 0);
}
