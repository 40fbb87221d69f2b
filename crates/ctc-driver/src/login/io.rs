//! What the steps of a login need, with each step bounded in time. The steps of the blocking driver
//! are those of the asynchronous one: a blocking HTTP client and store are done at the first poll.

use std::error::Error;
use std::panic::resume_unwind;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{Credentials, Instant, RecordKey, SendFailure, SessionRecord};
use futures_util::FutureExt;

use crate::ports::credentials::{Source, THREAD};
use crate::ports::{
    AsyncSessionStore, AsyncStoreLease, AsyncTransport, CredentialsError, LeaseTerms, LoginRequest,
    LoginResponse, Runtime, SessionStore, StoreError, StoreLease, StoreSecret, Transport,
    TransportError, within,
};
use crate::sealing::KeyWork;
use crate::session::sync::Mutex;
use crate::session::{LoginEnd, SharedSession, inside_login};
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

/// The part of an HTTP client that logins need.
#[async_trait]
pub(crate) trait SendLogin: Send + Sync {
    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SendError>;

    /// Whether an asynchronous source of credentials can be asked.
    fn is_asynchronous(&self) -> bool;
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

    fn is_asynchronous(&self) -> bool {
        true
    }
}

impl Io<dyn SendLogin + '_> {
    /// Asks a source for credentials, for `login_timeout` at most.
    pub(crate) async fn credentials(
        &self,
        source: Source,
    ) -> Result<Credentials, CredentialsError> {
        let asked = async {
            match source {
                Source::Async(source) if self.transport.is_asynchronous() => {
                    source.credentials().await
                }
                Source::Async(_) => Err(CredentialsError::unusable(AsyncSource)),
                // On a thread of its own.
                Source::Blocking(source) => {
                    let session = self.session.clone();
                    let ask = move || {
                        let asked = inside_login(&session, async { source.credentials() });
                        asked.now_or_never().expect("a call is never pending")
                    };
                    let asked = on_thread(THREAD, ask).map_err(CredentialsError::unavailable)?;
                    asked.await.unwrap_or_else(|panic| resume_unwind(panic))
                }
            }
        };
        let limit = self.session.settings().login_timeout;
        let asked = self.within(limit, asked).await;
        asked.unwrap_or_else(|| Err(CredentialsError::unavailable(NoCredentialsYet(limit))))
    }

    /// The store's secret, if there is one.
    pub(crate) fn store_secret(&self) -> Option<StoreSecret> {
        self.store.as_ref()?.secret()
    }

    /// Derives a key on a thread of its own, and leaves it with the session even if nobody waits
    /// for it any more: it takes a core for milliseconds, and may wait for its turn.
    pub(crate) async fn derive(&self, work: KeyWork) -> Result<(), StoreError> {
        let session = self.session.clone();
        let derive = move || {
            let seed = work.seed().clone();
            session.keys().put(seed, None, work.run(None)?);
            Ok(())
        };
        let derived = match on_thread("ctc-key", derive) {
            Ok(working) => working
                .await
                .unwrap_or_else(|_| Err("the derivation panicked".into())),
            Err(error) => Err(error.into()),
        };
        derived.map_err(StoreError::Unavailable)
    }

    /// Sends a login or logout.
    pub(crate) async fn send(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        let timeout = login.timeout;
        let sent = self.within(timeout, self.transport.send_login(login));
        sent.await.unwrap_or_else(|| {
            Err(SendError {
                failure: SendFailure::MaybeSent,
                error: Arc::new(NoResponse(timeout)),
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
            self.within(limit, ended).await;
        }
    }

    /// Returns what `work` returns, or `None` if it is not done after `limit`.
    pub(crate) async fn within<R>(
        &self,
        limit: Duration,
        work: impl Future<Output = R> + Send,
    ) -> Option<R> {
        within(&*self.runtime, limit, work).await
    }
}

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
pub(crate) struct NoResponse(pub(crate) Duration);

/// Wraps what is blocking for the asynchronous steps.
pub(crate) struct Blocking<T>(pub(crate) T);

#[async_trait]
impl<T: Transport> SendLogin for Blocking<T> {
    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        Ok(self.0.send_login(login)?)
    }

    fn is_asynchronous(&self) -> bool {
        false
    }
}

#[async_trait]
impl AsyncSessionStore for Blocking<Arc<dyn SessionStore>> {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        Ok(Box::new(Blocking(self.0.lease(key, terms)?)))
    }

    fn secret(&self) -> Option<StoreSecret> {
        self.0.secret()
    }
}

#[async_trait]
impl AsyncStoreLease for Blocking<Box<dyn StoreLease>> {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        self.0.load()
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        self.0.save(record)
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.0.release()
    }
}
