//! The walk, through ctc-ureq.

#[path = "walk.rs"]
#[allow(
    clippy::duplicate_mod,
    reason = "the same walk, through the other adapter"
)]
pub(crate) mod walk;

use ctc_ureq::ureq::Agent;
use ctc_ureq::{Body, RequestBuilder, http_client_builder};

use crate::Report;
pub(crate) use ctc_ureq as adapter;

pub(crate) fn wait<T>(response: T) -> T {
    response
}

pub(crate) fn http_client() -> Agent {
    http_client_builder().build().new_agent()
}

/// A body that can be read only once.
pub(crate) fn with_stream(request: RequestBuilder) -> RequestBuilder {
    request.body(Body::from_reader("once".as_bytes()))
}

pub(crate) fn native(url: &str) -> http::Request<()> {
    http::Request::get(url).body(()).unwrap()
}

/// ureq never follows a redirect here, not even with an agent of your own.
pub(crate) fn of_its_own(_: &mut Report) {}
