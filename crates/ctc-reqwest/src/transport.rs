//! reqwest as the HTTP client of a driver. Only this file knows the pitfalls of `reqwest`.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ctc_driver::__adapter::{DISCARD_BYTES, Whole};
use ctc_driver::ctc_core::{Route, Target};
use ctc_driver::{
    AsyncTransport, BodyError, Incoming, LoginRequest, LoginResponse, Outgoing, ReplayCopy,
};
use http::header::CONTENT_LENGTH;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Request, Response, Url};

use crate::error::SendError;

/// A `reqwest::Client` as an [`AsyncTransport`].
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    client: reqwest::Client,
    login_client: LoginClient,
    /// Whether responses may come from another origin than the request was for.
    may_redirect: bool,
}

impl ReqwestTransport {
    /// Creates a transport over `client`, which must not follow redirects or keep cookies; build it
    /// with [`http_client_builder`](crate::http_client_builder).
    ///
    /// A response from another origin than the request was for is an error, but by then the client
    /// has sent the application key there.
    ///
    /// Logins use the connections that `client` keeps for calls, unless they have a client of their
    /// own: see [`with_login_client`](Self::with_login_client).
    pub fn new(client: reqwest::Client) -> Self {
        Self {
            login_client: LoginClient::Built(client.clone()),
            client,
            may_redirect: true,
        }
    }

    /// Sets the client that sends logins and logouts. It should keep no idle connections
    /// (`pool_max_idle_per_host(0)`): if the server closes one while a login is sent on it, that
    /// login fails, and calls are denied until the backoff ends.
    #[must_use]
    pub fn with_login_client(mut self, client: reqwest::Client) -> Self {
        self.login_client = LoginClient::Built(client);
        self
    }

    /// A transport over clients that are built here and follow no redirects, so that responses need
    /// no check. The client for logins is built with the first login, because loading the trusted
    /// certificates is the main cost of a client.
    pub(crate) fn built_by(
        builder: impl Fn() -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> reqwest::Result<Self> {
        Ok(Self {
            client: builder().build()?,
            login_client: LoginClient::Lazy(Arc::new(Lazy {
                builder: Box::new(builder),
                client: OnceLock::new(),
            })),
            may_redirect: false,
        })
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }
}

/// The client that sends logins and logouts.
#[derive(Clone)]
enum LoginClient {
    Built(reqwest::Client),
    Lazy(Arc<Lazy>),
}

struct Lazy {
    builder: Box<dyn Fn() -> reqwest::ClientBuilder + Send + Sync>,
    client: OnceLock<reqwest::Client>,
}

impl LoginClient {
    fn get(&self) -> reqwest::Result<&reqwest::Client> {
        let lazy = match self {
            Self::Built(client) => return Ok(client),
            Self::Lazy(lazy) => lazy,
        };
        if let Some(client) = lazy.client.get() {
            return Ok(client);
        }
        let client = (lazy.builder)().pool_max_idle_per_host(0).build()?;
        Ok(lazy.client.get_or_init(|| client))
    }
}

impl fmt::Debug for LoginClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginClient").finish_non_exhaustive()
    }
}

/// A `reqwest::Request` to be sent.
#[derive(Debug)]
pub struct Outbound {
    /// The request. Boxed, because each step of a builder moves it.
    pub request: Box<Request>,
    /// It was built here, so its extensions contain at most a timeout.
    built_here: bool,
}

impl Outbound {
    /// Wraps any request of reqwest.
    pub fn new(request: Request) -> Self {
        Self {
            request: Box::new(request),
            built_here: false,
        }
    }

    /// Sets how long it may take, from connecting to the end of the body.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        *self.request.timeout_mut() = Some(timeout);
        self
    }

    /// A request that this crate's builder made.
    pub(crate) fn built_here(request: Box<Request>) -> Self {
        Self {
            request,
            built_here: true,
        }
    }
}

impl From<Request> for Outbound {
    fn from(request: Request) -> Self {
        Self::new(request)
    }
}

/// Fails if the URI is not a full URL.
impl<B: Into<reqwest::Body>> TryFrom<http::Request<B>> for Outbound {
    type Error = SendError;

    fn try_from(request: http::Request<B>) -> Result<Self, SendError> {
        Ok(Self::new(Request::try_from(request)?))
    }
}

/// The copy of an [`Outbound`] for its replay.
#[derive(Debug)]
pub struct OutboundCopy(Copy);

#[derive(Debug)]
enum Copy {
    /// Of a request that has neither a body nor extensions.
    Parts {
        method: Method,
        url: Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        timeout: Option<Duration>,
    },
    /// Of any other. Few calls need it, so that the others are small.
    Whole(Box<Request>),
}

/// A `reqwest::Response`.
#[derive(Debug)]
pub struct Inbound(pub Response);

impl Outgoing for Outbound {
    type ReplayCopy = OutboundCopy;

    fn method(&self) -> &Method {
        self.request.method()
    }

    fn target(&self) -> Target<'_> {
        target(self.request.url())
    }

    fn path(&self) -> &str {
        self.request.url().path()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }

    fn replay_copy(&self) -> Option<OutboundCopy> {
        let Self {
            request,
            built_here,
        } = self;
        Some(OutboundCopy(if *built_here && request.body().is_none() {
            // `try_clone` takes more: it makes room on the heap for extensions, and for a map of
            // headers twice.
            Copy::Parts {
                method: request.method().clone(),
                url: request.url().clone(),
                headers: request
                    .headers()
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                timeout: request.timeout().copied(),
            }
        } else {
            Copy::Whole(Box::new(request.try_clone()?))
        }))
    }
}

