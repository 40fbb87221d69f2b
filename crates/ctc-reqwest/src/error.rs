//! Why a client could not be built, or a call failed.

use std::error::Error as StdError;

use ctc_driver::__adapter::{no_response, no_session};
use ctc_driver::ctc_core::{JoinError, SendFailure, StampError};
use ctc_driver::{
    CallError, CallFailure, ConfigError, Denied, Failure, NotSent, TimedOut, TransportError,
};

/// Why a call failed. A status is never an error: every response is delivered.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path does not belong to the endpoint. Nothing was sent.
    #[error(transparent)]
    Path(#[from] JoinError),
    /// The request could not be put together, say for a header that no header can be. Nothing was
    /// sent.
    #[error(
        "the request could not be put together, so it was not sent: check its headers, query and \
         body"
    )]
    Request(#[source] Box<dyn StdError + Send + Sync>),
    /// The session has no token for the call and may not get one now. Nothing was sent.
    #[error("{}", no_session(.0.denial()))]
    Denied(#[from] Denied),
    /// The request could not take key and token. Nothing was sent.
    #[error(transparent)]
    Stamp(#[from] StampError),
    /// The request got no response.
    #[error("{}", .0.of_a_call())]
    Send(#[from] SendError),
    /// The call's time was up ([`CallOptions::timeout`](crate::CallOptions::timeout)).
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

impl CallFailure for Error {
    fn failure(&self) -> Failure<'_> {
        match self {
            Self::Path(_) | Self::Request(_) | Self::Stamp(_) => Failure::Request,
            Self::Denied(denied) => Failure::Denied(denied),
            Self::Send(error) => Failure::of_transport(error),
            Self::TimedOut(error) => error.into(),
        }
    }
}

impl From<CallError<SendError>> for Error {
    fn from(error: CallError<SendError>) -> Self {
        match error {
            CallError::Denied(denied) => Self::Denied(denied),
            CallError::Stamp(stamp) => Self::Stamp(stamp),
            CallError::Transport(send) => Self::Send(send),
            CallError::TimedOut(error) => Self::TimedOut(error),
            // `CallError` may grow; whatever it grows is told in its own words.
            other => Self::Send(SendError::Other(Box::new(other))),
        }
    }
}

/// Why a request got no response. It names neither the query nor a header nor a body.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// reqwest's own error, without the URL.
    #[error(transparent)]
    Reqwest(reqwest::Error),
    /// No TLS in this program: none of the features that bring it is enabled.
    #[error(
        "this program has no TLS, so https cannot be reached: enable the feature rustls, \
         rustls-no-provider or native-tls of ctc-reqwest"
    )]
    NoTls,
    /// A client of your own followed a redirect away from the endpoint, and key and token may have
    /// gone along.
    #[error(
        "the HTTP client followed a redirect away from the CTC endpoint: \
         give it reqwest::redirect::Policy::none(), and treat the token as known to others"
    )]
    LeftOrigin,
    /// A client of your own followed a redirect at login.
    #[error(
        "the HTTP client followed a redirect at login: give it reqwest::redirect::Policy::none()"
    )]
    LoginRedirected,
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl SendError {
    fn of_a_call(&self) -> &'static str {
        match self {
            Self::LeftOrigin => {
                "the call was answered by another host, so its answer is not handed on"
            }
            _ => no_response(self),
        }
    }
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        if lacks_tls(&error) {
            Self::NoTls
        } else {
            Self::Reqwest(error.without_url())
        }
    }
}

/// Whether the connector knows no scheme but `http`. It says so in words only; should they change,
/// reqwest's error is handed on as it is.
fn lacks_tls(error: &reqwest::Error) -> bool {
    if !error.is_connect() || error.url().is_none_or(|url| url.scheme() != "https") {
        return false;
    }
    let mut link = error.source();
    while let Some(source) = link {
        if source.to_string().contains("scheme is not http") {
            return true;
        }
        link = source.source();
    }
    false
}

impl TransportError for SendError {
    fn failure(&self) -> SendFailure {
        match self {
            Self::NoTls => SendFailure::NotSent,
            Self::Reqwest(error) if error.is_connect() || error.is_builder() => {
                SendFailure::NotSent
            }
            _ => SendFailure::MaybeSent,
        }
    }

    fn failed_at(&self) -> NotSent {
        match self {
            Self::Reqwest(error) if error.is_builder() => NotSent::Unknown,
            _ => NotSent::of(self),
        }
    }
}

/// Why a client could not be built.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Something about the session is missing or of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// User agent, connect time-out or other changes were given together with an HTTP client that
    /// has its own.
    #[error(
        "user_agent, connect_timeout and configure_http are for the default HTTP client: set up \
         the one that you give instead"
    )]
    OwnHttpClient,
    /// The feature `rustls-no-provider` is enabled, and the program has installed no crypto
    /// provider.
    #[error(
        "the feature rustls-no-provider needs a crypto provider: install one before the client is \
         built (rustls::crypto::CryptoProvider::install_default)"
    )]
    NoCryptoProvider,
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be built: check its TLS set-up")]
    Http(#[source] reqwest::Error),
}

ctc_driver::ctc_core::__readable_debug!(Error, SendError, BuildError);
