//! Any HTTP client works: the conformance suite tests three that have no adapter in this project,
//! and one SDK runs over six.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

mod attohttpc;
mod conformance;
mod libcurl;
mod lines;
mod reqwest;
mod smol_hyper;
mod smol_tls;
mod tower_retry;
mod trial;
mod ureq;

use std::sync::Arc;

use ctc_driver::{SessionConfig, SharedSession, ctc_core::Endpoint};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Returns a session with the server at `url`, for clients that are drivers over a transport.
fn session(url: &str) -> SharedSession {
    SessionConfig::new()
        .endpoint(Endpoint::danger_plain_http(url).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()
        .unwrap()
}

/// Returns a configuration of rustls that trusts one certificate, or none.
fn trusting(certificate: Option<&[u8]>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    if let Some(der) = certificate {
        roots.add(der.to_vec().into()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    config.with_root_certificates(roots).with_no_client_auth()
}
