//! ureq as the HTTP client of a driver. Only this file knows the pitfalls of `ureq`.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use ctc_driver::__adapter::{DISCARD_BYTES, DISCARD_TIMEOUT};
use ctc_driver::ctc_core::{Endpoint, Route, Target};
use ctc_driver::{
    BodyError, LoginRequest, LoginResponse, Outgoing, ReplayCopy, Transport, read_from,
};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use ureq::config::{AutoHeaderValue, Config, ConfigBuilder};
use ureq::typestate::HttpCrateScope;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, AsSendBody, SendBody, Timeout};
use zeroize::Zeroizing;

use crate::body::{Body, Content};
use crate::error::{BuildError, SendError};
use crate::headers::FewHeaders;
use crate::watch::{self, Watch, WatchedConnector};

/// The shortest body that is announced (`Expect: 100-continue`) before it is sent. A server that
/// rejects the token responds before it has read the body, but ureq sends the whole body before it
/// reads a response: without the announcement the 401 would be lost in the broken connection.
const ANNOUNCED_BYTES: usize = 1024 * 1024;

/// A `ureq::Agent` as a [`Transport`].
#[derive(Clone, Debug)]
pub struct UreqTransport {
    agent: Agent,
    /// Whether the agent's configuration makes settings for each request unnecessary. ureq keeps
    /// its TLS setup only for requests without settings of their own.
    is_set_up: bool,
    /// Whether all connections are made by a [`WatchedConnector`].
    is_watched: bool,
}

impl UreqTransport {
    /// Creates a transport over an agent with this configuration.
    ///
    /// Redirects and statuses are handled for each request, unless they are configured as
    /// [`http_client_builder`](crate::http_client_builder) does it.
    pub fn from_config(config: Config) -> Self {
        let connector = WatchedConnector::default();
        let agent = Agent::with_parts(config, connector, DefaultResolver::default());
        Self::over(agent, true)
    }

    /// Creates a transport over an agent of your own, which no other session may use: for an agent
    /// with its own connectors or resolver.
    ///
    /// With such an agent, ureq does not report how far a request got. A failed login then counts
    /// as sent unless its error shows that it was not (no such host, connection refused, no TLS),
    /// and a response that is not delivered costs its connection.
    pub fn new(agent: Agent) -> Self {
        Self::over(agent, false)
    }

    fn over(agent: Agent, is_watched: bool) -> Self {
        let config = agent.config();
        let is_set_up = !config.http_status_as_error()
            && config.max_redirects() == 0
            && !config.max_redirects_will_error()
            && config.allow_non_standard_methods();
        #[cfg(feature = "cookies")]
        agent.cookie_jar_lock().clear();
        Self {
            agent,
            is_set_up,
            is_watched,
        }
    }

    /// With a header that is not valid ureq would panic at the first request.
    pub(crate) fn check_headers(&self) -> Result<(), BuildError> {
        let config = self.agent.config();
        for (name, value) in [
            ("user-agent", config.user_agent()),
            ("accept", config.accept()),
            ("accept-encoding", config.accept_encoding()),
        ] {
            if let AutoHeaderValue::Provided(value) = value
                && HeaderValue::from_str(value).is_err()
            {
                return Err(BuildError::InvalidHeader { name });
            }
        }
        Ok(())
    }

    fn run<B: AsSendBody>(&self, request: Request<B>) -> Result<Response<ureq::Body>, SendError> {
        let watch = Watch::begin();
        let response = self.agent.run(request);
        let was_written = watch.end();
        // What this response has set must not go out with another call.
        #[cfg(feature = "cookies")]
        self.agent.cookie_jar_lock().clear();
        response.map_err(|error| {
            let was_written = if self.is_watched {
                was_written
            } else {
                may_be_written(&error)
            };
            SendError::new(error, was_written)
        })
    }

    fn run_call<B: AsSendBody>(
        &self,
        request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Response<ureq::Body>, SendError> {
        if self.is_set_up && timeout.is_none() {
            return self.run(request);
        }
        let mut config = self.configure(request);
        if let Some(timeout) = timeout {
            config = config.timeout_global(Some(bounded(timeout)));
        }
        self.run(config.build())
    }

    fn run_login<B: AsSendBody>(
        &self,
        request: Request<B>,
        timeout: Duration,
    ) -> Result<Response<ureq::Body>, SendError> {
        // A buffer of another size than the pool's makes ureq open a connection for this request
        // alone. The server may have closed a pooled one just now.
        let buffer = self.agent.config().input_buffer_size().saturating_add(1);
        let config = self.configure(request);
        let config = config.timeout_global(Some(bounded(timeout)));
        let request = config.input_buffer_size(buffer).build();
        watch::as_login(|| self.run(request))
    }

    fn configure<B: AsSendBody>(&self, request: Request<B>) -> ConfigBuilder<HttpCrateScope<B>> {
        self.agent
            .configure_request(request)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
    }
}

/// A request to be sent.
#[derive(Debug)]
pub struct Outbound {
    /// Everything except its body. Boxed, because each step of a builder moves it.
    pub request: Box<Request<()>>,
    /// Its body.
    pub body: Body,
    /// Its time limit.
    pub timeout: Option<Duration>,
}

impl Outbound {
    /// Any request. Its URI may be just a path.
    pub fn new<B: Into<Body>>(request: Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            request: Box::new(Request::from_parts(parts, ())),
            body: body.into(),
            timeout: None,
        }
    }

