//! A server, a session on it, and hyper's client: what the tests of the layer begin with.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "not every test needs all of it; helpers fail like tests"
)]

use bytes::Bytes;
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_tower::{
    CallError, CtcLayer, CtcService, Endpoint, SessionConfig, SharedSession, TowerError,
};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tower::Layer;

pub(crate) type Hyper<B = Full<Bytes>> = Client<HttpConnector, B>;

pub(crate) fn hyper<B: Body<Data: Send> + Send>() -> Hyper<B> {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn session(server: &Server) -> SharedSession {
    let config = SessionConfig::new()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    config.build().unwrap()
}

/// The layer straight over hyper.
pub(crate) fn ctc(server: &Server) -> CtcService<Hyper, Full<Bytes>> {
    CtcLayer::new(session(server)).layer(hyper())
}

pub(crate) const DEVICES: &str = "/connect/services/devices";

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

pub(crate) fn devices() -> Request<Full<Bytes>> {
    get(DEVICES)
}

pub(crate) type ServerResponse = Result<Response<Incoming>, CallError<TowerError>>;

/// The tokens of all calls (not logins) to the server, in order.
pub(crate) fn tokens(server: &Server) -> Vec<String> {
    let calls = server
        .journal()
        .into_iter()
        .filter(|entry| entry.class == ctc_testkit::Class::Call);
    calls
        .flat_map(|entry| {
            entry
                .tokens()
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}
