//! reqwest, with this project's adapter.

use ctc_reqwest::{AsyncCaller, Client, Endpoint};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME};

pub(crate) fn client(url: &str) -> impl AsyncCaller + use<> {
    // The program chooses the provider. Ignore the error: another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .endpoint(Endpoint::danger_plain_http(url).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()
        .unwrap()
}
