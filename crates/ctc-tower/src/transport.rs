//! A tower service as the HTTP client of a driver.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ctc_driver::ctc_core::{Endpoint, Route, SendFailure, Target};
use ctc_driver::{
    AsyncTransport, CallError, CallFailure, LoginRequest, LoginResponse, Outgoing, ReplayCopy,
    TransportError, discard_body, read_login,
};
use http::header::{CONTENT_LENGTH, HOST};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version,
};
use tower::load_shed::error::Overloaded;
use tower::{BoxError, ServiceExt};

use crate::bodies::Bodies;
use crate::service::HttpService;

/// Decides from an error of the inner service whether the request may have been sent.
pub(crate) type ClassifyError = fn(&BoxError) -> SendFailure;

/// A `tower::Service` as an [`AsyncTransport`]. `B` is the body of its requests.
pub struct TowerTransport<S, B> {
    service: Shared<S>,
    login_service: Option<Arc<dyn LoginService<B>>>,
    bodies: Bodies<B>,
    classify: ClassifyError,
}

impl<S, B> TowerTransport<S, B> {
    /// Creates a transport over a service that follows no redirects, keeps no cookies and caches
    /// nothing.
    pub fn with_bodies(service: S, bodies: Bodies<B>) -> Self {
        Self {
            service: Shared::new(service),
            login_service: None,
            bodies,
            classify: |_| SendFailure::MaybeSent,
        }
    }

    /// Sets the service for logins and logouts: see
    /// [`CtcLayer::login_service`](crate::CtcLayer::login_service).
    pub(crate) fn login_service(mut self, service: Option<Arc<dyn LoginService<B>>>) -> Self {
        self.login_service = service;
        self
    }

    /// Sets how to tell how far a request got: see
    /// [`CtcLayer::classify_error`](crate::CtcLayer::classify_error).
    pub(crate) fn classify_error(mut self, classify: ClassifyError) -> Self {
        self.classify = classify;
        self
    }
}

/// A service that is cloned for each request. The lock makes it `Sync`, which few services are, and
/// is held for the clone only.
pub(crate) struct Shared<S>(Mutex<S>);

impl<S> Shared<S> {
    pub(crate) fn new(service: S) -> Self {
        Self(Mutex::new(service))
    }

    /// The future has the service in it, and the request once.
    fn send<B>(
        &self,
        request: Request<B>,
        classify: ClassifyError,
    ) -> impl Future<Output = Result<Response<S::ResponseBody>, TowerError>> + use<S, B>
    where
        S: HttpService<B>,
    {
        let mut service = self.cloned();
        async move {
            service.ready().await.map_err(TowerError::not_ready)?;
            let response = service.call(request).await;
            response.map_err(|error| TowerError::failed(error, classify))
        }
    }

    /// Sends a request through layers and returns their errors unchanged.
    pub(crate) async fn call<B>(
        &self,
        request: Request<B>,
    ) -> Result<Response<S::ResponseBody>, BoxError>
    where
        S: HttpService<B>,
    {
        let mut service = self.cloned();
        let ready = service.ready().await.map_err(Into::into)?;
        ready.call(request).await.map_err(Into::into)
    }

    fn cloned(&self) -> S
    where
        S: Clone,
    {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A service that sends logins, whatever its type.
#[async_trait]
pub(crate) trait LoginService<B>: Send + Sync {
    /// Sends a login, and reads as many bytes of the response's body.
    async fn log_in(
        &self,
        request: Request<B>,
        body_limit: usize,
        classify: ClassifyError,
    ) -> Result<LoginResponse, TowerError>;
}

#[async_trait]
impl<S, B> LoginService<B> for Shared<S>
where
    S: HttpService<B>,
    B: Send + 'static,
{
    async fn log_in(
        &self,
        request: Request<B>,
        body_limit: usize,
        classify: ClassifyError,
    ) -> Result<LoginResponse, TowerError> {
        let response = self.send(request, classify).await?;
        let read = read_login(response, body_limit).await;
        read.map_err(|_| TowerError::broke_off())
    }
}

/// A request to be sent.
pub struct Outbound<B> {
    request: Request<B>,
    bodies: Bodies<B>,
}

impl<B> Outbound<B> {
    /// Creates a request, with the way to copy its body.
    pub fn with_bodies(request: Request<B>, bodies: Bodies<B>) -> Self {
        Self { request, bodies }
    }
}

/// What is kept of an [`Outbound`] while it is out: less than a request, whose map of headers is
/// dear to make.
pub struct OutboundCopy<B> {
    method: Method,
    uri: Uri,
    version: Version,
    headers: Vec<(HeaderName, HeaderValue)>,
    extensions: Extensions,
    body: B,
    bodies: Bodies<B>,
}

impl<B> ReplayCopy<Outbound<B>> for OutboundCopy<B> {
    fn route(&self) -> Route {
        Route::new(&self.method, self.uri.path())
    }

    fn into_request(self) -> Outbound<B> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        *request.extensions_mut() = self.extensions;
        Outbound::with_bodies(request, self.bodies)
    }
}

impl<B> Outgoing for Outbound<B> {
    type ReplayCopy = OutboundCopy<B>;

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

