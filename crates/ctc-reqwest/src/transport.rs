//! reqwest as the HTTP stack of a driver: the traps of `reqwest` are dealt with here and nowhere else.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ctc_driver::ctc_core::{FormBody, Target, Unauthorized};
use ctc_driver::{AsyncTransport, Incoming, Outgoing};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Request, Response, Url};

use crate::error::SendError;

/// Longest body of an answer that is read to its end to keep the connection, when the answer is not delivered.
const DRAIN_BYTES: u64 = 64 * 1024;
/// How long the body of a login's answer may take to be read to its end.
const LOGIN_DRAIN: Duration = Duration::from_millis(100);

/// A [`reqwest::Client`] as an [`AsyncTransport`].
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    client: reqwest::Client,
    /// Whether answers may come from another origin than was asked.
    may_redirect: bool,
}

impl ReqwestTransport {
    /// A transport over `client`, which must follow no redirects and keep no cookies, as
    /// [`http_client_builder`](crate::http_client_builder) sees to.
    ///
    /// Answers that came from another origin than was asked are refused, but by then such a client has sent the
    /// application key there already.
    pub fn new(client: reqwest::Client) -> Self {
        Self { client, may_redirect: true }
    }

    /// As [`new`](Self::new), for a client that is known to follow no redirects: answers are not looked at.
    pub(crate) fn without_redirects(client: reqwest::Client) -> Self {
        Self { client, may_redirect: false }
    }
}

/// A [`reqwest::Request`] on its way out.
#[derive(Debug)]
pub struct Outbound {
    /// The request.
    pub request: Request,
    /// It was built here, so that its extensions hold a time-out at most.
    built_here: bool,
}

impl Outbound {
    /// Any request of reqwest's.
    pub fn new(request: Request) -> Self {
        Self { request, built_here: false }
    }

    /// A request that this crate's builder made.
    pub(crate) fn built_here(request: Request) -> Self {
        Self { request, built_here: true }
    }
}

/// A [`reqwest::Response`] coming in.
#[derive(Debug)]
pub struct Inbound(pub Response);

impl Outgoing for Outbound {
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

    fn replay(&self) -> Option<Self> {
        let Self { request, built_here } = self;
        if !built_here || request.body().is_some() {
            return request.try_clone().map(Self::new);
        }
        // What `try_clone` does, less the room that it makes on the heap for extensions.
        let mut copy = Request::new(request.method().clone(), request.url().clone());
        *copy.version_mut() = request.version();
        copy.headers_mut().clone_from(request.headers());
        if let Some(timeout) = request.timeout() {
            *copy.timeout_mut() = Some(*timeout);
        }
        Some(Self::built_here(copy))
    }
}

impl Incoming for Inbound {
    fn status(&self) -> StatusCode {
        self.0.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    fn explain(&mut self, why: Unauthorized) {
        self.0.extensions_mut().insert(why);
    }
}

#[async_trait]
impl AsyncTransport for ReqwestTransport {
    type Request = Outbound;
    type Response = Inbound;
    type Error = SendError;

    async fn send(&self, Outbound { request, .. }: Outbound) -> Result<Inbound, SendError> {
        let origin = self.may_redirect.then(|| origin_mark(request.url()));
        let response = self.client.execute(with_length(request)).await?;
        if origin.is_some_and(|origin| origin_mark(response.url()) != origin) {
            return Err(SendError::LeftOrigin);
        }
        Ok(Inbound(response))
    }

    async fn send_login(&self, request: http::Request<FormBody>) -> Result<http::Response<()>, SendError> {
        let request = with_length(Request::try_from(request.map(Bytes::from))?);
        let url = request.url().clone();
        let mut response = self.client.execute(request).await?;
        if *response.url() != url {
            return Err(SendError::LoginRedirected);
        }
        let mut read = http::Response::new(());
        *read.status_mut() = response.status();
        *read.headers_mut() = std::mem::take(response.headers_mut());
        // The head has said all: a body that is slow to end must not cost a login that succeeded.
        let _ = tokio::time::timeout(LOGIN_DRAIN, drain(response)).await;
        Ok(read)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn discard(&self, response: Inbound) {
        drain(response.0).await;
    }
}

/// Reads a short body to its end, so that its connection can be used again. The driver bounds it in time.
async fn drain(mut response: Response) {
    let mut left = DRAIN_BYTES;
    while let Ok(Some(chunk)) = response.chunk().await {
        let Some(rest) = left.checked_sub(chunk.len() as u64) else { break };
        left = rest;
    }
}

/// reqwest leaves `Content-Length` out when there is no body; a server may insist on it for these methods.
fn with_length(mut request: Request) -> Request {
    let empty = request.body().is_none_or(|body| body.as_bytes().is_some_and(<[u8]>::is_empty));
    if empty && matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    request
}

/// A URL's origin as a number: comparing two of them allocates nothing.
fn origin_mark(url: &Url) -> u64 {
    let mut hasher = DefaultHasher::new();
    (url.scheme(), url.host_str(), url.port_or_known_default()).hash(&mut hasher);
    hasher.finish()
}

fn target(url: &Url) -> Target<'_> {
    Target::new(url.scheme(), url.host_str().unwrap_or_default(), url.port())
}
