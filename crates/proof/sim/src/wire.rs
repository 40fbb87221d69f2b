//! What passes over the simulated network: where to, how it fails, and the token it carries.

use ctc_core::SendFailure;
use ctc_driver::TransportError;
use http::HeaderMap;
use http::header::COOKIE;

pub(crate) const ORIGIN: &str = "https://ctc.example";

/// No response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SimError {
    #[error("no route to the simulated host")]
    NotSent,
    #[error("the simulated line went dead")]
    Lost,
}

impl TransportError for SimError {
    fn failure(&self) -> SendFailure {
        match self {
            Self::NotSent => SendFailure::NotSent,
            Self::Lost => SendFailure::MaybeSent,
        }
    }
}

/// The `authToken` of a request, when there is exactly one.
pub(crate) fn read_cookie(headers: &HeaderMap) -> Option<String> {
    let mut tokens = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split("; "))
        .filter_map(|pair| pair.strip_prefix("authToken="));
    let token = tokens.next()?.to_owned();
    tokens.next().is_none().then_some(token)
}
