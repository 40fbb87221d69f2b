//! What a login needs, over an asynchronous HTTP client and store: each step bounded in time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{Credentials, RecordKey, SendFailure, SessionRecord};
use futures_util::future::{Either, select};

use crate::login::io::{BoxedLease, LoginIo, NoCredentialsYet, SendError, Work, ask, derive};
use crate::login::leased_store::STORE_TIMEOUT;
use crate::ports::credentials::Source;
use crate::ports::{
    AsyncSessionStore, AsyncStoreLease, AsyncTransport, BoxFuture, CredentialsError, LeaseTerms,
    LoginRequest, LoginResponse, Runtime, StoreError, StoreSecret, TransportError,
};
use crate::sealing::KeyWork;
use crate::session::{LoginEnd, SharedSession};
use crate::threads::on_thread;

/// What an asynchronous driver has, shared with its logins.
pub(crate) struct Io<T> {
    pub(crate) session: SharedSession,
    pub(crate) transport: T,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) store: Option<Arc<dyn AsyncSessionStore>>,
    pub(crate) in_use: Weak<()>,
}

/// A runtime that panics has dropped the task, as one that is shutting down does.
pub(crate) fn spawn(runtime: &dyn Runtime, task: BoxFuture<()>) {
    let _ = catch_unwind(AssertUnwindSafe(|| runtime.spawn(task)));
}

#[async_trait]
impl<T: AsyncTransport + 'static> LoginIo for Io<T> {
    async fn credentials(&self, source: Source) -> Result<Credentials, CredentialsError> {
        let asked = async {
            match source {
                Source::Async(source) => source.credentials().await,
                Source::Blocking(source) => {
                    let ended = ask(&self.session, source)?.ended().await;
                    ended.unwrap_or_else(|panic| resume_unwind(panic))
                }
            }
        };
        let limit = self.session.settings().login_timeout;
        let asked = within(&*self.runtime, limit, asked).await;
        asked.unwrap_or_else(|| Err(CredentialsError::unavailable(NoCredentialsYet(limit))))
    }

    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Option<BoxedLease>, StoreError> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        // The store knows best when to stop waiting; this limit is for one that does not return.
        let limit = terms.wait.saturating_add(STORE_TIMEOUT);
        match within(&*self.runtime, limit, store.lease(key, terms)).await {
            Some(lease) => Ok(Some(Box::new(Bounded {
                lease: lease?,
                runtime: Arc::clone(&self.runtime),
            }))),
            None => Err(StoreError::Busy),
        }
    }

    fn store_secret(&self) -> Option<StoreSecret> {
        self.store.as_ref()?.secret()
    }

    /// On a thread of its own: it takes a core for milliseconds, and may wait for its turn.
    async fn derive(&self, session: &SharedSession, work: KeyWork) -> Result<(), StoreError> {
        let session = session.clone();
        let working = on_thread("ctc-key", move || derive(&session, work));
        let working = working.map_err(|error| StoreError::Unavailable(error.into()))?;
        let ended = working.ended().await;
        ended.unwrap_or_else(|_| Err(StoreError::Unavailable("the derivation panicked".into())))
    }

    async fn send(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        let timeout = login.timeout;
        match within(&*self.runtime, timeout, self.transport.send_login(login)).await {
            Some(sent) => sent.map_err(|error| SendError {
                failure: error.failure(),
                error: Arc::new(error),
            }),
            None => {
                let error = Arc::new(NoResponse(timeout));
                Err(SendError {
                    failure: SendFailure::MaybeSent,
                    error,
                })
            }
        }
    }

    fn is_in_use(&self) -> bool {
        self.in_use.strong_count() > 0
    }

    async fn within(&self, limit: Duration, work: Work<'_>) -> bool {
        within(&*self.runtime, limit, work).await.is_some()
    }

    async fn running_logins_end(&self, until: LoginEnd, limit: Duration) {
        if self.session.is_inside_login() {
            return; // it would wait for itself
        }
        within(
            &*self.runtime,
            limit,
            self.session.running_logins_end(until),
        )
        .await;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no response within {} s", .0.as_secs_f64())]
pub(crate) struct NoResponse(pub(crate) Duration);

/// A store's lease, each operation bounded in time.
struct Bounded {
    lease: BoxedLease,
    runtime: Arc<dyn Runtime>,
}

#[async_trait]
impl AsyncStoreLease for Bounded {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        in_time(within(&*self.runtime, STORE_TIMEOUT, self.lease.load()).await)
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        in_time(within(&*self.runtime, STORE_TIMEOUT, self.lease.save(record)).await)
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        in_time(within(&*self.runtime, STORE_TIMEOUT, self.lease.release()).await)
    }
}

fn in_time<R>(result: Option<Result<R, StoreError>>) -> Result<R, StoreError> {
    result.unwrap_or_else(|| Err(StoreError::Unavailable(Box::new(NoResponse(STORE_TIMEOUT)))))
}

/// Returns what `work` returns, or `None` if it is not done after `limit`.
pub async fn within<R>(
    runtime: &dyn Runtime,
    limit: Duration,
    work: impl Future<Output = R> + Send,
) -> Option<R> {
    match select(Box::pin(work), runtime.sleep(limit)).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(((), _)) => None,
    }
}
