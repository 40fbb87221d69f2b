//! What a builder is given: secrets with unseen characters, and durations without end.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

#[path = "common/line_ends.rs"]
mod line_ends;

use std::time::Duration;

use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Rule, Server,
};
use ctc_ureq::ureq::Agent;
use ctc_ureq::{
    BuildError, CallOptions, Client, ClientBuilder, ConfigError, Endpoint, http_client_builder,
};

const DEVICES: &str = "/connect/services/devices";

fn builder(server: &Server) -> ClientBuilder {
    Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
}

#[test]
fn no_duration_panics() {
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
    assert_eq!(client.get(DEVICES).send().unwrap().status(), 200);
    let call = client.get(DEVICES).timeout(Duration::MAX);
    assert_eq!(call.max_wait(Duration::MAX).send().unwrap().status(), 200);
    let mut options = CallOptions::default();
    options.max_wait = Duration::MAX;
    let native = http::Request::get(DEVICES).body(()).unwrap();
    let response = client.execute_with(native, &options).unwrap();
    assert_eq!(response.status(), 200);
    client.logout_within(Duration::MAX);
    assert_eq!(server.counts().logouts, 1);

    let built = builder(&server).login_timeout(Duration::MAX).build();
    let Err(BuildError::Config(ConfigError::Settings(_))) = built else {
        panic!("{built:?}");
    };
}

/// ureq would panic when it sends the first request.
#[test]
fn a_header_of_the_http_client_that_is_not_valid_is_refused_when_the_client_is_built() {
    let server = Server::start().unwrap();
    let builder = || builder(&server);
    let config = || http_client_builder().accept("a\rb").build();
    let agent = || Agent::new_with_config(Agent::config_builder().user_agent("\u{7f}").build());
    for (built, header) in [
        (builder().user_agent("b\nad").build(), "user-agent"),
        (
            builder()
                .configure_http(|http| http.accept_encoding("b\0d"))
                .build(),
            "accept-encoding",
        ),
        (builder().http_config(config()).build(), "accept"),
        (builder().http_client(agent()).build(), "user-agent"),
    ] {
        let error = built.unwrap_err();
        assert!(matches!(error, BuildError::InvalidHeader { name, .. } if name == header));
        assert!(error.to_string().contains(header), "{error}");
    }
    let client = builder().user_agent("caf\u{e9}").build().unwrap();
    assert_eq!(client.get(DEVICES).send().unwrap().status(), 200);
    assert_eq!(server.counts().violations, 0);
}
