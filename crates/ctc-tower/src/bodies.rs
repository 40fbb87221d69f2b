//! How the layer creates and copies the bodies of requests.

use std::fmt;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request};
use http_body::Body;

/// How to create bodies of type `B`, for the login's form, and to copy them, for a replay.
pub struct Bodies<B> {
    make: fn(Bytes) -> B,
    again: fn(&B) -> Option<B>,
}

impl<B> Bodies<B> {
    /// Supports any type of bodies: `make` creates a body of these bytes, and `again` copies a
    /// body, or returns `None` if it can be read only once.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use ctc_tower::Bodies;
    /// use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
    /// use http_body::Body;
    ///
    /// type Boxed = UnsyncBoxBody<Bytes, std::io::Error>;
    ///
    /// fn boxed(bytes: Bytes) -> Boxed {
    ///     Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
    /// }
    ///
    /// let again = |body: &Boxed| body.is_end_stream().then(|| boxed(Bytes::new()));
    /// let bodies = Bodies::custom(boxed, again);
    /// ```
    pub fn custom(make: fn(Bytes) -> B, again: fn(&B) -> Option<B>) -> Self {
        Self { make, again }
    }

    pub(crate) fn make(&self, bytes: Bytes) -> B {
        (self.make)(bytes)
    }

    /// A request with whole bytes as its body. An HTTP client may omit the length of an empty one,
    /// which a server may require for these methods.
    pub(crate) fn request(&self, mut request: Request<Vec<u8>>) -> Request<B> {
        let method = request.method();
        if request.body().is_empty()
            && matches!(*method, Method::POST | Method::PUT | Method::PATCH)
        {
            let none = HeaderValue::from_static("0");
            request.headers_mut().insert(CONTENT_LENGTH, none);
        }
        request.map(|body| self.make(body.into()))
    }

    /// A copy of the body.
    pub(crate) fn again(&self, body: &B) -> Option<B> {
        (self.again)(body)
    }
}

impl<B: Clone + From<Bytes>> Bodies<B> {
    /// Bodies that can be cloned.
    pub fn cloning() -> Self {
        Self::custom(B::from, |body| Some(body.clone()))
    }
}

impl<B: Body + From<Bytes>> Bodies<B> {
    /// Bodies that may be streams: only an empty one can be copied.
    pub fn streaming() -> Self {
        Self::custom(B::from, |body| {
            body.is_end_stream().then(|| B::from(Bytes::new()))
        })
    }
}

impl<B> Clone for Bodies<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Bodies<B> {}

impl<B> fmt::Debug for Bodies<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bodies").finish_non_exhaustive()
    }
}
