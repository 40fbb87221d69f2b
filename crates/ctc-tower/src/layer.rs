//! The layer and the service that it makes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ctc_driver::{AsyncDriver, AsyncSessionStore, CallError, CallOptions, SharedSession};
use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, Layer, Service};

use crate::transport::{Outbound, TowerError, TowerTransport};

/// Puts a session over a service. `B` is the body of the service's requests.
pub struct CtcLayer<B> {
    session: SharedSession,
    store: Option<Arc<dyn AsyncSessionStore>>,
    options: CallOptions,
    outbound: fn(Request<B>) -> Outbound<B>,
}

impl<B: Clone> CtcLayer<B> {
    /// A layer whose requests can be sent again after a 401, since their bodies can be cloned.
    pub fn new(session: SharedSession) -> Self {
        Self { session, store: None, options: CallOptions::default(), outbound: Outbound::new }
    }
}

impl<B: Body + From<Bytes>> CtcLayer<B> {
    /// A layer whose request bodies are streams: only requests without a body are sent again after a 401.
    pub fn streaming(session: SharedSession) -> Self {
        Self { session, store: None, options: CallOptions::default(), outbound: Outbound::streaming }
    }
}

impl<B> CtcLayer<B> {
    /// Keeps the session in a store, so that it outlives the process and serves many.
    #[must_use]
    pub fn store(mut self, store: impl AsyncSessionStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// What holds for every call: whether it may be sent again, and how long it may wait for a login.
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
    B: From<Bytes> + Send + 'static,
    R: Body + Send + 'static,
    R::Data: Send,
{
    type Service = CtcService<S, B>;

    fn layer(&self, service: S) -> CtcService<S, B> {
        let driver = AsyncDriver::new(self.session.clone(), TowerTransport::new(service), self.store.clone());
        CtcService { driver, options: self.options.clone(), outbound: self.outbound }
    }
}

impl<B> Clone for CtcLayer<B> {
    fn clone(&self) -> Self {
        Self {
            session: self.session.clone(),
            store: self.store.clone(),
            options: self.options.clone(),
            outbound: self.outbound,
        }
    }
}

impl<B> fmt::Debug for CtcLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtcLayer").field("session", &self.session).finish_non_exhaustive()
    }
}

/// A service whose requests carry the session's key and token. Cloning shares the session.
pub struct CtcService<S, B> {
    driver: AsyncDriver<TowerTransport<S, B>>,
    options: CallOptions,
    outbound: fn(Request<B>) -> Outbound<B>,
}

impl<S, B> CtcService<S, B> {
    /// The driver: to log in early, and to log out.
    pub fn driver(&self) -> &AsyncDriver<TowerTransport<S, B>> {
        &self.driver
    }
}

impl<S, B, R> Service<Request<B>> for CtcService<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: From<Bytes> + Send + 'static,
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
        let (driver, options) = (self.driver.clone(), self.options.clone());
        let outbound = (self.outbound)(request);
        Box::pin(async move { driver.execute(outbound, &options).await })
    }
}

impl<S, B> Clone for CtcService<S, B> {
    fn clone(&self) -> Self {
        Self { driver: self.driver.clone(), options: self.options.clone(), outbound: self.outbound }
    }
}

impl<S, B> fmt::Debug for CtcService<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtcService").field("driver", &self.driver).finish_non_exhaustive()
    }
}
