//! A tower service as the HTTP stack of a driver.

use std::error::Error;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use ctc_driver::ctc_core::{FormBody, SendFailure, Target};
use ctc_driver::{AsyncTransport, Outgoing, TransportError};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body;
use tower::{BoxError, Service, ServiceExt};

/// Longest body of an answer that is read to its end to keep the connection, when the answer is not delivered.
const DRAIN_BYTES: usize = 64 * 1024;

/// A [`tower::Service`] as an [`AsyncTransport`]. `B` is the body of its requests.
pub struct TowerTransport<S, B> {
    /// Cloned for each request; the lock makes it `Sync`, which few services are, and is held for the clone only.
    service: Mutex<S>,
    body: PhantomData<fn(B)>,
}

impl<S, B> TowerTransport<S, B> {
    /// A transport over a service that follows no redirects, keeps no cookies and caches nothing.
    pub fn new(service: S) -> Self {
        Self { service: Mutex::new(service), body: PhantomData }
    }
}

impl<S: Clone, B> TowerTransport<S, B> {
    fn service(&self) -> S {
        self.service.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request on its way out.
pub struct Outbound<B> {
    request: Request<B>,
    /// How the request is made once more, if it can be.
    copy: fn(&Request<B>) -> Option<Request<B>>,
}

impl<B: Clone> Outbound<B> {
    /// A request that can be sent again, since its body can be cloned.
    pub fn new(request: Request<B>) -> Self {
        Self { request, copy: |request| Some(request.clone()) }
    }
}

impl<B: Body + From<Bytes>> Outbound<B> {
    /// A request whose body may be a stream: it can be sent again only if it has none.
    pub fn streaming(request: Request<B>) -> Self {
        Self { request, copy: |request| request.body().is_end_stream().then(|| without_body(request)) }
    }
}

fn without_body<B: From<Bytes>>(request: &Request<B>) -> Request<B> {
    let mut again = Request::new(B::from(Bytes::new()));
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    *again.headers_mut() = request.headers().clone();
    *again.extensions_mut() = request.extensions().clone();
    again
}

impl<B> Outgoing for Outbound<B> {
    fn method(&self) -> &Method {
        self.request.method()
    }

    fn target(&self) -> Target<'_> {
        Target::from(self.request.uri())
    }

    fn path(&self) -> &str {
        self.request.uri().path()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }

    fn replay(&self) -> Option<Self> {
        Some(Self { request: (self.copy)(&self.request)?, copy: self.copy })
    }
}

#[async_trait]
impl<S, B, R> AsyncTransport for TowerTransport<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: From<Bytes> + Send + 'static,
    R: Body + Send + 'static,
    R::Data: Send,
{
    type Request = Outbound<B>;
    type Response = Response<R>;
    type Error = TowerError;

    async fn send(&self, outbound: Outbound<B>) -> Result<Response<R>, TowerError> {
        self.service().oneshot(outbound.request).await.map_err(|error| TowerError(error.into()))
    }

    async fn send_login(&self, mut request: Request<FormBody>) -> Result<Response<()>, TowerError> {
        let length = request.body().as_ref().len();
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        let request = request.map(|form| B::from(Bytes::from(form)));
        let response = self.service().oneshot(request).await.map_err(|error| TowerError(error.into()))?;
        let (parts, body) = response.into_parts();
        drain(body).await;
        Ok(Response::from_parts(parts, ()))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn discard(&self, response: Response<R>) {
        drain(response.into_body()).await;
    }
}

/// Reads a short body to its end, so that its connection can be used again. The driver bounds it in time.
async fn drain<R: Body>(body: R) {
    let mut body = pin!(body);
    let mut left = DRAIN_BYTES;
    while let Some(Ok(frame)) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let length = frame.data_ref().map_or(0, Buf::remaining);
        let Some(rest) = left.checked_sub(length) else { break };
        left = rest;
    }
}

/// The error of the service inside.
#[derive(Debug, thiserror::Error)]
#[error("the service inside failed")]
pub struct TowerError(#[source] BoxError);

impl TransportError for TowerError {
    /// Surely not sent only when the connection was refused; services have no common way to say more.
    fn failure(&self) -> SendFailure {
        let mut source: Option<&(dyn Error + 'static)> = Some(&*self.0);
        while let Some(error) = source {
            let refused = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if refused == Some(io::ErrorKind::ConnectionRefused) {
                return SendFailure::NotSent;
            }
            source = error.source();
        }
        SendFailure::MaybeSent
    }
}

impl<S, B> fmt::Debug for TowerTransport<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerTransport").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for Outbound<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbound({} {})", self.request.method(), self.request.uri().path())
    }
}
