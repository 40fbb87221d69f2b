//! The client.

use std::sync::Arc;
use std::time::Duration;

use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{CallError, CallOptions, Driver, LogoutOutcome, SharedSession};
use http::Request;

use crate::body::Body;
use crate::error::{Error, SendError};
use crate::transport::{Outbound, UreqTransport};

/// A client of one CTC account. Clones share the session and the connections.
///
/// The first call logs in, all others share that login, and a new login is made only when the token
/// becomes invalid or is renewed early. Dropping the client does not log out. To end the session,
/// call [`logout`](Self::logout).
///
/// In a program that forks, build it after the fork: [two processes must not share
/// one](crate#programs-that-fork).
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) driver: Driver<UreqTransport>,
    pub(crate) endpoint: Endpoint,
    pub(crate) timeout: Option<Duration>,
    pub(crate) options: CallOptions,
}

impl Client {
    pub(crate) fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Logs in now. This is never needed, but reports a wrong password early. Does nothing while
    /// the session is open.
    ///
    /// # Errors
    /// Returns [`Error::Denied`] if the login fails, or if no login may be made.
    pub fn login(&self) -> Result<(), Error> {
        Ok(self.0.driver.login(&self.0.options)?)
    }

    /// Logs in although the token is still valid. The old token stays in use until the new one
    /// arrives, and after a failure. Fair use asks you to keep a token until the server rejects it:
    /// renew earlier only for a reason, such as planned maintenance.
    ///
    /// # Errors
    /// Returns [`Error::Denied`] if the login fails, or if no login may be made.
    pub fn renew(&self) -> Result<(), Error> {
        Ok(self.0.driver.renew(&self.0.options)?)
    }

    /// Closes the session immediately and asks the server to end the token, within 5 s if the store
    /// keeps to it. Later calls are denied, until [`SharedSession::reopen`].
    pub fn logout(&self) -> LogoutOutcome {
        self.0.driver.logout()
    }

    /// Does the same as [`logout`](Self::logout) within a time limit of your own.
    pub fn logout_within(&self, limit: Duration) -> LogoutOutcome {
        self.0.driver.logout_within(limit)
    }

    /// Sends a native request. Its URI is a path, or a full URL on the endpoint.
    ///
    /// # Errors
    /// Returns [`Error`] if there is no response.
    pub fn execute<B: Into<Body>>(
        &self,
        request: Request<B>,
    ) -> Result<http::Response<ureq::Body>, Error> {
        self.execute_with(request, &self.0.options)
    }

    /// Does the same as [`execute`](Self::execute) with options instead of the client's own.
    ///
    /// # Errors
    /// Returns [`Error`] if there is no response.
    pub fn execute_with<B: Into<Body>>(
        &self,
        request: Request<B>,
        options: &CallOptions,
    ) -> Result<http::Response<ureq::Body>, Error> {
        self.send(self.outbound(request), options)
    }

    /// Returns the session: phase, counts, new credentials, reset, reopen.
    pub fn session(&self) -> &SharedSession {
        self.0.driver.session()
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.0.timeout
    }

    pub(crate) fn options(&self) -> &CallOptions {
        &self.0.options
    }

    pub(crate) fn driver(&self) -> &Driver<UreqTransport> {
        &self.0.driver
    }

    pub(crate) fn drive(
        &self,
        request: Request<Body>,
        options: Option<&CallOptions>,
    ) -> Result<http::Response<ureq::Body>, CallError<SendError>> {
        let outbound = self.outbound(request);
        self.0
            .driver
            .execute(outbound, options.unwrap_or(&self.0.options))
    }

    fn outbound<B: Into<Body>>(&self, request: Request<B>) -> Outbound {
        let mut outbound = Outbound::new(request);
        outbound.timeout = self.0.timeout;
        outbound
    }

    pub(crate) fn send(
        &self,
        request: Outbound,
        options: &CallOptions,
    ) -> Result<http::Response<ureq::Body>, Error> {
        Ok(self.0.driver.execute(request, options)?)
    }
}