    /// Sets how long it may take, from connecting to the end of the body.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<B: Into<Body>> From<Request<B>> for Outbound {
    fn from(request: Request<B>) -> Self {
        Self::new(request)
    }
}

/// The copy of an [`Outbound`] for its replay.
#[derive(Debug)]
pub struct OutboundCopy {
    method: Method,
    uri: Uri,
    version: Version,
    headers: FewHeaders,
    extensions: Extensions,
    body: Body,
    timeout: Option<Duration>,
}

impl Outgoing for Outbound {
    type ReplayCopy = OutboundCopy;

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

    fn replay_copy(&self) -> Option<OutboundCopy> {
        let request = &self.request;
        Some(OutboundCopy {
            body: self.body.replay()?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: FewHeaders::of(request.headers()),
            extensions: request.extensions().clone(),
            timeout: self.timeout,
        })
    }

    fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(self.timeout.map_or(timeout, |own| own.min(timeout)));
    }

    fn complete(&mut self, endpoint: &Endpoint) {
        self.request.complete(endpoint);
    }
}

impl ReplayCopy<Outbound> for OutboundCopy {
    fn route(&self) -> Route {
        Route::new(&self.method, self.uri.path())
    }

    fn into_request(self) -> Outbound {
        let Self {
            method,
            uri,
            version,
            headers,
            extensions,
            body,
            timeout,
        } = self;
        let mut request = Box::new(Request::new(()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = headers.into();
        *request.extensions_mut() = extensions;
        Outbound {
            request,
            body,
            timeout,
        }
    }
}

impl Transport for UreqTransport {
    type Request = Outbound;
    type Response = Response<ureq::Body>;
    type Error = SendError;

    fn send(&self, mut outbound: Outbound) -> Result<Response<ureq::Body>, SendError> {
        let timeout = outbound.timeout;
        if outbound.body.may_have(ANNOUNCED_BYTES) {
            let headers = outbound.request.headers_mut();
            headers
                .entry(EXPECT)
                .or_insert(HeaderValue::from_static("100-continue"));
        }
        match outbound.body.0 {
            // `()` and not an empty slice: ureq would announce a body of length 0 on a GET.
            Content::Empty => {
                set_length(&mut outbound.request);
                self.run_call(*outbound.request, timeout)
            }
            Content::Bytes(bytes) => self.run_call(outbound.request.map(|()| &bytes[..]), timeout),
            Content::Reader(reader) => self.run_call(
                outbound
                    .request
                    .map(|()| SendBody::from_owned_reader(reader)),
                timeout,
            ),
        }
    }

    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        let (parts, form) = login.request.into_parts();
        let mut request = Request::from_parts(parts, ());
        let form = form.as_ref();
        let response = if form.is_empty() {
            set_length(&mut request);
            self.run_login(request, login.timeout)
        } else {
            self.run_login(request.map(|()| form), login.timeout)
        };
        let (parts, body) = response?.into_parts();
        let mut response = LoginResponse::new(parts.status, parts.headers);
        // If the head says all, the connection goes with the body.
        if login.body_limit > 0 {
            let mut body = body.into_reader();
            let mut chunk = Zeroizing::new([0; 4096]);
            loop {
                let wanted = chunk.len().min(login.body_limit - response.body().len());
                let length = match body.read(&mut chunk[..wanted]) {
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(ureq::Error::from(error).into()),
                };
                if length == 0 || !response.append_body(&chunk[..length], login.body_limit) {
                    break;
                }
            }
        }
        Ok(response)
    }

    fn read(
        &self,
        response: Response<ureq::Body>,
        max_body: usize,
    ) -> Result<Response<Vec<u8>>, BodyError> {
        read_from(response.map(ureq::Body::into_reader), max_body)
    }

    fn discard(&self, response: Response<ureq::Body>) {
        // Without a watched connector nothing would bound it in time.
        if self.is_watched {
            drain(response.into_body());
        }
    }
}

/// A timeout that ureq can add to the current time: it panics on overflow.
pub(crate) fn bounded(timeout: Duration) -> Duration {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    timeout.min(YEAR)
}

/// Reads a short body to its end, so that its connection can be used again.
fn drain(body: ureq::Body) {
    let mut body = body.into_reader().take(DISCARD_BYTES as u64);
    // A body that breaks off costs a connection and nothing else.
    let _ = watch::read_until(Instant::now() + DISCARD_TIMEOUT, || {
        std::io::copy(&mut body, &mut std::io::sink())
    });
}

/// Whether the request may have been written before this error, as far as the error shows.
fn may_be_written(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::Tls(_)
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => false,
        // ureq hands on what rustls says of a certificate as an I/O error.
        ureq::Error::Io(error) => {
            error.kind() != ErrorKind::ConnectionRefused
                && !error.to_string().starts_with("invalid peer certificate")
        }
        _ => true,
    }
}

/// ureq omits `Content-Length` if there is no body; a server may require it for these methods.
fn set_length(request: &mut Request<()>) {
    if matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::PATCH
    ) {
        request
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}
