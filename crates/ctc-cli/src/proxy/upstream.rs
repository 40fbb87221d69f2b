//! The client for the server: hyper with TLS, under the session's layer.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ctc_tower::{Bodies, CallOptions, CtcLayer, CtcService, Endpoint, SendFailure, SharedSession};
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error, ResponseFuture, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::{Layer as _, Service};

use super::body::RequestBody;
use super::connections::BUFFER;
use crate::exit::{Exit, Failure};

/// Time limit for name lookup and connection: the longest wait for a server that is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection stays in the pool. Shorter than most servers keep one, so that fewer
/// calls are sent on a connection that the server is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

type HttpClient = Client<Connector, RequestBody>;

/// The connector in one `Arc`, because hyper clones it for each call, even if it does not connect.
#[derive(Clone)]
pub(super) struct Connector(Arc<HttpsConnector<HttpConnector>>);

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = <HttpsConnector<HttpConnector> as Service<Uri>>::Error;
    type Future = <HttpsConnector<HttpConnector> as Service<Uri>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        HttpsConnector::clone(&self.0).call(uri)
    }
}

/// hyper's client in one `Arc` instead of a dozen, because the layer clones it for each call.
#[derive(Clone, Debug)]
pub(super) struct Http(Arc<ToEndpoint>);

#[derive(Debug)]
struct ToEndpoint {
    client: HttpClient,
    /// The `Host` header, built once: hyper would build it for each call, in 2,000 instructions.
    host: HeaderValue,
}

impl Http {
    fn new(client: HttpClient, endpoint: &Endpoint) -> Result<Self, Failure> {
        let origin = endpoint.origin();
        let (_, host) = origin.split_once("://").unwrap_or(("", origin));
        let host = HeaderValue::try_from(host).map_err(|error| Failure::of(Exit::Usage, &error))?;
        Ok(Self(Arc::new(ToEndpoint { client, host })))
    }
}

impl Service<Request<RequestBody>> for Http {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> ResponseFuture {
        let ToEndpoint { client, host } = &*self.0;
        request.headers_mut().insert(HOST, host.clone());
        client.request(request)
    }
}

/// The session's layer, before its store is set.
pub(super) type Layer = CtcLayer<RequestBody>;
/// The service that sends calls to the server.
pub(super) type Upstream = CtcService<Http, RequestBody>;

/// Builds the service. `with_store` sets the layer's store, if the session has one.
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
    // Name the crypto provider here, and install none for the whole process. Plain http is for
    // loopback only, which the endpoint has checked.
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
    let connector = Connector(Arc::new(connector));
    let client = Http::new(builder.build(connector.clone()), &session.endpoint())?;
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
