//! What the steps of a login need, with each step bounded in time. The steps of the blocking driver
//! are those of the asynchronous one: a blocking HTTP client and store are done at the first poll.

use std::error::Error;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::__sealing::SealSeed;
use ctc_core::{Credentials, Instant, SendFailure};

use crate::ports::credentials::Source;
use crate::ports::{
    AsyncSessionStore, AsyncTransport, Blocking, CredentialsError, LoginRequest, LoginResponse,
    Runtime, StoreError, StoreSecret, Transport, TransportError, within,
};
use crate::sealing::{Salt, SealKey};
use crate::session::sync::Mutex;
use crate::session::{LoginEnd, SharedSession};
use crate::threads::on_thread;

/// What a driver has, shared with its logins.
pub(crate) struct Io<T: ?Sized> {
    pub(crate) session: SharedSession,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) store: Option<Arc<dyn AsyncSessionStore>>,
    /// Held by drivers, not by their logins.
    pub(crate) in_use: Weak<()>,
    /// Until then the runtime counts as not running, and gets no more tasks.
    pub(crate) not_run_until: Mutex<Option<Instant>>,
    pub(crate) transport: T,
}

impl<T> Io<T> {
    /// What a driver has, and what it holds while it is in use.
    pub(crate) fn new(
        session: SharedSession,
        transport: T,
        runtime: impl Runtime,
        store: Option<Arc<dyn AsyncSessionStore>>,
    ) -> (Arc<Self>, Arc<()>) {
        let in_use = Arc::new(());
        let io = Self {
            session,
            runtime: Arc::new(runtime),
            store,
            in_use: Arc::downgrade(&in_use),
            not_run_until: Mutex::new(None),
            transport,
        };
        (Arc::new(io), in_use)
    }
}

/// The part of an HTTP client that logins need.
#[async_trait]
pub(crate) trait SendLogin: Send + Sync {
    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SendError>;

    /// Whether an asynchronous source of credentials can be asked.
    fn is_asynchronous(&self) -> bool {
        true
    }
}

/// No response, and whether the server may have seen the request.
pub(crate) struct SendError {
    pub(crate) failure: SendFailure,
    pub(crate) error: Arc<dyn Error + Send + Sync>,
}

impl<E: TransportError> From<E> for SendError {
    fn from(error: E) -> Self {
        Self {
            failure: error.failure(),
            error: Arc::new(error),
        }
    }
}

#[async_trait]
impl<T: AsyncTransport> SendLogin for T {
    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        Ok(AsyncTransport::send_login(self, login).await?)
    }
}

impl Io<dyn SendLogin + '_> {
    /// Asks the session's source for credentials, for `login_timeout` at most.
    pub(crate) async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let Some(Source {
            source,
            is_blocking,
        }) = self.session.credentials_source()
        else {
            return Err(CredentialsError::unusable(NoSource));
        };
        if !is_blocking && !self.transport.is_asynchronous() {
            return Err(CredentialsError::unusable(AsyncSource));
        }
        let limit = self.session.settings().login_timeout;
        let asked = self.within(limit, source.credentials()).await;
        asked.unwrap_or_else(|| Err(CredentialsError::unavailable(NoCredentialsYet(limit))))
    }

    /// The store's secret, if there is one.
    pub(crate) fn store_secret(&self) -> Option<StoreSecret> {
        self.store.as_ref()?.secret()
    }

    /// Derives a key on a thread of its own, and leaves it with the session even if nobody waits
    /// for it any more: it takes a core for milliseconds, and may wait for its turn. Returns
    /// whether there is one.
    pub(crate) async fn derive(&self, seed: SealSeed, salt: Salt) -> bool {
        let session = self.session.clone();
        let derive = move || {
            let key = SealKey::derive(&seed, salt, None)?;
            session.keys().put(seed, None, key);
            Ok(())
        };
        let derived = match on_thread("ctc-key", derive) {
            Ok(working) => working
                .await
                .unwrap_or_else(|_| Err("the derivation panicked".into())),
            Err(error) => Err(error.into()),
        };
        let told = |error| {
            self.session
                .store_failed("seal", &StoreError::Unavailable(error));
        };
        derived.map_err(told).is_ok()
    }

    /// Sends a login or logout.
    pub(crate) async fn send(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        let timeout = login.timeout;
        let sent = self.within(timeout, self.transport.send_login(login));
        sent.await.unwrap_or_else(|| {
            Err(SendError {
                failure: SendFailure::MaybeSent,
                error: Arc::new(NoResponseIn(timeout)),
            })
        })
    }

    /// Returns whether anybody is left who could use the login.
    pub(crate) fn is_in_use(&self) -> bool {
        self.in_use.strong_count() > 0
    }

    /// Waits for the logins of this session that are being made, for `limit` at most.
    pub(crate) async fn running_logins_end(&self, until: LoginEnd, limit: Duration) {
        // Within one of them, it would wait for itself.
        if !self.session.is_inside_login() {
            let ended = self.session.running_logins_end(until);
            self.within(limit, Box::pin(ended)).await;
        }
    }

    /// Returns what `work` returns, or `None` if it is not done after `limit`.
    pub(crate) async fn within<R>(
        &self,
        limit: Duration,
        work: impl Future<Output = R> + Send + Unpin,
    ) -> Option<R> {
        within(&*self.runtime, limit, work).await
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the session has neither credentials nor a source of them: call set_credentials or \
     set_credentials_source"
)]
struct NoSource;

/// A source took longer than a login may take.
#[derive(Debug, thiserror::Error)]
#[error("the source returned no credentials within {} s", .0.as_secs_f64())]
struct NoCredentialsYet(Duration);

#[derive(Debug, thiserror::Error)]
#[error(
    "the session has an asynchronous source of credentials, which a blocking client cannot ask: \
     give it a blocking one"
)]
struct AsyncSource;

#[derive(Debug, thiserror::Error)]
#[error("no response within {} s", .0.as_secs_f64())]
pub(crate) struct NoResponseIn(pub(crate) Duration);

#[async_trait]
impl<T: Transport> SendLogin for Blocking<T> {
    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        Ok(self.0.send_login(login)?)
    }

    fn is_asynchronous(&self) -> bool {
        false
    }
}
