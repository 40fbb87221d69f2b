//! The layer and its service.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ctc_driver::ctc_core::SendFailure;
use ctc_driver::{
    __adapter, AsyncDriver, AsyncSessionStore, CallError, CallOptions, Runtime, SharedSession,
    Tokio,
};
use http::{Request, Response, Uri, Version};
use http_body::Body;
use tower::{BoxError, Layer, Service};

use crate::bodies::Bodies;
use crate::service::HttpService;
use crate::transport::{ClassifyError, LoginService, Outbound, Shared, TowerError, TowerTransport};

/// Adds a session to a service. `B` is the body of the service's requests.
pub struct CtcLayer<B> {
    session: SharedSession,
    store: Option<Arc<dyn AsyncSessionStore>>,
    runtime: Arc<dyn Runtime>,
    login_service: Option<Arc<dyn LoginService<B>>>,
    classify: ClassifyError,
    calls: Calls<B>,
}

/// The settings of each call.
struct Calls<B> {
    options: CallOptions,
    bodies: Bodies<B>,
    is_gateway: bool,
}

impl<B: Clone + From<Bytes>> CtcLayer<B> {
    /// Creates a layer whose requests can be replayed after a 401, because their bodies can be
    /// cloned.
    pub fn new(session: SharedSession) -> Self {
        Self::with_bodies(session, Bodies::cloning())
    }
}

impl<B: Body + From<Bytes>> CtcLayer<B> {
    /// Creates a layer whose request bodies are streams, such as `axum::body::Body` or
    /// `reqwest::Body`: only requests without a body are replayed after a 401.
    pub fn streaming(session: SharedSession) -> Self {
        Self::with_bodies(session, Bodies::streaming())
    }
}

impl<B> CtcLayer<B> {
    /// Creates a layer for any other type of bodies, such as `BoxBody`: see [`Bodies::custom`].
    pub fn with_bodies(session: SharedSession, bodies: Bodies<B>) -> Self {
        Self {
            session,
            store: None,
            runtime: Arc::new(Tokio::current()),
            login_service: None,
            classify: |_| SendFailure::MaybeSent,
            calls: Calls {
                options: CallOptions::default(),
                bodies,
                is_gateway: false,
            },
        }
    }

    /// Saves the session in a store, so that it outlives the process and several processes can
    /// share it.
    #[must_use]
    pub fn store(mut self, store: impl AsyncSessionStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets the runtime that logins run on. Default [`Tokio::current`]: the tokio runtime of the
    /// elected caller. Any other runtime takes two one-line methods.
    #[must_use]
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    /// Sets the options of every call: whether it may be replayed, and how long it may wait for a
    /// login. A request with [`CallOptions`] in its extensions uses these instead.
    #[must_use]
    pub fn options(mut self, options: CallOptions) -> Self {
        self.calls.options = options;
        self
    }

    /// Sets a service for logins and logouts, which should give each a connection of its own: for
    /// hyper, a client that keeps no idle connections.
    ///
    /// Without it they go through the inner service, perhaps on a connection that the server is
    /// about to close, for example after each 401. Such a login fails: it is charged to the login
    /// budget, and calls are denied until the backoff ends.
    ///
    /// With [`Login::OAuth`](crate::Login::OAuth) logins go to the token endpoint. The service that
    /// sends them must use the host of each request's URI, as hyper's client does: a service that
    /// is connected to a single server would send the password there.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use ctc_tower::{CtcLayer, SharedSession};
    /// use http_body_util::Full;
    /// use hyper_util::client::legacy::Client;
    /// use hyper_util::rt::TokioExecutor;
    ///
    /// fn layer(session: SharedSession) -> CtcLayer<Full<Bytes>> {
    ///     let mut builder = Client::builder(TokioExecutor::new());
    ///     let for_logins = builder.pool_max_idle_per_host(0).build_http();
    ///     CtcLayer::new(session).login_service(for_logins)
    /// }
    /// ```
    #[must_use]
    pub fn login_service<L>(mut self, service: L) -> Self
    where
        L: HttpService<B>,
        B: Send + 'static,
    {
        self.login_service = Some(Arc::new(Shared::new(service)));
        self
    }

    /// Sets how to tell from an error of the inner service whether the request may have reached the
    /// server. A login that certainly was not sent is not charged to the login budget, so that
    /// calls succeed sooner after an outage of the network.
    ///
    /// By default, only a refused connection and load shedding by a layer count as not sent,
    /// because services have no common way to report this. hyper's client has one:
    ///
    /// ```
    /// use ctc_tower::{CtcLayer, SendFailure};
    /// use hyper_util::client::legacy::Error;
    ///
    /// # fn layer(layer: CtcLayer<String>) -> CtcLayer<String> {
    /// layer.classify_error(|error| match error.downcast_ref::<Error>() {
    ///     Some(error) if error.is_connect() => SendFailure::NotSent,
    ///     _ => SendFailure::MaybeSent,
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn classify_error(mut self, classify: fn(&BoxError) -> SendFailure) -> Self {
        self.classify = classify;
        self
    }

    /// Uses only path and query of each request's URI: for a gateway that forwards requests
    /// unchanged, and whose clients may use HTTP/2. Their requests have a full URI with the
    /// gateway's own host, which is not the endpoint and would be an error. The version is reset
    /// too: the inner service chooses its own.
    #[must_use]
    pub fn gateway(mut self) -> Self {
        self.calls.is_gateway = true;
        self
    }
}

impl<S, B> Layer<S> for CtcLayer<B>
where
    S: HttpService<B>,
    B: Send + 'static,
{
    type Service = CtcService<S, B>;

    fn layer(&self, service: S) -> CtcService<S, B> {
        let transport = TowerTransport::with_bodies(service, self.calls.bodies)
            .login_service(self.login_service.clone())
            .classify_error(self.classify);
        let (session, store) = (self.session.clone(), self.store.clone());
        let driver = AsyncDriver::new(session, transport, self.runtime.clone(), store);
        CtcService {
            driver,
            calls: self.calls.clone(),
        }
    }
}

impl<B> Clone for Calls<B> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            bodies: self.bodies,
            is_gateway: self.is_gateway,
        }
    }
}

