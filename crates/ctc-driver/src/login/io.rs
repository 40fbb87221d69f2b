//! What the steps of a login need from a driver.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{Credentials, RecordKey, SendFailure};
use futures_util::FutureExt;

use crate::ports::credentials::{Source, THREAD};
use crate::ports::{
    AsyncStoreLease, CredentialsError, CredentialsSource, LeaseTerms, LoginRequest, LoginResponse,
    StoreError, StoreSecret,
};
use crate::sealing::KeyWork;
use crate::session::{LoginEnd, SharedSession, inside_login};
use crate::threads::{Working, on_thread};

/// What a login needs from the outside. In the blocking driver every step is done when it returns,
/// so that its futures are never pending.
#[async_trait]
pub(crate) trait LoginIo: Send + Sync {
    /// Asks a source for credentials, for `login_timeout` at most.
    async fn credentials(&self, source: Source) -> Result<Credentials, CredentialsError>;
    /// Takes the store's lease. `None` if there is no store.
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Option<BoxedLease>, StoreError>;
    /// The store's secret, if there is one.
    fn store_secret(&self) -> Option<StoreSecret>;
    /// Derives a key, and leaves it with the session even if nobody waits for it any more.
    async fn derive(&self, session: &SharedSession, work: KeyWork) -> Result<(), StoreError>;
    /// Sends a login or logout, bounded in time.
    async fn send(&self, login: LoginRequest) -> Result<LoginResponse, SendError>;
    /// Returns whether anybody is left who could use the login.
    fn is_in_use(&self) -> bool;
    /// Does `work`, for `limit` at most where a runtime can bound it. Returns whether it was done.
    async fn within(&self, limit: Duration, work: Work<'_>) -> bool;
    /// Waits for the logins of this session that are being made, for `limit` at most.
    async fn running_logins_end(&self, until: LoginEnd, limit: Duration);
}

pub(crate) type BoxedLease = Box<dyn AsyncStoreLease>;
pub(crate) type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Derives a key on this thread, and leaves it with the session.
pub(crate) fn derive(session: &SharedSession, work: KeyWork) -> Result<(), StoreError> {
    let seed = work.seed().clone();
    let key = work
        .run()
        .map_err(|error| StoreError::Unavailable(error.into()))?;
    session.keys().put(seed, None, key);
    Ok(())
}

/// Asks a blocking source, on a thread of its own.
pub(crate) fn ask(
    session: &SharedSession,
    source: Arc<dyn CredentialsSource>,
) -> Result<Working<Result<Credentials, CredentialsError>>, CredentialsError> {
    let session = session.clone();
    let ask = move || {
        let asked = inside_login(&session, async { source.credentials() });
        asked.now_or_never().expect("a call is never pending")
    };
    on_thread(THREAD, ask).map_err(CredentialsError::unavailable)
}

/// A source took longer than a login may take.
#[derive(Debug, thiserror::Error)]
#[error("the source returned no credentials within {} s", .0.as_secs_f64())]
pub(crate) struct NoCredentialsYet(pub(crate) Duration);

/// No response, and whether the server may have seen the request.
pub(crate) struct SendError {
    pub(crate) failure: SendFailure,
    pub(crate) error: Arc<dyn Error + Send + Sync>,
}
