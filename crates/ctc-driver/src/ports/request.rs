//! The port for requests.

use std::time::Duration;

use ctc_core::{Endpoint, Pass, Route, StampError, Target};
use http::{HeaderMap, Method};

/// A request to be sent. Implemented for `http::Request<B>` with a body that can be cloned.
pub trait Outgoing: Sized {
    /// The copy of a request for its replay: `Self`, or a smaller type if that is cheaper to make.
    type ReplayCopy: ReplayCopy<Self>;

    /// Returns its method.
    fn method(&self) -> &Method;
    /// Returns scheme, host and port of its URL.
    fn target(&self) -> Target<'_>;
    /// Returns the path of its URL, without the query.
    fn path(&self) -> &str;
    /// Returns its headers, to be stamped.
    fn headers_mut(&mut self) -> &mut HeaderMap;
    /// Returns the copy for its replay, or `None` if its body is a stream that can be read only
    /// once. Called before the request is stamped.
    fn replay_copy(&self) -> Option<Self::ReplayCopy>;

    /// Completes a request whose URL is only a path (`/connect/…`) with the endpoint, before it is
    /// stamped. Does nothing by default, for HTTP clients whose requests always have a full URL.
    fn complete(&mut self, endpoint: &Endpoint) {
        let _ = endpoint;
    }

    /// Sets the time limit of this request, with the body of its response: the rest of
    /// [`CallOptions::timeout`](crate::CallOptions::timeout). Only the blocking driver calls it,
    /// just before it sends; the asynchronous driver drops requests that take too long. Does
    /// nothing by default. An `http::Request` gets a [`RequestTimeout`] in its extensions, which
    /// the transport has to obey.
    fn set_timeout(&mut self, timeout: Duration) {
        let _ = timeout;
    }

    /// Returns the route of this request.
    fn route(&self) -> Route {
        Route::new(self.method(), self.path())
    }
}

/// The time limit of a request for a blocking transport, in the extensions of an `http::Request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTimeout(pub Duration);

/// The copy of a request `R` for its replay. Implemented for requests that are copied whole.
pub trait ReplayCopy<R> {
    /// Returns the route of the request.
    fn route(&self) -> Route;
    /// Returns the request to be replayed, not stamped.
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

/// Put a large request on the heap: the future of a call has room for its copy even while it has
/// none.
impl<R: Outgoing> ReplayCopy<R> for Box<R> {
    fn route(&self) -> Route {
        Outgoing::route(&**self)
    }

    fn into_request(self) -> R {
        *self
    }
}

impl<B: Clone> Outgoing for http::Request<B> {
    type ReplayCopy = Box<Self>;

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

    fn replay_copy(&self) -> Option<Box<Self>> {
        Some(Box::new(self.clone()))
    }

    fn set_timeout(&mut self, timeout: Duration) {
        self.extensions_mut().insert(RequestTimeout(timeout));
    }

    fn complete(&mut self, endpoint: &Endpoint) {
        if self.uri().authority().is_none() {
            *self.uri_mut() = endpoint.complete(std::mem::take(self.uri_mut()));
        }
    }
}

/// Stamps a request of any type.
#[inline]
pub(crate) fn stamp<R: Outgoing>(pass: &Pass, request: &mut R) -> Result<(), StampError> {
    pass.bound_for(request.target())?
        .stamp(request.headers_mut())
}
