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
    /// The request could not be built, for example because of an invalid header. Nothing was sent.
    #[error(
        "the request could not be built, so it was not sent: check its headers, query and body"
    )]
    Request(#[source] Box<dyn StdError + Send + Sync>),
    /// The session has no token for the call and may not get one now. Nothing was sent.
    #[error("{}", no_session(.0.denial()))]
    Denied(#[from] Denied),
    /// The request could not be stamped with key and token. Nothing was sent.
    #[error(transparent)]
    Stamp(#[from] StampError),
    /// The request got no response.
    #[error("{}", .0.of_a_call())]
    Send(#[from] SendError),
    /// The call timed out ([`CallOptions::timeout`](crate::CallOptions::timeout)).
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

impl CallFailure for Error {
    fn failure(&self) -> Failure<'_> {
        match self {
            Self::Path(_) | Self::Request(_) | Self::Stamp(_) => Failure::Request,
            Self::Denied(denied) => Failure::Denied(denied),
            Self::Send(error) => Failure::of_transport(error),
            Self::TimedOut(error) => error.failure(),
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
            // `CallError` may gain variants: pass them on with their own text.
            other => Self::Send(SendError::Other(Box::new(other))),
        }
    }
}

/// Why a request got no response. The error contains no query, header or body.
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
    /// Your own HTTP client followed a redirect away from the endpoint, perhaps with key and token.
    #[error(
        "the HTTP client followed a redirect away from the CTC endpoint: \
         build it with reqwest::redirect::Policy::none(), and treat the token as disclosed"
    )]
    LeftOrigin,
    /// Your own HTTP client followed a redirect at login.
    #[error(
        "the HTTP client followed a redirect at login: build it with \
         reqwest::redirect::Policy::none()"
    )]
    LoginRedirected,
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl SendError {
    fn of_a_call(&self) -> &'static str {
        match self {
            Self::LeftOrigin => "the response came from another host, so it was discarded",
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

/// Whether the connector supports only `http`. Only the error's text says so; if that changes,
/// reqwest's own error is returned.
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
    /// A setting of the session is missing or cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `user_agent`, `connect_timeout` or `configure_http` was set together with an HTTP client of
    /// your own.
    #[error(
        "user_agent, connect_timeout and configure_http are for the default HTTP client: set up \
         your own one instead"
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
    #[error("the HTTP client could not be built: check its user agent, proxies and TLS setup")]
    Http(#[source] reqwest::Error),
}

ctc_driver::ctc_core::__readable_debug!(Error, SendError, BuildError);
