//! Services as callers, for libraries that work with every client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::{
    __adapter, AsyncCaller, AsyncStreamingCaller, BodyStream, CallError, CallOptions, Runtime,
    TimedOut, Tokio, read_body,
};
use http::{Request, Response};
use http_body::Body;
use tower::BoxError;

use crate::bodies::Bodies;
use crate::layer::CtcService;
use crate::service::HttpService;
use crate::transport::{Shared, TowerError};

#[async_trait]
impl<S, B> AsyncCaller for CtcService<S, B>
where
    S: HttpService<B, ResponseBody: Body<Error: Into<BoxError>>>,
    B: Send + 'static,
{
    type Error = TowerError;

    async fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<TowerError>> {
        let (outbound, options) = self.outbound(self.bodies().request(request));
        let read = |response| read_body(response, options.max_body);
        __adapter::fetch(self.driver(), outbound, &options, read).await
    }

    async fn sleep(&self, duration: Duration) {
        self.driver().runtime().sleep(duration).await;
    }
}

#[async_trait]
impl<S, B> AsyncStreamingCaller for CtcService<S, B>
where
    S: HttpService<B, ResponseBody: Body<Error: Into<BoxError>>>,
    B: Send + 'static,
{
    async fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<BodyStream>, CallError<TowerError>> {
        let (outbound, options) = self.outbound(self.bodies().request(request));
        let response = self.driver().execute(outbound, &options).await?;
        Ok(response.map(BodyStream::new))
    }
}

/// Layers over a [`CtcService`] as an [`AsyncCaller`]: a library's calls go through all of them.
///
/// An error that a layer created counts as an error of the HTTP client.
///
/// ```
/// use bytes::Bytes;
/// use ctc_tower::{AsyncCaller, CtcLayer, ServiceCaller, SharedSession};
/// use http_body_util::Full;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tower::ServiceBuilder;
///
/// fn caller(session: SharedSession) -> impl AsyncCaller {
///     let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
///     let layered = ServiceBuilder::new()
///         .concurrency_limit(8) // or a retry, a timeout, tracing
///         .layer(CtcLayer::new(session))
///         .service(client);
///     ServiceCaller::new(layered)
/// }
/// ```
pub struct ServiceCaller<S, B> {
    service: Shared<S>,
    bodies: Bodies<B>,
    runtime: Arc<dyn Runtime>,
    options: CallOptions,
}

impl<S, B: Clone + From<bytes::Bytes>> ServiceCaller<S, B> {
    /// Creates a caller over layers whose request bodies can be cloned.
    pub fn new(service: S) -> Self {
        Self::with_bodies(service, Bodies::cloning())
    }
}

impl<S, B> ServiceCaller<S, B> {
    /// Creates a caller over layers with any other type of request bodies.
    pub fn with_bodies(service: S, bodies: Bodies<B>) -> Self {
        Self {
            service: Shared::new(service),
            bodies,
            runtime: Arc::new(Tokio::current()),
            options: CallOptions::default(),
        }
    }

    /// Sets the runtime whose timers [`AsyncCaller::sleep`] and time limits use. Default
    /// [`Tokio::current`].
    #[must_use]
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    /// Sets the limits of time and size of calls without [`CallOptions`] of their own; the time
    /// covers all layers. For the other options, use
    /// [`CtcLayer::options`](crate::CtcLayer::options).
    #[must_use]
    pub fn options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }
}

#[async_trait]
impl<S, B> AsyncCaller for ServiceCaller<S, B>
where
    S: HttpService<B, ResponseBody: Body<Error: Into<BoxError>>>,
    B: Send + 'static,
{
    type Error = TowerError;

    async fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<TowerError>> {
        let options = request.extensions().get().unwrap_or(&self.options).clone();
        let request = self.bodies.request(request);
        let calling = async {
            let response = self.service.call(request).await.map_err(of_layers)?;
            Ok(read_body(response, options.max_body).await?)
        };
        match options.timeout {
            None => calling.await,
            Some(limit) => __adapter::within(&*self.runtime, limit, Box::pin(calling))
                .await
                .unwrap_or_else(|| Err(TimedOut::sent(limit).into())),
        }
    }

    async fn sleep(&self, duration: Duration) {
        self.runtime.sleep(duration).await;
    }
}

#[async_trait]
impl<S, B> AsyncStreamingCaller for ServiceCaller<S, B>
where
    S: HttpService<B, ResponseBody: Body<Error: Into<BoxError>>>,
    B: Send + 'static,
{
    async fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<BodyStream>, CallError<TowerError>> {
        let options = request.extensions().get().unwrap_or(&self.options);
        let timeout = options.timeout;
        let request = self.bodies.request(request);
        let calling = self.service.call(request);
        let response = match timeout {
            None => calling.await,
            Some(limit) => __adapter::within(&*self.runtime, limit, Box::pin(calling))
                .await
                .ok_or_else(|| TimedOut::sent(limit))?,
        };
        Ok(response.map_err(of_layers)?.map(BodyStream::new))
    }
}

/// The session's own error, if the layers returned it in any wrapping.
fn of_layers(error: BoxError) -> CallError<TowerError> {
    let error = match error.downcast::<CallError<TowerError>>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    let mut link: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(source) = link {
        if let Some(denied) = source.downcast_ref::<ctc_driver::Denied>() {
            return CallError::Denied(denied.clone());
        }
        link = source.source();
    }
    CallError::Transport(TowerError::of_layers(error))
}

impl<S, B> fmt::Debug for ServiceCaller<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceCaller").finish_non_exhaustive()
    }
}
