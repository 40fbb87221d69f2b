//! Clients whose type nobody needs to know.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::SendFailure;
use http::{Request, Response};

use crate::caller::{AsyncCaller, Caller};
use crate::error::CallError;
use crate::ports::{NotSent, TransportError};

/// Any [`Caller`], so that what has one need not be generic. Clones share it.
///
/// ```
/// use ctc_driver::BoxCaller;
///
/// struct App {
///     ctc: BoxCaller, // made by `BoxCaller::new(client)`, of any client
/// }
/// ```
#[derive(Clone)]
pub struct BoxCaller(Arc<dyn Caller<Error = BoxTransportError>>);

impl BoxCaller {
    /// Boxes a client.
    pub fn new(caller: impl Caller + 'static) -> Self {
        Self(Arc::new(Erased(caller)))
    }
}

impl Deref for BoxCaller {
    type Target = dyn Caller<Error = BoxTransportError>;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// Any [`AsyncCaller`], so that what has one need not be generic. Clones share it.
#[derive(Clone)]
pub struct BoxAsyncCaller(Arc<dyn AsyncCaller<Error = BoxTransportError>>);

impl BoxAsyncCaller {
    /// Boxes a client.
    pub fn new(caller: impl AsyncCaller + 'static) -> Self {
        Self(Arc::new(Erased(caller)))
    }
}

impl Deref for BoxAsyncCaller {
    type Target = dyn AsyncCaller<Error = BoxTransportError>;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// The error of any HTTP client. It prints as that error does.
pub struct BoxTransportError {
    error: Box<dyn Error + Send + Sync>,
    failure: SendFailure,
    failed_at: NotSent,
}

impl BoxTransportError {
    /// Boxes an HTTP client's error.
    pub fn new<E: TransportError>(error: E) -> Self {
        Self {
            failure: error.failure(),
            failed_at: error.failed_at(),
            error: Box::new(error),
        }
    }

    /// Returns the HTTP client's error, for a look at its type.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }
}

impl TransportError for BoxTransportError {
    fn failure(&self) -> SendFailure {
        self.failure
    }

    fn failed_at(&self) -> NotSent {
        self.failed_at
    }
}

impl fmt::Display for BoxTransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for BoxTransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

ctc_core::__readable_debug!(BoxTransportError);

struct Erased<C>(C);

impl<C: Caller> Caller for Erased<C> {
    type Error = BoxTransportError;

    fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<BoxTransportError>> {
        let response = self.0.fetch(request);
        response.map_err(|error| error.map_transport(BoxTransportError::new))
    }
}

#[async_trait]
impl<C: AsyncCaller> AsyncCaller for Erased<C> {
    type Error = BoxTransportError;

    async fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<BoxTransportError>> {
        let response = self.0.fetch(request).await;
        response.map_err(|error| error.map_transport(BoxTransportError::new))
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

/// Whatever leads to a client is one: references, `Arc`, `Box`, [`BoxCaller`].
impl<P> Caller for P
where
    P: Deref<Target: Caller> + Send + Sync,
{
    type Error = <P::Target as Caller>::Error;

    fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<Self::Error>> {
        (**self).fetch(request)
    }
}

/// As for [`Caller`].
#[async_trait]
impl<P> AsyncCaller for P
where
    P: Deref<Target: AsyncCaller> + Send + Sync,
{
    type Error = <P::Target as AsyncCaller>::Error;

    async fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<Self::Error>> {
        (**self).fetch(request).await
    }

    async fn sleep(&self, duration: Duration) {
        (**self).sleep(duration).await;
    }
}

impl fmt::Debug for BoxCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxCaller").finish_non_exhaustive()
    }
}

impl fmt::Debug for BoxAsyncCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxAsyncCaller").finish_non_exhaustive()
    }
}