impl ReplayCopy<Outbound> for OutboundCopy {
    fn route(&self) -> Route {
        match &self.0 {
            Copy::Parts { method, url, .. } => Route::new(method, url.path()),
            Copy::Whole(request) => Route::new(request.method(), request.url().path()),
        }
    }

    fn into_request(self) -> Outbound {
        match self.0 {
            Copy::Parts {
                method,
                url,
                headers,
                timeout,
            } => {
                let mut request = Request::new(method, url);
                for (name, value) in headers {
                    request.headers_mut().append(name, value);
                }
                if timeout.is_some() {
                    *request.timeout_mut() = timeout;
                }
                Outbound::built_here(Box::new(request))
            }
            Copy::Whole(request) => Outbound {
                request,
                built_here: false,
            },
        }
    }
}

impl Incoming for Inbound {
    fn status(&self) -> StatusCode {
        self.0.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.0.headers_mut()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.0.extensions_mut()
    }
}

type Sent = Result<Inbound, SendError>;

#[async_trait]
impl AsyncTransport for ReqwestTransport {
    type Request = Outbound;
    type Response = Inbound;
    type Error = SendError;

    // By hand what `async_trait` makes of an `async fn`, less the room for the request in the
    // future: reqwest takes it at once.
    fn send<'s, 'f>(&'s self, outbound: Outbound) -> Pin<Box<dyn Future<Output = Sent> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        let Outbound { mut request, .. } = outbound;
        set_length(&mut request);
        let origin = self.may_redirect.then(|| origin_mark(request.url()));
        let sending = self.client.execute(*request);
        Box::pin(async move {
            let response = sending.await?;
            if origin.is_some_and(|origin| origin_mark(response.url()) != origin) {
                return Err(SendError::LeftOrigin);
            }
            Ok(Inbound(response))
        })
    }

    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        let mut request = Request::try_from(login.request.map(Bytes::from))?;
        set_length(&mut request);
        let url = request.url().clone();
        let mut response = self.login_client.get()?.execute(request).await?;
        if *response.url() != url {
            return Err(SendError::LoginRedirected);
        }
        let headers = std::mem::take(response.headers_mut());
        let mut read = LoginResponse::new(response.status(), headers);
        // If the head says all, the connection goes with the body.
        while read.body().len() < login.body_limit
            && let Some(chunk) = response.chunk().await?
        {
            read.append_body(&chunk, login.body_limit);
        }
        Ok(read)
    }

    async fn discard(&self, response: Inbound) {
        drain(response.0).await;
    }

    async fn read(
        &self,
        Inbound(mut response): Inbound,
        max_body: usize,
    ) -> Result<http::Response<Vec<u8>>, BodyError> {
        let mut read = http::Response::new(());
        *read.status_mut() = response.status();
        *read.version_mut() = response.version();
        std::mem::swap(read.headers_mut(), response.headers_mut());
        std::mem::swap(read.extensions_mut(), response.extensions_mut());
        let mut body = Whole::new(max_body, response.content_length().unwrap_or(0));
        let chunk = async |response: &mut Response| {
            let chunk = response.chunk().await;
            chunk.map_err(|error| BodyError::broke_off(error.without_url()))
        };
        while let Some(chunk) = chunk(&mut response).await? {
            body.append(&chunk)?;
        }
        Ok(read.map(|()| body.into_bytes()))
    }
}

/// Reads a short body to its end, so that its connection can be used again. The driver limits the
/// time.
async fn drain(mut response: Response) {
    let mut left = DISCARD_BYTES;
    while let Ok(Some(chunk)) = response.chunk().await {
        let Some(rest) = left.checked_sub(chunk.len()) else {
            break;
        };
        left = rest;
    }
}

/// reqwest omits `Content-Length` if there is no body; a server may require it for these methods.
fn set_length(request: &mut Request) {
    let empty = request
        .body()
        .is_none_or(|body| body.as_bytes().is_some_and(<[u8]>::is_empty));
    if empty
        && matches!(
            *request.method(),
            Method::POST | Method::PUT | Method::PATCH
        )
    {
        request
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// A URL's origin as a number: comparing two of them allocates nothing.
fn origin_mark(url: &Url) -> u64 {
    let mut hasher = DefaultHasher::new();
    (url.scheme(), url.host_str(), url.port_or_known_default()).hash(&mut hasher);
    hasher.finish()
}

/// A URL with a username matches no endpoint.
fn target(url: &Url) -> Target<'_> {
    let names_user = !url.username().is_empty() || url.password().is_some();
    let host = url.host_str().filter(|_| !names_user).unwrap_or_default();
    Target::new(url.scheme(), host, url.port())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use ctc_driver::TransportError;
    use ctc_driver::ctc_core::SendFailure;

    use super::*;

    /// Changes between the first client and the first login, such as other certificates of the
    /// machine, may be wrong.
    #[test]
    fn a_login_client_that_cannot_be_built_sends_nothing_and_is_built_the_next_time() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let is_broken = Arc::new(AtomicBool::new(false));
        let broken = Arc::clone(&is_broken);
        let transport = ReqwestTransport::built_by(move || {
            let user_agent = ["good", "b\nad"][usize::from(broken.load(Ordering::SeqCst))];
            reqwest::Client::builder().user_agent(user_agent)
        });
        let transport = transport.expect("the first client");
        is_broken.store(true, Ordering::SeqCst);
        let error = SendError::from(transport.login_client.get().expect_err("no client"));
        assert_eq!(error.failure(), SendFailure::NotSent);
        is_broken.store(false, Ordering::SeqCst);
        assert!(transport.login_client.get().is_ok());
    }
}
