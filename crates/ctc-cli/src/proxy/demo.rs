//! `ctc proxy --demo`: a CTC test server in the same process.

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_tower::{CallOptions, Endpoint, SessionConfig};

use super::upstream::{self, Upstream};
use crate::exit::{Exit, Failure};

/// The test server. Dropping it stops the server.
pub(super) struct Demo(Server);

impl Demo {
    /// # Errors
    /// Returns [`Failure`] if no port of loopback can be bound.
    pub(super) fn start() -> Result<Self, Failure> {
        let server = Server::start();
        server
            .map(Self)
            .map_err(|error| Failure::of(Exit::Error, &error))
    }

    pub(super) fn url(&self) -> String {
        self.0.url()
    }

    /// Connects to it, with a session that is not saved: the server ends with this process.
    ///
    /// # Errors
    /// Returns [`Failure`] if the certificates of the operating system cannot be read.
    pub(super) fn upstream(&self, options: CallOptions) -> Result<Upstream, Failure> {
        let endpoint = Endpoint::danger_plain_http(&self.url());
        let endpoint = endpoint.map_err(|error| Failure::of(Exit::Error, &error))?;
        let session = SessionConfig::new()
            .endpoint(endpoint)
            .app_key(DEFAULT_APP_KEY)
            .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
            .build()?;
        upstream::build(session, options, |layer| layer)
    }
}
