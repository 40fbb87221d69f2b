//! The port for responses.

use http::header::{Entry, SET_COOKIE};
use http::{Extensions, HeaderMap, StatusCode};

/// The part of a response that the session reads. Implemented for `http::Response<B>`.
pub trait Incoming {
    /// Returns its status.
    fn status(&self) -> StatusCode;
    /// Returns its headers.
    fn headers(&self) -> &HeaderMap;
    /// Returns its headers, so that the driver can mark `Set-Cookie` lines as sensitive: a rotated
    /// token may be among them.
    fn headers_mut(&mut self) -> &mut HeaderMap;
    /// Returns its extensions, where the driver leaves the reason of a 401 that the session could
    /// not recover from (an [`Unauthorized`](ctc_core::Unauthorized)).
    fn extensions_mut(&mut self) -> &mut Extensions;
}

impl<B> Incoming for http::Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }
}

/// Marks the `Set-Cookie` lines of a response as sensitive: a rotated token may be among them, and
/// a caller may print the response.
pub(crate) fn mark_cookies_sensitive(headers: &mut HeaderMap) {
    if let Ok(Entry::Occupied(mut lines)) = headers.try_entry(SET_COOKIE) {
        lines.iter_mut().for_each(|line| line.set_sensitive(true));
    }
}
