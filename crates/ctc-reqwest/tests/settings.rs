//! What a builder is given: secrets with unseen characters, and durations without end.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

#[path = "../../ctc-ureq/tests/common/line_ends.rs"]
mod line_ends;

use std::time::Duration;

use ctc_reqwest::{BuildError, CallOptions, Client, ClientBuilder, ConfigError, Endpoint};
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Rule, Server,
};

const DEVICES: &str = "/connect/services/devices";

fn builder(server: &Server) -> ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
}

#[tokio::test]
async fn no_duration_panics() {
    let server = Server::start().unwrap();
    let client = builder(&server)
        .timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .call_timeout(Duration::MAX)
        .max_wait(Duration::MAX)
        .settings(|settings| settings.fair_use.backoff = Duration::from_millis(1))
        .build()
        .unwrap();
    // One login fails, so that the call waits.
    server.inject(Rule::once(Matcher::Login, Fault::status(503)));
    assert_eq!(client.get(DEVICES).send().await.unwrap().status(), 200);
    let call = client.get(DEVICES).timeout(Duration::MAX);
    assert_eq!(
        call.max_wait(Duration::MAX).send().await.unwrap().status(),
        200
    );
    let mut options = CallOptions::default();
    options.max_wait = Duration::MAX;
    let native = client.get(DEVICES).build().unwrap();
    let response = client.execute_with(native, &options).await.unwrap();
    assert_eq!(response.status(), 200);
    client.logout_within(Duration::MAX).await;
    assert_eq!(server.counts().logouts, 1);

    let built = builder(&server).login_timeout(Duration::MAX).build();
    let Err(BuildError::Config(ConfigError::Settings(_))) = built else {
        panic!("{built:?}");
    };
}
