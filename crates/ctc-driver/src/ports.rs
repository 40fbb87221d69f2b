//! What an HTTP stack must offer: one small trait each for requests, answers, errors and the stack
//! itself.

use std::error::Error;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{Endpoint, FormBody, Pass, Route, SendFailure, StampError, Target, Unauthorized};
use http::{HeaderMap, Method, StatusCode};

use crate::caller::mark_cookies_sensitive;

/// A request on its way out. Ready for `http::Request<B>` with a body that can be cloned.
pub trait Outgoing: Sized {
    /// What is kept of a request that may have to be sent once more: `Self`, or less if that is
    /// cheaper to make.
    type ReplayCopy: ReplayCopy<Self>;

    /// Its method.
    fn method(&self) -> &Method;
    /// Scheme, host and port of its URL.
    fn target(&self) -> Target<'_>;
    /// The path of its URL, without the query.
    fn path(&self) -> &str;
    /// Its headers, to be stamped.
    fn headers_mut(&mut self) -> &mut HeaderMap;
    /// What it takes to send it once more, or `None` when its body is a stream that can be read
    /// only once. Called before the request is stamped.
    fn replay_copy(&self) -> Option<Self::ReplayCopy>;

    /// Puts a request whose URL is only a path (`/connect/…`) on the endpoint, before it is
    /// stamped. Nothing to do by default: for stacks whose requests always have a full URL.
    fn complete(&mut self, endpoint: &Endpoint) {
        let _ = endpoint;
    }

    /// The route of this request.
    fn route(&self) -> Route {
        Route::new(self.method(), self.path())
    }
}

/// What is kept of a request `R` while it is out. A request that is kept whole is ready for it.
pub trait ReplayCopy<R> {
    /// The route of the request.
    fn route(&self) -> Route;
    /// The request once more, not stamped.
    fn into_request(self) -> R;
}

impl<R: Outgoing<ReplayCopy = R>> ReplayCopy<R> for R {
    fn route(&self) -> Route {
        Outgoing::route(self)
    }

    fn into_request(self) -> R {
        self
    }
}

impl<B: Clone> Outgoing for http::Request<B> {
    type ReplayCopy = Self;

    fn method(&self) -> &Method {
        self.method()
    }

    fn target(&self) -> Target<'_> {
        Target::from(self.uri())
    }

    fn path(&self) -> &str {
        self.uri().path()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn replay_copy(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn complete(&mut self, endpoint: &Endpoint) {
        if self.uri().authority().is_none() {
            *self.uri_mut() = endpoint.complete(std::mem::take(self.uri_mut()));
        }
    }
}

/// A response as far as the session looks at it. Ready for `http::Response<B>`.
pub trait Incoming {
    /// Its status.
    fn status(&self) -> StatusCode;
    /// Its headers.
    fn headers(&self) -> &HeaderMap;
    /// Called on a 401 that is about to be delivered: keeps why the session did not cure it where
    /// the caller finds it. The shipped transports put it into the response's extensions.
    fn attach_reason(&mut self, why: Unauthorized) {
        let _ = why;
    }
    /// Called on a response that sets cookies: marks them as sensitive, as
    /// [`adapter::mark_cookies_sensitive`](crate::adapter::mark_cookies_sensitive) does. A rotated token may be among
    /// them.
    fn mark_cookies_sensitive(&mut self);
}

impl<B> Incoming for http::Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn attach_reason(&mut self, why: Unauthorized) {
        self.extensions_mut().insert(why);
    }

    fn mark_cookies_sensitive(&mut self) {
        mark_cookies_sensitive(self.headers_mut());
    }
}

/// An HTTP stack's error. It must not print a form body, a header or a URL's query.
pub trait TransportError: Error + Send + Sync + 'static {
    /// Whether the request may have reached the server. A login that was surely not sent is not
    /// counted.
    fn failure(&self) -> SendFailure {
        SendFailure::MaybeSent
    }
}

/// The error of a stack that is made of sockets.
impl TransportError for io::Error {
    fn failure(&self) -> SendFailure {
        match self.kind() {
            io::ErrorKind::ConnectionRefused => SendFailure::NotSent,
            _ => SendFailure::MaybeSent,
        }
    }
}

/// A blocking HTTP stack.
///
/// It must not follow redirects, keep no cookies of its own, and hand every status back as an
/// answer.
pub trait Transport: Send + Sync {
    /// Its requests.
    type Request: Outgoing;
    /// Its answers.
    type Response: Incoming;
    /// Its errors.
    type Error: TransportError;

    /// Sends a stamped request.
    ///
    /// # Errors
    /// When there is no response.
    fn send(&self, request: Self::Request) -> Result<Self::Response, Self::Error>;

    /// Sends a login or logout, and gives up after `timeout` all told. The response's head says all:
    /// its body is read to its end at most to keep the connection, and one that does not end
    /// costs no login that succeeded.
    ///
    /// The form holds the password. A stack that wants another type of body can have it as `Bytes`,
    /// which is wiped after use (`request.map(Bytes::from)`), or as a copy (`request.map(|form|
    /// form.as_ref().to_vec())`).
    ///
    /// # Errors
    /// When there is no response in time.
    fn send_login(
        &self,
        request: http::Request<FormBody>,
        timeout: Duration,
    ) -> Result<http::Response<()>, Self::Error>;

    /// Lets go of a response that is not delivered. Reading a short body to its end keeps the
    /// connection usable.
    fn discard(&self, response: Self::Response) {
        drop(response);
    }
}

/// An asynchronous HTTP stack, on any runtime.
///
/// It must not follow redirects, keep no cookies of its own, and hand every status back as an
/// answer. Every task that waits for a login polls its [`send_login`](Self::send_login): a stack
/// that is bound to one runtime must be called from that runtime only.
#[async_trait]
pub trait AsyncTransport: Send + Sync {
    /// Its requests.
    type Request: Outgoing<ReplayCopy: Send> + Send;
    /// Its answers.
    type Response: Incoming + Send;
    /// Its errors.
    type Error: TransportError;

    /// Sends a stamped request.
    ///
    /// # Errors
    /// When there is no response.
    async fn send(&self, request: Self::Request) -> Result<Self::Response, Self::Error>;

    /// Sends a login or logout. The driver gives up waiting by itself, with [`sleep`](Self::sleep).
    /// The response's head says all: its body is read to its end at most to keep the connection,
    /// and for a moment only.
    ///
    /// The form holds the password: see [`Transport::send_login`] for how to make it a body of
    /// another type.
    ///
    /// # Errors
    /// When there is no response.
    async fn send_login(
        &self,
        request: http::Request<FormBody>,
    ) -> Result<http::Response<()>, Self::Error>;

    /// Returns after `duration`, by the timer of the runtime that this stack belongs to.
    async fn sleep(&self, duration: Duration);

    /// Lets go of a response that is not delivered. Reading a short body to its end keeps the
    /// connection usable.
    async fn discard(&self, response: Self::Response) {
        drop(response);
    }
}

/// Stamps a request of whatever type.
#[inline]
pub(crate) fn stamp<R: Outgoing>(pass: &Pass, request: &mut R) -> Result<(), StampError> {
    pass.bound_for(request.target())?
        .stamp(request.headers_mut())
}
