//! Why a client could not be built, or a call failed.

use std::error::Error as StdError;

use ctc_driver::ctc_core::{JoinError, SendFailure, StampError};
use ctc_driver::{CallError, ConfigError, Denied, TransportError};

/// Why a call failed. A status is never an error: every answer is delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path does not belong to the endpoint. Nothing was sent.
    #[error(transparent)]
    Path(#[from] JoinError),
    /// The request could not be put together, say for a header that no header can be. Nothing was sent.
    #[error("the request could not be put together")]
    Request(#[source] reqwest::Error),
    /// The session has no token for the call and may not get one now. Nothing was sent.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The request could not take key and token. Nothing was sent.
    #[error(transparent)]
    Stamp(#[from] StampError),
    /// The request got no answer.
    #[error("the call got no answer")]
    Send(#[from] SendError),
}

impl From<CallError<SendError>> for Error {
    fn from(error: CallError<SendError>) -> Self {
        match error {
            CallError::Denied(denied) => Self::Denied(denied),
            CallError::Stamp(stamp) => Self::Stamp(stamp),
            CallError::Transport(send) => Self::Send(send),
            // `CallError` may grow; whatever it grows is told in its own words.
            other => Self::Send(SendError::Other(Box::new(other))),
        }
    }
}

/// Why a request got no answer. It names neither the query nor a header nor a body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// reqwest's own error, without the URL.
    #[error(transparent)]
    Reqwest(reqwest::Error),
    /// A client of your own followed a redirect away from the endpoint, and key and token may have gone along.
    #[error(
        "the HTTP client followed a redirect away from the CTC endpoint: \
         give it reqwest::redirect::Policy::none(), and treat the token as known to others"
    )]
    LeftOrigin,
    /// A client of your own followed a redirect at login.
    #[error("the HTTP client followed a redirect at login: give it reqwest::redirect::Policy::none()")]
    LoginRedirected,
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        Self::Reqwest(error.without_url())
    }
}

impl TransportError for SendError {
    fn failure(&self) -> SendFailure {
        match self {
            Self::Reqwest(error) if error.is_connect() || error.is_builder() => SendFailure::NotSent,
            _ => SendFailure::MaybeSent,
        }
    }
}

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Something about the session is missing or of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// User agent or connect time-out were given together with an HTTP client that has its own.
    #[error("user_agent and connect_timeout belong to the HTTP client: set them on the one that you give")]
    OwnHttpClient,
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be built")]
    Http(#[source] reqwest::Error),
}
