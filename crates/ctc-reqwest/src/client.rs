//! The client.

use std::sync::Arc;
use std::time::Duration;

use ctc_driver::ctc_core::{Endpoint, JoinError};
use ctc_driver::{__adapter, AsyncDriver, CallError, CallOptions, LogoutOutcome, SharedSession};

use crate::error::{Error, SendError};
use crate::transport::{Inbound, Outbound, ReqwestTransport};

/// A client of one CTC account. Cloning shares the session and the connections; it never forks
/// them.
///
/// The first call logs in, all others share that login, and a new one is made only after the server
/// has said 401. Dropping the client does not log out: a token is worth keeping, and
/// [`logout`](Self::logout) is there.
///
/// In a program that forks, build it (and the runtime) after the fork: two processes must not share
/// connections. What they may share is a [store](ClientBuilder::store).
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) driver: AsyncDriver<ReqwestTransport>,
    pub(crate) endpoint: Endpoint,
    /// `None` for a host that is none to reqwest, such as `1.2.3.999`.
    pub(crate) origin: Option<reqwest::Url>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) options: CallOptions,
}

impl Client {
    pub(crate) fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Logs in now. Never needed, but a wrong password shows early; does nothing while the session
    /// is open.
    ///
    /// # Errors
    /// [`Error::Denied`] when the login failed, or none may be made.
    pub async fn login(&self) -> Result<(), Error> {
        Ok(self.0.driver.login(&self.0.options).await?)
    }

    /// Logs in although the token is still good, say ahead of a maintenance. The old one serves
    /// until the new one is there, and on after a failure. Fair use asks to keep a token until
    /// it is refused: this is for who knows better.
    ///
    /// # Errors
    /// [`Error::Denied`] when the login failed, or none may be made.
    pub async fn renew(&self) -> Result<(), Error> {
        Ok(self.0.driver.renew(&self.0.options).await?)
    }

    /// Closes the session at once and asks the server to end the token, within 5 s. Calls after
    /// it are denied, until [`SharedSession::reopen`].
    pub async fn logout(&self) -> LogoutOutcome {
        self.0.driver.logout().await
    }

    /// As [`logout`](Self::logout), within a limit of your own.
    pub async fn logout_within(&self, limit: Duration) -> LogoutOutcome {
        self.0.driver.logout_within(limit).await
    }

    /// Sends a native request, which must go to the endpoint.
    ///
    /// # Errors
    /// [`Error`] when there is no response.
    pub fn execute(
        &self,
        request: reqwest::Request,
    ) -> impl Future<Output = Result<reqwest::Response, Error>> + Send {
        self.execute_with(request, &self.0.options)
    }

    /// As [`execute`](Self::execute), with options in place of the client's own.
    ///
    /// # Errors
    /// [`Error`] when there is no response.
    pub fn execute_with<'a>(
        &'a self,
        request: reqwest::Request,
        options: &'a CallOptions,
    ) -> impl Future<Output = Result<reqwest::Response, Error>> + Send + 'a {
        let mut outbound = Some(Outbound::new(request));
        // An `async fn` would keep its argument twice: memory of each call that waits.
        async move { Ok(self.drive(&mut outbound, Some(options)).await?.0) }
    }

    /// The session: phase, counts, new credentials, reset, reopen.
    pub fn session(&self) -> &SharedSession {
        self.0.driver.session()
    }

    pub(crate) fn options(&self) -> &CallOptions {
        &self.0.options
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        self.0.driver.transport().client()
    }

    /// Takes the request from where it is: each `async` layer around would keep one more copy of
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

    /// Gives a request the client's own time-out, unless it has one.
    pub(crate) fn limit(&self, outbound: &mut Outbound) {
        let request = &mut outbound.request;
        // Looking for a time-out to change would make room for one, on the heap.
        if self.0.timeout.is_some() && request.timeout().is_none() {
            *request.timeout_mut() = self.0.timeout;
        }
    }

    pub(crate) fn driver(&self) -> &AsyncDriver<ReqwestTransport> {
        &self.0.driver
    }

    pub(crate) fn url(&self, path: &str) -> Result<reqwest::Url, Error> {
        let url = match &self.0.origin {
            // The host is not read once more for each call: that is what costs most in a URL.
            Some(origin) if is_plain(path) => origin.join(path),
            _ => reqwest::Url::parse(&self.0.endpoint.join(path)?.to_string()),
        };
        Ok(url.map_err(|_| JoinError::Invalid)?)
    }
}

/// Whether a path begins at the root and is made of nothing that [`Endpoint::join`] could object
/// to.
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
