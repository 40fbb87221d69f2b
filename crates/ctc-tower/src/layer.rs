//! The layer and the service that it makes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use ctc_driver::{
    __adapter, AsyncCaller, AsyncDriver, AsyncSessionStore, CallError, CallOptions, Runtime,
    SharedSession, Tokio,
};
use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, Layer, Service};

use crate::bodies::Bodies;
use crate::transport::{Outbound, TowerError, TowerTransport};

/// Puts a session over a service. `B` is the body of the service's requests.
pub struct CtcLayer<B> {
    session: SharedSession,
    store: Option<Arc<dyn AsyncSessionStore>>,
    runtime: Arc<dyn Runtime>,
    options: CallOptions,
    bodies: Bodies<B>,
}

impl<B: Clone + From<Bytes>> CtcLayer<B> {
    /// A layer whose requests can be sent again after a 401, since their bodies can be cloned.
    pub fn new(session: SharedSession) -> Self {
        Self::with_bodies(session, Bodies::cloning())
    }
}

impl<B: Body + From<Bytes>> CtcLayer<B> {
    /// A layer whose request bodies are streams, such as `axum::body::Body` or `reqwest::Body`:
    /// only requests without a body are sent again after a 401.
    pub fn streaming(session: SharedSession) -> Self {
        Self::with_bodies(session, Bodies::streaming())
    }
}

impl<B> CtcLayer<B> {
    /// A layer for any other type of bodies, such as `BoxBody`: see [`Bodies::custom`].
    pub fn with_bodies(session: SharedSession, bodies: Bodies<B>) -> Self {
        Self {
            session,
            store: None,
            runtime: Arc::new(Tokio::current()),
            options: CallOptions::default(),
            bodies,
        }
    }

    /// Keeps the session in a store, so that it outlives the process and serves many.
    #[must_use]
    pub fn store(mut self, store: impl AsyncSessionStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets the runtime that logins run on. Default [`Tokio::current`]: the tokio runtime of the
    /// caller that is elected to log in. Any other runtime is two one-line methods.
    #[must_use]
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    /// What holds for every call: whether it may be sent again, and how long it may wait for a
    /// login. A request with a [`CallOptions`] in its extensions goes by that one instead.
    #[must_use]
    pub fn options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }
}

impl<S, B, R> Layer<S> for CtcLayer<B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
    R: Body + Send + 'static,
    R::Data: Send,
{
    type Service = CtcService<S, B>;

    fn layer(&self, service: S) -> CtcService<S, B> {
        let transport = TowerTransport::with_bodies(service, self.bodies);
        let (session, store) = (self.session.clone(), self.store.clone());
        let driver = AsyncDriver::new(session, transport, self.runtime.clone(), store);
        CtcService {
            driver,
            options: self.options.clone(),
            bodies: self.bodies,
        }
    }
}

impl<B> Clone for CtcLayer<B> {
    fn clone(&self) -> Self {
        Self {
            session: self.session.clone(),
            store: self.store.clone(),
            runtime: self.runtime.clone(),
            options: self.options.clone(),
            bodies: self.bodies,
        }
    }
}

impl<B> fmt::Debug for CtcLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtcLayer")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A service whose requests carry the session's key and token. Cloning shares the session.
pub struct CtcService<S, B> {
    driver: AsyncDriver<TowerTransport<S, B>>,
    options: CallOptions,
    bodies: Bodies<B>,
}

impl<S, B> CtcService<S, B> {
    /// The driver: to log in early, and to log out. Keep a clone of the service or of this when you
    /// put more layers over it.
    pub fn driver(&self) -> &AsyncDriver<TowerTransport<S, B>> {
        &self.driver
    }

    fn outbound(&self, mut request: Request<B>) -> (Outbound<B>, CallOptions) {
        let options = request.extensions_mut().remove();
        (
            Outbound::with_bodies(request, self.bodies),
            options.unwrap_or_else(|| self.options.clone()),
        )
    }
}

impl<S, B, R> Service<Request<B>> for CtcService<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
    R: Body + Send + 'static,
    R::Data: Send,
{
    type Response = Response<R>;
    type Error = CallError<TowerError>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A call may send several requests or none: each waits for the service inside by itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let driver = self.driver.clone();
        let (outbound, options) = self.outbound(request);
        Box::pin(async move { driver.execute(outbound, &options).await })
    }
}

#[async_trait]
impl<S, B, R> AsyncCaller for CtcService<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
    R: Body + Send + 'static,
    R::Data: Send,
    R::Error: Into<BoxError>,
{
    type Error = TowerError;

    async fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<TowerError>> {
        let request = request.map(|body| self.bodies.make(body.into()));
        let (outbound, options) = self.outbound(request);
        __adapter::whole(self.driver.execute(outbound, &options).await?).await
    }
}

impl<S, B> Clone for CtcService<S, B> {
    fn clone(&self) -> Self {
        Self {
            driver: self.driver.clone(),
            options: self.options.clone(),
            bodies: self.bodies,
        }
    }
}

impl<S, B> fmt::Debug for CtcService<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtcService")
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}
