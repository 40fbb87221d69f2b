//! What the suite must know of an HTTP stack beyond its transport: how to make one, a request, and
//! a body.

use std::{error::Error, fmt, future::Future};

use ctc_driver::{AsyncTransport, Runtime, Transport};
use http::{HeaderMap, Method};

use super::runtime;

/// An error of a stack, as far as the suite is concerned.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request that the suite wants made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// No body. A `Content-Length` of 0 says the same.
    Empty,
    /// Bytes in memory, of known length; they can be sent twice.
    Bytes(Vec<u8>),
    /// These pieces, as a stream of unknown length that can be read only once.
    Stream(Vec<Vec<u8>>),
}

/// The certificate that a transport is to trust.
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

/// An asynchronous HTTP stack, ready to be put through the suite.
///
/// The transport that it makes must be set up as the product sets it up. Every case gets one of its
/// own.
pub trait AsyncStack: Send + Sync + 'static {
    /// The transport under test.
    type Transport: AsyncTransport;

    /// A fresh transport. Called on the [`runtime`](Self::runtime).
    fn transport(&self) -> Self::Transport;

    /// A fresh transport that trusts `certificate`; `None` (the default) says that this stack
    /// speaks no TLS, and skips those cases.
    fn transport_trusting(&self, certificate: Certificate<'_>) -> Option<Self::Transport> {
        let _ = certificate;
        None
    }

    /// A request as a user of this stack makes it; `None` when it has no such body, which skips the
    /// case.
    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<<Self::Transport as AsyncTransport>::Request>;

    /// The whole body of a response.
    fn read(
        &self,
        response: <Self::Transport as AsyncTransport>::Response,
    ) -> impl Future<Output = Result<Vec<u8>, BoxError>> + Send;

    /// Whether a connection serves several calls. Say `false` for a stack that makes one for each.
    fn keeps_connections(&self) -> bool {
        true
    }

    /// Whether a response is delivered before its body has arrived. Say `false` for a stack that
    /// buffers.
    fn streams(&self) -> bool {
        true
    }

    /// Whether a call goes out while another is under way. Say `false` for a stack that makes one
    /// after the other.
    fn sends_in_parallel(&self) -> bool {
        true
    }

    /// Where this stack's futures run: by default a tokio runtime for each case, with one thread.
    fn runtime(&self) -> Box<dyn Runtime> {
        runtime::tokio()
    }
}

/// A blocking HTTP stack, ready to be put through the suite. The twin of [`AsyncStack`].
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

    /// The whole body of a response.
    ///
    /// # Errors
    /// When it breaks off.
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
