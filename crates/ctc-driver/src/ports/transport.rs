//! The port for HTTP clients.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use ctc_core::{FormBody, SendFailure};
use http::{HeaderMap, Response, StatusCode};
use zeroize::Zeroizing;

use super::body::{BodyError, read_known, read_known_blocking};
use super::not_sent::NotSent;
use super::request::Outgoing;
use super::response::Incoming;

/// How many bytes the shipped adapters read at most of a response that is not delivered: enough to
/// keep the connection after a short one.
pub const DISCARD_BYTES: usize = 64 * 1024;
/// How long that may take.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// The error of an HTTP client. It must not print a form body, a header or a URL's query.
pub trait TransportError: Error + Send + Sync + 'static {
    /// Returns whether the request may have reached the server. A login that was certainly not sent
    /// is not charged to the login budget.
    fn failure(&self) -> SendFailure {
        SendFailure::MaybeSent
    }

    /// Returns the step at which a request failed that was not sent, for messages and for callers
    /// ([`CallFailure`](crate::CallFailure)). By default it searches the error's sources.
    fn failed_at(&self) -> NotSent
    where
        Self: Sized,
    {
        NotSent::of(self)
    }
}

/// The error of an HTTP client that is made of sockets.
impl TransportError for io::Error {
    fn failure(&self) -> SendFailure {
        match self.kind() {
            io::ErrorKind::ConnectionRefused => SendFailure::NotSent,
            _ => SendFailure::MaybeSent,
        }
    }
}

/// A login or a logout to be sent.
///
/// Its URL is absolute and may be on another origin than the session's endpoint: the OAuth login
/// goes to a token endpoint.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoginRequest {
    /// The request, to be sent unchanged. Its form contains the password. For an HTTP client with
    /// another type of body, convert it into `Bytes`, which is wiped after use
    /// (`request.map(Bytes::from)`), or as a copy (`request.map(|form| form.as_ref().to_vec())`).
    pub request: http::Request<FormBody>,
    /// The time limit in total, with the needed part of the body.
    pub timeout: Duration,
    /// How many bytes of the response's body are needed at most. If 0, do not read the body.
    pub body_limit: usize,
}

impl LoginRequest {
    /// Creates a login or logout of whose response only the head is needed.
    pub fn new(request: http::Request<FormBody>, timeout: Duration) -> Self {
        Self {
            request,
            timeout,
            body_limit: 0,
        }
    }

    /// Sets how many bytes of the response's body are needed at most.
    #[must_use]
    pub fn with_body_limit(mut self, limit: usize) -> Self {
        self.body_limit = limit;
        self
    }
}

/// The response to a [`LoginRequest`]. Its body is wiped on drop.
pub struct LoginResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

impl LoginResponse {
    /// Creates a response without a body.
    pub fn new(status: StatusCode, headers: HeaderMap) -> Self {
        Self {
            status,
            headers,
            body: Zeroizing::default(),
        }
    }

    /// Sets the part of the body that was read.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Zeroizing::new(body.into());
        self
    }

    /// Appends a part of the body, up to `limit` bytes in total ([`LoginRequest::body_limit`]).
    /// Returns whether more is needed. A growing body leaves no copy in memory.
    pub fn append_body(&mut self, chunk: &[u8], limit: usize) -> bool {
        let length = self.body.len();
        let wanted = chunk.len().min(limit.saturating_sub(length));
        if self.body.capacity() - length < wanted {
            let mut grown = Vec::with_capacity((length + wanted).max(2 * length));
            grown.extend_from_slice(&self.body);
            self.body = Zeroizing::new(grown);
        }
        self.body.extend_from_slice(&chunk[..wanted]);
        self.body.len() < limit
    }

    /// Returns its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the part of the body that was read.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// For HTTP clients that read whole bodies.
impl<B: Into<Vec<u8>>> From<Response<B>> for LoginResponse {
    fn from(response: Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self::new(parts.status, parts.headers).with_body(body)
    }
}

