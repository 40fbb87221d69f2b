//! The step at which a request failed that was not sent.

use std::error::Error;
use std::io::{self, ErrorKind};

/// The step at which a request failed that was not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotSent {
    /// The lookup of the server's or a proxy's name.
    NameLookup,
    /// The connection to the server, or to a proxy.
    Connection,
    /// The TLS handshake, or the server's certificate.
    Tls,
    /// None: the call timed out while it waited for a login.
    NoTime,
    /// The HTTP client does not tell.
    #[default]
    Unknown,
}

impl NotSent {
    /// Finds the step in the error of a request that was not sent, and in its sources: for
    /// [`TransportError::failed_at`](crate::TransportError::failed_at). It knows the errors of the
    /// standard library, hyper, reqwest, ureq, rustls and OpenSSL.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut steps = chain(error).map(Self::of_one);
        steps
            .find(|step| *step != Self::Unknown)
            .unwrap_or_default()
    }

    /// HTTP clients have private types for most of this, so only their texts show it. If these
    /// change, the step is unknown.
    fn of_one(error: &(dyn Error + 'static)) -> Self {
        let text = error.to_string().to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["dns error", "failed to lookup address", "host not found"]) {
            return Self::NameLookup;
        }
        if says(&["tcp connect", "tcp open", "tunnel", "socks", "proxy"]) {
            return Self::Connection;
        }
        if says(&["certificate", "tls", "ssl", "handshake"]) {
            return Self::Tls;
        }
        let Some(error) = error.downcast_ref::<io::Error>() else {
            return Self::Unknown;
        };
        match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable => Self::Connection,
            // Nothing was sent, and yet the other side said something, or hung up: in a handshake.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
                Self::Tls
            }
            _ => Self::Unknown,
        }
    }
}

/// An error and what it came of. What an [`io::Error`] wraps is not among its sources.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as _).or_else(|| error.source())
    })
}