    fn replay_copy(&self) -> Option<OutboundCopy<B>> {
        let request = &self.request;
        let headers = request.headers().iter();
        Some(OutboundCopy {
            body: self.bodies.again(request.body())?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            extensions: request.extensions().clone(),
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
impl<S, B> AsyncTransport for TowerTransport<S, B>
where
    S: HttpService<B>,
    B: Send + 'static,
{
    type Request = Outbound<B>;
    type Response = Response<S::ResponseBody>;
    type Error = TowerError;

    // By hand what `async_trait` makes of an `async fn`, less the room for the request before it is
    // sent.
    fn send<'s, 'f>(
        &'s self,
        outbound: Outbound<B>,
    ) -> Pin<Box<dyn Future<Output = Result<Self::Response, TowerError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(self.service.send(outbound.request, self.classify))
    }

    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, TowerError> {
        let mut request = login.request;
        let length = request.body().as_ref().len();
        request
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        let request = request.map(|form| self.bodies.make(form.into()));
        let service = self.login_service.as_deref().unwrap_or(&self.service);
        service
            .log_in(request, login.body_limit, self.classify)
            .await
    }

    async fn discard(&self, response: Response<S::ResponseBody>) {
        discard_body(response).await;
    }
}

/// The error of the inner service.
#[derive(thiserror::Error)]
#[error("the inner service failed")]
pub struct TowerError {
    #[source]
    error: BoxError,
    failure: SendFailure,
}

ctc_driver::ctc_core::__readable_debug!(TowerError);

impl TowerError {
    /// The service was not ready, so it never received the request.
    fn not_ready(error: impl Into<BoxError>) -> Self {
        Self {
            error: error.into(),
            failure: SendFailure::NotSent,
        }
    }

    /// Not sent if a layer shed it or the connection was refused. Services have no common way to
    /// report more; `classify` decides the rest.
    fn failed(error: impl Into<BoxError>, classify: ClassifyError) -> Self {
        let error = error.into();
        let mut source: Option<&(dyn Error + 'static)> = Some(&*error);
        while let Some(error) = source {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if kind == Some(io::ErrorKind::ConnectionRefused) || error.is::<Overloaded>() {
                break;
            }
            source = error.source();
        }
        let failure = match source {
            Some(_) => SendFailure::NotSent,
            None => classify(&error),
        };
        Self { error, failure }
    }

    /// Not sent if the session's call was not sent, or if a layer shed it.
    pub(crate) fn of_layers(error: BoxError) -> Self {
        Self::failed(error, |error| {
            let mut link: Option<&(dyn Error + 'static)> = Some(&**error);
            while let Some(source) = link {
                if let Some(call) = source.downcast_ref::<CallError<Self>>() {
                    return match call.was_sent() {
                        true => SendFailure::MaybeSent,
                        false => SendFailure::NotSent,
                    };
                }
                link = source.source();
            }
            SendFailure::MaybeSent
        })
    }

    fn broke_off() -> Self {
        Self {
            error: "the body of the login's response broke off".into(),
            failure: SendFailure::MaybeSent,
        }
    }

    /// Returns the service's error, to be downcast.
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

impl<B> fmt::Debug for OutboundCopy<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboundCopy({} {})", self.method, self.uri.path())
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
