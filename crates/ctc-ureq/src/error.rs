//! Why a client could not be built, or a call failed.

use std::error::Error as StdError;

use ctc_driver::__adapter::{no_response, no_session};
use ctc_driver::ctc_core::{JoinError, SendFailure, StampError};
use ctc_driver::{
    CallError, CallFailure, ConfigError, Denied, Failure, NotSent, TimedOut, TransportError,
};
use ureq::Timeout;

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
    #[error("{}", no_response(.0))]
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
    /// ureq's own error, before a byte of the request was written: no such host, no route, no
    /// socket, no tunnel through a proxy, no TLS.
    #[error(transparent)]
    NotSent(ureq::Error),
    /// ureq's own error, after a byte of the request was written, or if that is not known.
    #[error(transparent)]
    Ureq(ureq::Error),
    /// ureq does not accept the URL. Its own error would print the query.
    #[error("the HTTP client does not accept this URL")]
    Url,
    /// No TLS in this program: none of the features that bring it is enabled.
    #[error(
        "this program has no TLS, so https cannot be reached: enable the feature rustls, \
         rustls-no-provider or native-tls of ctc-ureq"
    )]
    NoTls,
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl SendError {
    pub(crate) fn new(error: ureq::Error, was_written: bool) -> Self {
        match error {
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => Self::Url,
            ureq::Error::TlsRequired => Self::NoTls,
            error if was_written => Self::Ureq(error),
            error => Self::NotSent(error),
        }
    }
}

/// Without knowing the stage, the request counts as sent.
impl From<ureq::Error> for SendError {
    fn from(error: ureq::Error) -> Self {
        Self::new(error, true)
    }
}

impl TransportError for SendError {
    fn failure(&self) -> SendFailure {
        match self {
            Self::Url | Self::NoTls | Self::NotSent(_) => SendFailure::NotSent,
            Self::Ureq(_) | Self::Other(_) => SendFailure::MaybeSent,
        }
    }

    fn failed_at(&self) -> NotSent {
        match self {
            Self::NotSent(ureq::Error::Timeout(Timeout::Resolve)) => NotSent::NameLookup,
            Self::NotSent(ureq::Error::Timeout(Timeout::Connect)) => NotSent::Connection,
            Self::NotSent(ureq::Error::ConnectionFailed) => NotSent::Connection,
            // ureq does not give it as a source.
            Self::NotSent(ureq::Error::Io(error)) => NotSent::of(error),
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
    /// The HTTP client is set up to send a header that is not valid, for example a user agent with
    /// a line break.
    #[error("the HTTP client's {name} is not a valid header: use visible characters only")]
    #[non_exhaustive]
    InvalidHeader {
        /// The name of the header.
        name: &'static str,
    },
}

ctc_driver::ctc_core::__readable_debug!(Error, SendError, BuildError);
