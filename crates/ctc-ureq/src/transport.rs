//! ureq as the HTTP stack of a driver: the traps of `ureq` are dealt with here and nowhere else.

use std::io::Read;
use std::time::Duration;

use ctc_driver::ctc_core::{Endpoint, Route, Target};
use ctc_driver::{LoginRequest, LoginResponse, Outgoing, ReplayCopy, Transport};
use http::header::CONTENT_LENGTH;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use ureq::{Agent, AsSendBody, SendBody};

use crate::body::{Body, Content};
use crate::error::SendError;
use crate::headers::FewHeaders;

/// Longest body of a response that is read to its end to keep the connection, when the response is not
/// delivered.
const DRAIN_BYTES: u64 = 64 * 1024;

/// A [`ureq::Agent`] as a [`Transport`].
#[derive(Clone, Debug)]
pub struct UreqTransport {
    agent: Agent,
    /// Whether the agent does by itself what is otherwise set for each request. ureq keeps its TLS
    /// set-up only for requests without settings of their own.
    is_set_up: bool,
}

impl UreqTransport {
    /// A transport over `agent`, which no other session may use.
    ///
    /// Redirects and statuses are dealt with for each request, unless the agent is set up as
    /// [`http_client_builder`](crate::http_client_builder) does it.
    pub fn new(agent: Agent) -> Self {
        let config = agent.config();
        let is_set_up = !config.http_status_as_error()
            && config.max_redirects() == 0
            && !config.max_redirects_will_error()
            && config.allow_non_standard_methods();
        #[cfg(feature = "cookies")]
        agent.cookie_jar_lock().clear();
        Self { agent, is_set_up }
    }

    fn run<B: AsSendBody>(
        &self,
        request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Response<ureq::Body>, SendError> {
        let response = self.run_on_agent(request, timeout);
        // What this response has set must not go out with another call.
        #[cfg(feature = "cookies")]
        self.agent.cookie_jar_lock().clear();
        Ok(response?)
    }

    fn run_on_agent<B: AsSendBody>(
        &self,
        request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        if self.is_set_up && timeout.is_none() {
            return self.agent.run(request);
        }
        let mut config = self
            .agent
            .configure_request(request)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true);
        if timeout.is_some() {
            config = config.timeout_global(timeout);
        }
        self.agent.run(config.build())
    }
}

/// A request on its way out.
#[derive(Debug)]
pub struct Outbound {
    /// All but its body. Boxed, as each step of a builder moves it.
    pub request: Box<Request<()>>,
    /// Its body.
    pub body: Body,
    /// How long it may take all told.
    pub timeout: Option<Duration>,
}

impl Outbound {
    /// A request, and how long it may take all told.
    pub fn new<B: Into<Body>>(request: Request<B>, timeout: Option<Duration>) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            request: Box::new(Request::from_parts(parts, ())),
            body: body.into(),
            timeout,
        }
    }
}

/// What is kept of an [`Outbound`] while it is out.
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
        match outbound.body.0 {
            // `()` and not an empty slice: ureq would announce a body of length 0 on a GET.
            Content::Empty => {
                set_length(&mut outbound.request);
                self.run(*outbound.request, timeout)
            }
            Content::Bytes(bytes) => self.run(outbound.request.map(|()| &bytes[..]), timeout),
            Content::Reader(reader) => self.run(
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
        let (form, timeout) = (form.as_ref(), Some(login.timeout));
        let response = if form.is_empty() {
            set_length(&mut request);
            self.run(request, timeout)
        } else {
            self.run(request.map(|()| form), timeout)
        };
        // The head has said all: its connection goes with the body.
        let (parts, _body) = response?.into_parts();
        Ok(LoginResponse::new(parts.status, parts.headers))
    }

    fn discard(&self, response: Response<ureq::Body>) {
        drain(response.into_body());
    }
}

/// Reads a short body to its end, so that its connection can be used again. Only one whose length
/// is known to be short: reading on without a time-out of its own could take for ever.
fn drain(body: ureq::Body) {
    if body
        .content_length()
        .is_some_and(|length| length <= DRAIN_BYTES)
    {
        // A body that breaks off costs a connection and nothing else.
        let _ = std::io::copy(
            &mut body.into_reader().take(DRAIN_BYTES),
            &mut std::io::sink(),
        );
    }
}

/// ureq leaves `Content-Length` out when there is no body; a server may insist on it for these
/// methods.
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
