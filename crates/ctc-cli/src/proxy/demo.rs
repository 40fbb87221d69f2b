//! `ctc proxy --demo`: a CTC server for tests in the same process.

use std::error::Error;

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_tower::{Endpoint, SessionConfig, SharedSession};

/// A server that ends when this is dropped, and a session with it.
pub(crate) struct Demo {
    server: Server,
    pub(crate) session: SharedSession,
}

impl Demo {
    /// # Errors
    /// Returns an error if no port of loopback can be bound.
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let server = Server::start()?;
        let session = SessionConfig::new()
            .endpoint(Endpoint::danger_plain_http(&server.url())?)
            .app_key(DEFAULT_APP_KEY)
            .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
            .build()?;
        Ok(Self { server, session })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }
}
