//! A tower service as the HTTP stack of a driver.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Buf;
use ctc_driver::ctc_core::{Endpoint, SendFailure, Target};
use ctc_driver::{AsyncTransport, LoginRequest, LoginResponse, Outgoing, TransportError};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body;
use tower::load_shed::error::Overloaded;
use tower::{BoxError, Service, ServiceExt};

use crate::bodies::Bodies;

/// Longest body of a response that is read to its end to keep the connection, when the response is not
/// delivered.
const DRAIN_BYTES: usize = 64 * 1024;

/// A [`tower::Service`] as an [`AsyncTransport`]. `B` is the body of its requests.
pub struct TowerTransport<S, B> {
    /// Cloned for each request; the lock makes it `Sync`, which few services are, and is held for
    /// the clone only.
    service: Mutex<S>,
    bodies: Bodies<B>,
}

impl<S, B> TowerTransport<S, B> {
    /// A transport over a service that follows no redirects, keeps no cookies and caches nothing.
    pub fn with_bodies(service: S, bodies: Bodies<B>) -> Self {
        Self {
            service: Mutex::new(service),
            bodies,
        }
    }
}

impl<S, B, R> TowerTransport<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
{
    async fn request(&self, request: Request<B>) -> Result<Response<R>, TowerError> {
        let mut service = self
            .service
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        service.ready().await.map_err(TowerError::not_ready)?;
        service.call(request).await.map_err(TowerError::failed)
    }
}

/// A request on its way out.
pub struct Outbound<B> {
    request: Request<B>,
    bodies: Bodies<B>,
}

impl<B> Outbound<B> {
    /// A request, and how its body is sent again.
    pub fn with_bodies(request: Request<B>, bodies: Bodies<B>) -> Self {
        Self { request, bodies }
    }
}

impl<B> Outgoing for Outbound<B> {
    type ReplayCopy = Self;

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

    fn replay_copy(&self) -> Option<Self> {
        Some(Self {
            request: self.bodies.again(&self.request)?,
            bodies: self.bodies,
        })
    }

    fn complete(&mut self, endpoint: &Endpoint) {
        if self.request.uri().authority().is_none() {
            *self.request.uri_mut() = endpoint.complete(std::mem::take(self.request.uri_mut()));
            // It says what host a gateway was asked for, which is not this one.
            self.request.headers_mut().remove(HOST);
        }
    }
}

#[async_trait]
impl<S, B, R> AsyncTransport for TowerTransport<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
    R: Body + Send + 'static,
    R::Data: Send,
{
    type Request = Outbound<B>;
    type Response = Response<R>;
    type Error = TowerError;

    async fn send(&self, outbound: Outbound<B>) -> Result<Response<R>, TowerError> {
        self.request(outbound.request).await
    }

    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, TowerError> {
        let mut request = login.request;
        let length = request.body().as_ref().len();
        request
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        let request = request.map(|form| self.bodies.make(form.into()));
        let (parts, _body) = self.request(request).await?.into_parts();
        Ok(LoginResponse::new(parts.status, parts.headers))
    }

    async fn discard(&self, response: Response<R>) {
        drain(response.into_body()).await;
    }
}

/// Reads a short body to its end, so that its connection can be used again. The driver bounds it in
/// time.
async fn drain<R: Body>(body: R) {
    let mut body = pin!(body);
    let mut left = DRAIN_BYTES;
    while let Some(Ok(frame)) =
        std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
    {
        let length = frame.data_ref().map_or(0, Buf::remaining);
        let Some(rest) = left.checked_sub(length) else {
            break;
        };
        left = rest;
    }
}

/// The error of the service inside.
#[derive(Debug, thiserror::Error)]
#[error("the service inside failed")]
pub struct TowerError {
    #[source]
    error: BoxError,
    failure: SendFailure,
}

impl TowerError {
    /// The service was not ready, so that it never saw the request.
    fn not_ready(error: impl Into<BoxError>) -> Self {
        Self {
            error: error.into(),
            failure: SendFailure::NotSent,
        }
    }

    /// Surely not sent only when a layer shed it or the connection was refused: services have no
    /// common way to say more.
    fn failed(error: impl Into<BoxError>) -> Self {
        let error = error.into();
        let mut failure = SendFailure::MaybeSent;
        let mut source: Option<&(dyn Error + 'static)> = Some(&*error);
        while let Some(error) = source {
            let refused = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if refused == Some(io::ErrorKind::ConnectionRefused) || error.is::<Overloaded>() {
                failure = SendFailure::NotSent;
            }
            source = error.source();
        }
        Self { error, failure }
    }

    /// The error that the service gave, for one that can be told by its type.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }
}

impl TransportError for TowerError {
    fn failure(&self) -> SendFailure {
        self.failure
    }
}

impl<S, B> fmt::Debug for TowerTransport<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerTransport").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for Outbound<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Outbound({} {})",
            self.request.method(),
            self.request.uri().path()
        )
    }
}
