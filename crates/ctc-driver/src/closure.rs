//! A closure as an HTTP client.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use async_trait::async_trait;
use ctc_core::SendFailure;
use http::{Request, Response};

use crate::boxed::BoxTransportError;
use crate::ports::{AsyncTransport, LoginRequest, LoginResponse, RequestTimeout, Transport, chain};

type AnyError = Box<dyn Error + Send + Sync>;

/// A closure as an HTTP client, with whole bodies in and out.
///
/// It sends calls and logins alike. It must not follow redirects, keep no cookies, and return every
/// status as a response; a [`RequestTimeout`] in the extensions of a request is how long it may
/// take, which a blocking closure has to obey. Its error is any error. A refused connection counts
/// as [not sent](SendFailure::NotSent), everything else as perhaps sent, unless the error is a
/// [`BoxTransportError`], which says so itself.
///
/// HTTP clients differ in what they do with a response to HEAD, with a body that ends early, and in
/// how they say that no connection was made: put the closure through `ctc-testkit`'s conformance
/// suite.
///
/// For streams, a login's own connection, or errors of your own type, write a [`Transport`] or
/// [`AsyncTransport`]: the page [`transports`](crate::manual::transports) has one of 40 lines.
///
/// ```
/// use ctc_driver::{Caller, Driver, FnTransport};
/// # use http::{Request, Response};
/// # fn send(request: Request<Vec<u8>>) -> std::io::Result<Response<Vec<u8>>> {
/// #     let login = request.uri().path() == "/connect/services/login";
/// #     let cookie = if login { "authToken=AAAA" } else { "b=2" };
/// #     Ok(Response::builder().header("set-cookie", cookie).body(b"[]".to_vec()).unwrap())
/// # }
/// # let session = ctc_driver::SessionConfig::new()
/// #     .endpoint(ctc_driver::ctc_core::Endpoint::us())
/// #     .app_key("my-key")
/// #     .credentials("ada@example.com", "s3cret!s3cret!")
/// #     .build()?;
/// // `send` is a function of yours, or of your HTTP client.
/// let driver = Driver::new(session, FnTransport::blocking(|request| send(request)), None);
/// let request = Request::get("/connect/services/devices").body(vec![])?;
/// assert_eq!(driver.fetch(request)?.body(), b"[]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Its asynchronous twin, here on smol:
///
/// ```
/// use ctc_driver::{AsyncCaller, AsyncDriver, FnTransport};
/// # use ctc_driver::{BoxFuture, Runtime};
/// # use http::{Request, Response};
/// # async fn send(request: Request<Vec<u8>>) -> std::io::Result<Response<Vec<u8>>> {
/// #     let login = request.uri().path() == "/connect/services/login";
/// #     let cookie = if login { "authToken=AAAA" } else { "b=2" };
/// #     Ok(Response::builder().header("set-cookie", cookie).body(b"[]".to_vec()).unwrap())
/// # }
/// # struct Smol;
/// # impl Runtime for Smol {
/// #     fn spawn(&self, task: BoxFuture<()>) {
/// #         smol::spawn(task).detach();
/// #     }
/// #     fn sleep(&self, duration: std::time::Duration) -> BoxFuture<()> {
/// #         Box::pin(async move { _ = smol::Timer::after(duration).await })
/// #     }
/// # }
/// # let session = ctc_driver::SessionConfig::new()
/// #     .endpoint(ctc_driver::ctc_core::Endpoint::us())
/// #     .app_key("my-key")
/// #     .credentials("ada@example.com", "s3cret!s3cret!")
/// #     .build()?;
/// let transport = FnTransport::asynchronous(|request| async { send(request).await });
/// let driver = AsyncDriver::new(session, transport, Smol, None);
/// let request = Request::get("/connect/services/devices").body(vec![])?;
/// assert_eq!(smol::block_on(driver.fetch(request))?.body(), b"[]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct FnTransport<F>(F);

