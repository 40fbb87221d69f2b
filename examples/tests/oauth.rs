//! The promises of the OAuth login, over both clients.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use ctc_driver::ctc_core::{Endpoint, Login, OAuth, SettingsError};
use ctc_driver::{CallFailure, ConfigError, SessionConfig};
use ctc_testkit::{Class, DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_USERNAME, Origin, Server};

const CALLERS: usize = 10_000;
const WRONG: &str = "not-the-password!";
const PATH: &str = "/connect/services/devices";

fn oauth(server: &Server) -> Login {
    let oauth = OAuth::danger_plain_http(&server.token_url(), DEFAULT_CLIENT_ID);
    Login::OAuth(oauth.unwrap())
}

fn api(server: &Server) -> Endpoint {
    Endpoint::danger_plain_http(&server.url()).unwrap()
}

/// Checks that there was one request to the token endpoint, and none to the API.
fn asked_once(server: &Server) {
    let counts = server.counts();
    assert_eq!((counts.login_requests, counts.token_requests), (1, 1));
    assert_eq!((counts.calls, counts.violations), (0, 0));
    let journal = server.journal();
    assert_eq!(journal.len(), 1);
    assert_eq!(
        (journal[0].origin, journal[0].class),
        (Origin::Token, Class::Token)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tasks_on_a_rejection_make_one_request() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start().unwrap();
    let client = ctc_reqwest::Client::builder()
        .endpoint(api(&server))
        .login(oauth(&server))
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, WRONG)
        .build()
        .unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let request = client.get(PATH);
        calls.spawn(async move { request.send().await.unwrap_err() });
    }
    let errors = calls.join_all().await;
    assert_eq!(errors.len(), CALLERS);
    for error in errors {
        let text = error.denied().unwrap().to_string();
        assert!(text.contains("check the username and password"), "{text}");
    }
    asked_once(&server);
}

#[test]
fn ten_thousand_blocking_calls_on_a_rejection_make_one_request() {
    let server = Server::start().unwrap();
    let client = ctc_ureq::Client::builder()
        .endpoint(api(&server))
        .login(oauth(&server))
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, WRONG)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                for _ in 0..CALLERS / 100 {
                    let error = client.get(PATH).send().unwrap_err();
                    let text = error.denied().unwrap().to_string();
                    assert!(text.contains("check the username and password"), "{text}");
                }
            });
        }
    });
    asked_once(&server);
}

#[test]
fn endpoints_of_different_regions_are_an_error_when_the_client_is_built() {
    for (endpoint, login) in [(Endpoint::eu(), OAuth::us()), (Endpoint::us(), OAuth::eu())] {
        let config = || {
            SessionConfig::new()
                .endpoint(endpoint.clone())
                .app_key(DEFAULT_APP_KEY)
                .credentials(DEFAULT_USERNAME, WRONG)
        };
        let login = Login::OAuth(login);
        let found = config().login(login).build().err();
        assert_eq!(
            found,
            Some(ConfigError::Settings(SettingsError::TwoRegions))
        );
        assert!(config().build().is_ok());
    }
}
