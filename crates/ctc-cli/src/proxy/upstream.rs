//! The way to the server: hyper's client with TLS, under the session's layer.

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

/// For a name to be looked up and a connection to be made. A server that is away costs no caller
/// more.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than servers commonly keep a connection that nobody uses: fewer calls meet one that is
/// just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

type HttpClient = Client<Connector, RequestBody>;

/// The connector as one `Arc`: hyper clones it for each call, whether it connects or not.
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

/// hyper's client as one `Arc`, where it is a dozen: the layer clones it for each call.
#[derive(Clone, Debug)]
pub(super) struct Http(Arc<ToEndpoint>);

#[derive(Debug)]
struct ToEndpoint {
    client: HttpClient,
    /// Ready made: hyper would put it together for each call, which takes 2,000 instructions.
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

/// The session's layer, for a store to be set.
pub(super) type Layer = CtcLayer<RequestBody>;
/// What takes calls to the server.
pub(super) type Upstream = CtcService<Http, RequestBody>;

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