impl fmt::Debug for LoginResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers hold a token as well.
        f.debug_struct("LoginResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A blocking HTTP client.
///
/// It must not follow redirects or keep cookies, and must return every status as a response.
pub trait Transport: Send + Sync + 'static {
    /// Its type of requests.
    type Request: Outgoing;
    /// Its type of responses.
    type Response: Incoming + 'static;
    /// Its type of errors.
    type Error: TransportError;

    /// Sends a stamped request.
    ///
    /// # Errors
    /// Returns an error if there is no response.
    fn send(&self, request: Self::Request) -> Result<Self::Response, Self::Error>;

    /// Sends a login or logout, on a connection of its own if possible: on a pooled connection that
    /// the server has just closed, a login fails needlessly.
    ///
    /// # Errors
    /// Returns an error if there is no response in time.
    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, Self::Error>;

    /// Discards a response that is not delivered to the caller. Reading a short body to its end
    /// keeps the connection usable; a client that does so must limit bytes and time.
    fn discard(&self, response: Self::Response) {
        drop(response);
    }

    /// Reads a whole response, for calls that need it so ([`Caller`](crate::Caller)).
    ///
    /// The default reads an `http::Response` whose body is a `Vec<u8>`, `Bytes`, `String`,
    /// `Box<[u8]>`, `()` or a boxed reader (`Box<dyn Read + Send>`). For any other type implement
    /// it: [`read_from`](crate::read_from) reads any reader.
    ///
    /// # Errors
    /// Returns [`BodyError`] if the body ends early or is longer than `max_body` bytes.
    fn read(
        &self,
        response: Self::Response,
        max_body: usize,
    ) -> Result<Response<Vec<u8>>, BodyError> {
        read_known_blocking(response, max_body)
    }
}

/// An asynchronous HTTP client, on any runtime.
///
/// It must not follow redirects or keep cookies, and must return every status as a response.
// With `async_trait` the futures are boxed. That is meant: a caller that waits for a login then
// holds no room for the future of a request that it has not sent.
#[async_trait]
pub trait AsyncTransport: Send + Sync + 'static {
    /// Its type of requests.
    type Request: Outgoing<ReplayCopy: Send> + Send;
    /// Its type of responses.
    type Response: Incoming + Send + 'static;
    /// Its type of errors.
    type Error: TransportError;

    /// Sends a stamped request.
    ///
    /// # Errors
    /// Returns an error if there is no response.
    async fn send(&self, request: Self::Request) -> Result<Self::Response, Self::Error>;

    /// Sends a login or logout, on a connection of its own if possible: on a pooled connection that
    /// the server has just closed, a login fails needlessly. The driver also limits its time.
    ///
    /// # Errors
    /// Returns an error if there is no response.
    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, Self::Error>;

    /// Discards a response that is not delivered to the caller. Reading a short body to its end
    /// keeps the connection usable; a client that does so must limit the bytes. The driver limits
    /// the time.
    async fn discard(&self, response: Self::Response) {
        drop(response);
    }

    /// Reads a whole response, for calls that need it so ([`AsyncCaller`](crate::AsyncCaller)).
    ///
    /// The default reads an `http::Response` whose body is a `Vec<u8>`, `Bytes`, `String`,
    /// `Box<[u8]>` or `()`. For any other type implement it: [`read_body`](crate::read_body) reads
    /// any `http_body::Body`.
    ///
    /// # Errors
    /// Returns [`BodyError`] if the body ends early or is longer than `max_body` bytes.
    async fn read(
        &self,
        response: Self::Response,
        max_body: usize,
    ) -> Result<Response<Vec<u8>>, BodyError> {
        read_known(response, max_body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn append_body_stops_at_the_limit() {
        let mut response = LoginResponse::new(StatusCode::OK, HeaderMap::new());
        assert!(response.append_body(b"abc", 5));
        assert!(!response.append_body(b"def", 5));
        assert_eq!(response.body(), b"abcde");
        assert!(!response.append_body(b"g", 5));
        assert_eq!(response.body(), b"abcde");
    }
}
