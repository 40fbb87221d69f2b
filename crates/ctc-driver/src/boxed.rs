//! Clients of any type, boxed.

use std::error::Error;
use std::fmt;
use std::io::Read;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::SendFailure;
use http::{Request, Response};

use crate::caller::{AsyncCaller, Caller};
use crate::error::CallError;
use crate::ports::{NotSent, TransportError};
use crate::streaming::{AsyncStreamingCaller, BodyStream, StreamingCaller};

/// Declares a type for any implementation of a trait, boxed.
macro_rules! boxed {
    ($(#[$doc:meta])* $name:ident: $caller:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Arc<dyn $caller<Error = BoxTransportError>>);

        impl $name {
            /// Boxes a client.
            pub fn new(caller: impl $caller + 'static) -> Self {
                Self(Arc::new(Erased(caller)))
            }
        }

        impl Deref for $name {
            type Target = dyn $caller<Error = BoxTransportError>;

            fn deref(&self) -> &Self::Target {
                &*self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

boxed! {
    /// Any [`Caller`], boxed, so that types with a client need not be generic. Clones share it.
    ///
    /// ```
    /// use ctc_driver::BoxCaller;
    ///
    /// struct App {
    ///     ctc: BoxCaller, // made by `BoxCaller::new(client)`, of any client
    /// }
    /// ```
    BoxCaller: Caller
}

boxed! {
    /// Any [`AsyncCaller`], boxed, so that types with a client need not be generic. Clones share
    /// it.
    BoxAsyncCaller: AsyncCaller
}

boxed! {
    /// Any [`StreamingCaller`], boxed, so that types with a client need not be generic. Clones
    /// share it. It is a [`Caller`] as well.
    ///
    /// ```
    /// use std::io::{self, Write};
    /// use ctc_driver::BoxStreamingCaller;
    ///
    /// struct App {
    ///     ctc: BoxStreamingCaller, // of any client that can stream
    /// }
    ///
    /// impl App {
    ///     fn export(&self, file: &mut impl Write) -> io::Result<u64> {
    ///         let request = http::Request::get("/connect/services/export").body(Vec::new());
    ///         let response = self.ctc.stream(request.expect("a valid path"));
    ///         io::copy(&mut response.map_err(io::Error::other)?.into_body(), file)
    ///     }
    /// }
    /// ```
    BoxStreamingCaller: StreamingCaller
}

boxed! {
    /// Any [`AsyncStreamingCaller`], boxed, so that types with a client need not be generic. Clones
    /// share it. It is an [`AsyncCaller`] as well.
    BoxAsyncStreamingCaller: AsyncStreamingCaller
}

/// The error of any HTTP client. It prints as that error does.
pub struct BoxTransportError {
    error: Box<dyn Error + Send + Sync>,
    failure: SendFailure,
    failed_at: NotSent,
}

impl BoxTransportError {
    /// Boxes an HTTP client's error. One that is boxed already stays as it is.
    pub fn new<E: TransportError>(error: E) -> Self {
        let (failure, failed_at) = (error.failure(), error.failed_at());
        let error: Box<dyn Error + Send + Sync> = Box::new(error);
        match error.downcast() {
            Ok(boxed) => *boxed,
            Err(error) => Self {
                error,
                failure,
                failed_at,
            },
        }
    }

    /// Boxes an error that is not a [`TransportError`], and says whether its request may have been
    /// sent.
    pub fn with_failure(
        error: impl Into<Box<dyn Error + Send + Sync>>,
        failure: SendFailure,
    ) -> Self {
        let error = error.into();
        Self {
            failure,
            failed_at: NotSent::of(&*error),
            error,
        }
    }

    /// Returns the HTTP client's error, to be downcast.
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

impl<C: StreamingCaller> StreamingCaller for Erased<C> {
    fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Box<dyn Read + Send>>, CallError<BoxTransportError>> {
        let response = self.0.stream(request);
        response.map_err(|error| error.map_transport(BoxTransportError::new))
    }
}

#[async_trait]
impl<C: AsyncStreamingCaller> AsyncStreamingCaller for Erased<C> {
    async fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<BodyStream>, CallError<BoxTransportError>> {
        let response = self.0.stream(request).await;
        response.map_err(|error| error.map_transport(BoxTransportError::new))
    }
}

/// Pointers to clients are clients: references, `Arc`, `Box`, [`BoxCaller`].
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
