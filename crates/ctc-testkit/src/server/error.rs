//! Errors of the server itself.

use std::{io, net::SocketAddr, time::Duration};

use super::journal::Counts;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be bound: it is in use, or not an address of this machine.
    #[error("cannot listen on {address}: choose another address, or port 0")]
    Bind {
        /// The requested address.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// The server's thread or its runtime could not be created.
    #[error("cannot start the server's thread: check the machine's limits of memory and threads")]
    Thread(#[source] io::Error),
    /// The certificate could not be created.
    #[error("cannot make a certificate")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The counts did not match the condition in time: see
/// [`Server::wait_until`](crate::Server::wait_until).
#[derive(Debug, thiserror::Error)]
#[error("the server's counts did not match within {waited:?}: they are {counts:?}")]
#[non_exhaustive]
pub struct TimedOut {
    /// How long the call waited.
    pub waited: Duration,
    /// The last counts.
    pub counts: Box<Counts>,
}
