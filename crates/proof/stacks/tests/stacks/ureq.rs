//! ureq, with this project's adapter.

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME};
use ctc_ureq::{Caller, Client, Endpoint};

pub(crate) fn client(url: &str) -> impl Caller + use<> {
    Client::builder()
        .endpoint(Endpoint::danger_plain_http(url).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()
        .unwrap()
}
