//! Any HTTP client: three that this project ships no adapter for go through the conformance suite,
//! and one SDK runs over six.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

mod attohttpc;
mod conformance;
mod libcurl;
mod lines;
mod reqwest;
mod smol_hyper;
mod tower_retry;
mod trial;
mod ureq;

use ctc_driver::{SessionConfig, SharedSession, ctc_core::Endpoint};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A session with the server at `url`, for clients that are drivers over a transport.
fn session(url: &str) -> SharedSession {
    SessionConfig::new()
        .endpoint(Endpoint::danger_plain_http(url).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()
        .unwrap()
}