impl<F> FnTransport<F> {
    /// A blocking HTTP client: for a [`Driver`](crate::Driver).
    pub fn blocking<B, E>(send: F) -> Self
    where
        F: Fn(Request<Vec<u8>>) -> Result<Response<B>, E> + Send + Sync + 'static,
    {
        Self(send)
    }

    /// An asynchronous HTTP client: for an [`AsyncDriver`](crate::AsyncDriver).
    pub fn asynchronous<A>(send: F) -> Self
    where
        F: Fn(Request<Vec<u8>>) -> A + Send + Sync + 'static,
        A: Future + Send,
    {
        Self(send)
    }
}

impl<F, B, E> Transport for FnTransport<F>
where
    F: Fn(Request<Vec<u8>>) -> Result<Response<B>, E> + Send + Sync + 'static,
    B: Into<Vec<u8>> + 'static,
    E: Into<AnyError>,
{
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = BoxTransportError;

    fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, BoxTransportError> {
        Ok((self.0)(request).map_err(boxed)?.map(B::into))
    }

    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, BoxTransportError> {
        Ok((self.0)(whole(login)).map_err(boxed)?.into())
    }
}

#[async_trait]
impl<F, A, B, E> AsyncTransport for FnTransport<F>
where
    F: Fn(Request<Vec<u8>>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response<B>, E>> + Send,
    B: Into<Vec<u8>> + 'static,
    E: Into<AnyError>,
{
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = BoxTransportError;

    async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, BoxTransportError> {
        Ok((self.0)(request).await.map_err(boxed)?.map(B::into))
    }

    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, BoxTransportError> {
        Ok((self.0)(whole(login)).await.map_err(boxed)?.into())
    }
}

/// A login as a request like any other.
fn whole(login: LoginRequest) -> Request<Vec<u8>> {
    let mut request = login.request.map(|form| form.as_ref().to_vec());
    request
        .extensions_mut()
        .insert(RequestTimeout(login.timeout));
    request
}

fn boxed(error: impl Into<AnyError>) -> BoxTransportError {
    match error.into().downcast() {
        Ok(boxed) => *boxed,
        Err(error) => {
            let failure = match was_refused(&*error) {
                true => SendFailure::NotSent,
                false => SendFailure::MaybeSent,
            };
            BoxTransportError::with_failure(error, failure)
        }
    }
}

/// Whether the connection was refused: then nothing was sent, whatever the HTTP client.
fn was_refused(error: &(dyn Error + 'static)) -> bool {
    let mut errors = chain(error).filter_map(|error| error.downcast_ref::<io::Error>());
    errors.any(|error| error.kind() == ErrorKind::ConnectionRefused)
}

impl<F> fmt::Debug for FnTransport<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnTransport")
    }
}

#[cfg(test)]
mod tests {
    use ctc_core::SendFailure;

    use super::*;
    use crate::ports::TransportError;

    #[derive(Debug, thiserror::Error)]
    #[error("no luck")]
    struct Wrapping(#[source] io::Error);

    fn refused() -> io::Error {
        ErrorKind::ConnectionRefused.into()
    }

    #[test]
    fn a_refused_connection_is_not_sent_however_deep_it_is() {
        for error in [
            AnyError::from(refused()),
            io::Error::other(refused()).into(),
            Wrapping(refused()).into(),
            Wrapping(io::Error::other(Wrapping(refused()))).into(),
        ] {
            let told = boxed(error);
            assert_eq!(told.failure(), SendFailure::NotSent, "{told:?}");
        }
    }

    #[test]
    fn any_other_error_is_perhaps_sent() {
        for error in [
            AnyError::from("broken"),
            io::Error::from(ErrorKind::ConnectionReset).into(),
            Wrapping(io::Error::other("broken")).into(),
        ] {
            let told = boxed(error);
            assert_eq!(told.failure(), SendFailure::MaybeSent, "{told:?}");
        }
    }

    #[test]
    fn an_error_that_says_whether_it_was_sent_is_believed() {
        let error = BoxTransportError::with_failure("no route", SendFailure::NotSent);
        let told = boxed(error);
        assert_eq!(told.failure(), SendFailure::NotSent);
        assert_eq!(told.to_string(), "no route");
    }
}
