//! The client.

use std::sync::Arc;
use std::time::Duration;

use ctc_driver::ctc_core::{Endpoint, JoinError};
use ctc_driver::{__adapter, AsyncDriver, CallError, CallOptions, LogoutOutcome, SharedSession};

use crate::error::{Error, SendError};
use crate::transport::{Inbound, Outbound, ReqwestTransport};

/// A client of one CTC account. Clones share the session and the connections.
///
/// The first call logs in, all others share that login, and a new login is made only when the token
/// becomes invalid or is renewed early. Dropping the client does not log out. To end the session,
/// call [`logout`](Self::logout).
///
/// In a program that forks, build it (and the runtime) after the fork: two processes must not share
/// connections. They may share a [store](crate::ClientBuilder::store).
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) driver: AsyncDriver<ReqwestTransport>,
    pub(crate) endpoint: Endpoint,
    /// `None` if reqwest does not accept the host, such as `1.2.3.999`.
    pub(crate) origin: Option<reqwest::Url>,
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
    pub async fn login(&self) -> Result<(), Error> {
        Ok(self.0.driver.login(&self.0.options).await?)
    }

    /// Logs in although the token is still valid. The old token stays in use until the new one
    /// arrives, and after a failure. Fair use asks you to keep a token until the server rejects it:
    /// renew earlier only for a reason, such as planned maintenance.
    ///
    /// # Errors
    /// Returns [`Error::Denied`] if the login fails, or if no login may be made.
    pub async fn renew(&self) -> Result<(), Error> {
        Ok(self.0.driver.renew(&self.0.options).await?)
    }

    /// Closes the session immediately and asks the server to end the token, within 5 s. Later calls
    /// are denied, until [`SharedSession::reopen`].
    pub async fn logout(&self) -> LogoutOutcome {
        self.0.driver.logout().await
    }

    /// Does the same as [`logout`](Self::logout) within a time limit of your own.
    pub async fn logout_within(&self, limit: Duration) -> LogoutOutcome {
        self.0.driver.logout_within(limit).await
    }

    /// Sends a native request, which must go to the endpoint.
    ///
    /// # Errors
    /// Returns [`Error`] if there is no response.
    pub fn execute(
        &self,
        request: reqwest::Request,
    ) -> impl Future<Output = Result<reqwest::Response, Error>> + Send {
        self.execute_with(request, &self.0.options)
    }

    /// Does the same as [`execute`](Self::execute) with options instead of the client's own.
    ///
    /// # Errors
    /// Returns [`Error`] if there is no response.
    pub fn execute_with<'a>(
        &'a self,
        request: reqwest::Request,
        options: &'a CallOptions,
    ) -> impl Future<Output = Result<reqwest::Response, Error>> + Send + 'a {
        let mut outbound = Some(Outbound::new(request));
        // An `async fn` would keep its argument twice: memory of each call that waits.
        async move { Ok(self.drive(&mut outbound, Some(options)).await?.0) }
    }

    /// Returns the session: phase, counts, new credentials, reset, reopen.
    pub fn session(&self) -> &SharedSession {
        self.0.driver.session()
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    pub(crate) fn options(&self) -> &CallOptions {
        &self.0.options
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        self.0.driver.transport().client()
    }

    /// Takes the request out of its place: each `async` layer would otherwise keep another copy of
    /// it.
    pub(crate) fn drive<'a>(
        &'a self,
        place: &'a mut Option<Outbound>,
        options: Option<&'a CallOptions>,
    ) -> impl Future<Output = Result<Inbound, CallError<SendError>>> + Send + 'a {
        if let Some(outbound) = place {
            self.limit(outbound);
        }
        __adapter::execute_from(&self.0.driver, place, options.unwrap_or(&self.0.options))
    }

    /// Gives a request the client's timeout, unless it has one.
    pub(crate) fn limit(&self, outbound: &mut Outbound) {
        let request = &mut outbound.request;
        // `timeout_mut` would allocate room for a timeout.
        if self.0.timeout.is_some() && request.timeout().is_none() {
            *request.timeout_mut() = self.0.timeout;
        }
    }

    pub(crate) fn driver(&self) -> &AsyncDriver<ReqwestTransport> {
        &self.0.driver
    }

    pub(crate) fn url(&self, path: &str) -> Result<reqwest::Url, Error> {
        let url = match &self.0.origin {
            // Parsing the host for each call would cost most of a URL.
            Some(origin) if is_plain(path) => origin.join(path),
            _ => reqwest::Url::parse(&self.0.endpoint.join(path)?.to_string()),
        };
        Ok(url.map_err(|_| JoinError::Invalid)?)
    }
}

/// Whether a path begins at the root and has only characters that [`Endpoint::join`] accepts.
fn is_plain(path: &str) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            plain[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let others = b"!$%&'()*+,-./:;=?@_~";
        let mut at = 0;
        while at < others.len() {
            plain[others[at] as usize] = true;
            at += 1;
        }
        plain
    };
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| PLAIN[usize::from(byte)])
}
