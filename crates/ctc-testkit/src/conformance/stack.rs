//! What the suite needs besides a transport: how to make one, how to make a request, and how to
//! read a body.

use std::{error::Error, fmt, future::Future};

use ctc_driver::{AsyncTransport, Runtime, Transport};
use http::{HeaderMap, Method};

use super::runtime;

/// An error of a stack, as far as the suite is concerned.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request that the suite asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// No body. A `Content-Length` of 0 means the same.
    Empty,
    /// Bytes in memory, of known length, which can be sent twice.
    Bytes(Vec<u8>),
    /// These pieces, as a stream of unknown length that can be read only once.
    Stream(Vec<Vec<u8>>),
}

/// A certificate that a transport must trust.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Certificate<'a> {
    /// As PEM.
    pub pem: &'a str,
    /// As DER.
    pub der: &'a [u8],
}

impl fmt::Debug for Certificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("der_len", &self.der.len())
            .finish_non_exhaustive()
    }
}

/// An asynchronous HTTP stack for the suite.
///
/// Set up the transport as in production. Each case gets a new one.
pub trait AsyncStack: Send + Sync + 'static {
    /// The transport under test.
    type Transport: AsyncTransport;

    /// Creates a transport. Called on the [`runtime`](Self::runtime).
    fn transport(&self) -> Self::Transport;

    /// Creates a transport that trusts `certificate`. `None` (the default) means that this stack
    /// has no TLS, and skips those cases.
    fn transport_trusting(&self, certificate: Certificate<'_>) -> Option<Self::Transport> {
        let _ = certificate;
        None
    }

    /// Creates a request as a user of this stack would. `None` means that the stack has no such
    /// body, and skips the case.
    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<<Self::Transport as AsyncTransport>::Request>;

    /// Reads the whole body of a response.
    fn read(
        &self,
        response: <Self::Transport as AsyncTransport>::Response,
    ) -> impl Future<Output = Result<Vec<u8>, BoxError>> + Send;

    /// Returns whether a connection serves several calls: `false` for a stack that opens one for
    /// each.
    fn keeps_connections(&self) -> bool {
        true
    }

    /// Returns whether a response is delivered before its body has arrived: `false` for a stack
    /// that buffers.
    fn streams(&self) -> bool {
        true
    }

    /// Returns whether a call is sent while another is in progress: `false` for a stack that makes
    /// one after the other.
    fn sends_in_parallel(&self) -> bool {
        true
    }

    /// Returns where this stack's futures run. Default: a tokio runtime for each case, with one
    /// thread.
    fn runtime(&self) -> Box<dyn Runtime> {
        runtime::tokio()
    }
}

/// A blocking HTTP stack for the suite, the counterpart of [`AsyncStack`].
pub trait BlockingStack: Send + Sync + 'static {
    /// The transport under test.
    type Transport: Transport<Response: Send>;

    /// See [`AsyncStack::transport`].
    fn transport(&self) -> Self::Transport;

    /// See [`AsyncStack::transport_trusting`].
    fn transport_trusting(&self, certificate: Certificate<'_>) -> Option<Self::Transport> {
        let _ = certificate;
        None
    }

    /// See [`AsyncStack::request`].
    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<<Self::Transport as Transport>::Request>;

    /// Reads the whole body of a response.
    ///
    /// # Errors
    /// Returns an error if the body ends early.
    fn read(&self, response: <Self::Transport as Transport>::Response)
    -> Result<Vec<u8>, BoxError>;

    /// See [`AsyncStack::keeps_connections`].
    fn keeps_connections(&self) -> bool {
        true
    }

    /// See [`AsyncStack::streams`].
    fn streams(&self) -> bool {
        true
    }

    /// See [`AsyncStack::sends_in_parallel`].
    fn sends_in_parallel(&self) -> bool {
        true
    }
}