impl<B> Clone for CtcLayer<B> {
    fn clone(&self) -> Self {
        Self {
            session: self.session.clone(),
            store: self.store.clone(),
            runtime: self.runtime.clone(),
            login_service: self.login_service.clone(),
            classify: self.classify,
            calls: self.calls.clone(),
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
    calls: Calls<B>,
}

impl<S, B> CtcService<S, B> {
    /// Returns the driver, to log in early and to log out. Keep a clone of the service or of the
    /// driver if you add more layers over it.
    pub fn driver(&self) -> &AsyncDriver<TowerTransport<S, B>> {
        &self.driver
    }

    /// Makes one call, as [`Service::call`] does: without a clone of the service and a box, for a
    /// caller that keeps hold of it.
    ///
    /// # Errors
    /// As [`AsyncDriver::execute`].
    pub fn execute(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<S::Response, CallError<TowerError>>> + Send + use<'_, S, B>
    where
        S: HttpService<B>,
        B: Send + 'static,
    {
        let (outbound, options) = self.outbound(request);
        let mut place = Some(outbound);
        async move { __adapter::execute_from(&self.driver, &mut place, &options).await }
    }

    pub(crate) fn bodies(&self) -> Bodies<B> {
        self.calls.bodies
    }

    pub(crate) fn outbound(&self, mut request: Request<B>) -> (Outbound<B>, CallOptions) {
        let options = request.extensions_mut().remove();
        if self.calls.is_gateway
            && let Some(path) = request.uri().path_and_query().cloned()
        {
            *request.uri_mut() = Uri::from(path);
            *request.version_mut() = Version::default();
        }
        (
            Outbound::with_bodies(request, self.calls.bodies),
            options.unwrap_or_else(|| self.calls.options.clone()),
        )
    }
}

impl<S, B> Service<Request<B>> for CtcService<S, B>
where
    S: HttpService<B>,
    B: Send + 'static,
{
    type Response = Response<S::ResponseBody>;
    type Error = CallError<TowerError>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A call may send several requests or none: each waits for the service inside by itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let driver = self.driver.clone();
        let (outbound, options) = self.outbound(request);
        let mut place = Some(outbound);
        Box::pin(async move { __adapter::execute_from(&driver, &mut place, &options).await })
    }
}

impl<S, B> Clone for CtcService<S, B> {
    fn clone(&self) -> Self {
        Self {
            driver: self.driver.clone(),
            calls: self.calls.clone(),
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
