//! The way to the server: hyper's client with TLS, under the session's layer.

use std::sync::Arc;
use std::time::Duration;

use ctc_tower::{Bodies, CallOptions, CtcLayer, CtcService, SendFailure, SharedSession};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Layer as _;

use super::body::RequestBody;
use super::connections::BUFFER;
use crate::exit::Failure;

/// For a name to be looked up and a connection to be made. A server that is away costs no caller
/// more.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than servers commonly keep a connection that nobody uses: fewer calls meet one that is
/// just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

type HttpClient = Client<HttpsConnector<HttpConnector>, RequestBody>;
/// The session's layer, for a store to be set.
pub(super) type Layer = CtcLayer<RequestBody>;
/// What takes calls to the server.
pub(super) type Upstream = CtcService<HttpClient, RequestBody>;

/// `with_store` puts the layer over the session's store, if it has one.
///
/// # Errors
/// Returns [`Failure`] if the certificates of the operating system cannot be read.
pub(super) fn build(
    session: SharedSession,
    options: CallOptions,
    with_store: impl FnOnce(Layer) -> Layer,
) -> Result<Upstream, Failure> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    // The provider is named, and none is installed for the whole process. Plain http is for
    // loopback, which the endpoint has checked.
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_platform_verifier(Arc::new(provider))
        .map_err(|error| {
            Failure::error(format!(
                "cannot read the certificates of the operating system: {error}"
            ))
        })?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_max_buf_size(BUFFER);
    let client: HttpClient = builder.build(connector.clone());
    let for_logins: HttpClient = builder.pool_max_idle_per_host(0).build(connector);
    let layer = CtcLayer::with_bodies(
        session,
        Bodies::custom(RequestBody::from, RequestBody::again),
    )
    .gateway()
    .options(options)
    .login_service(for_logins)
    .classify_error(|error| match error.downcast_ref::<Error>() {
        Some(error) if error.is_connect() => SendFailure::NotSent,
        _ => SendFailure::MaybeSent,
    });
    Ok(with_store(layer).layer(client))
}
