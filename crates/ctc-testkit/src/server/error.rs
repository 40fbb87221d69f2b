//! What can go wrong with the server itself.

use std::{io, net::SocketAddr, time::Duration};

use super::journal::Counts;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be bound: it is taken, or not this machine's.
    #[error("cannot listen on {address}: choose another address, or port 0")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server's thread or its runtime could not be made.
    #[error("cannot start the server's thread: the machine is short of something")]
    Thread(#[source] io::Error),
    /// The certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The counts were not as wanted in time: see [`Server::wait_until`](crate::Server::wait_until).
#[derive(Debug, thiserror::Error)]
#[error("the server's counts were not as wanted after {waited:?}; they are {counts:?}")]
#[non_exhaustive]
pub struct TimedOut {
    /// How long it was waited.
    pub waited: Duration,
    /// What they were in the end.
    pub counts: Box<Counts>,
}
