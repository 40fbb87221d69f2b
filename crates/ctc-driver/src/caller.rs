//! The traits for libraries that work with every HTTP client: whole bodies in, whole bodies out.

use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};

use crate::async_driver::AsyncDriver;
use crate::driver::Driver;
use crate::error::{CallError, TimedOut};
use crate::options::CallOptions;
use crate::ports::{AsyncTransport, BodyError, Transport, TransportError, within};
use crate::session::SharedSession;

/// Makes blocking calls with whole bodies. A library that takes any `Caller` works with every
/// client.
///
/// `ctc_ureq::Client` implements it, and so does a [`Driver`] whose transport takes `http`
/// requests, whatever its responses ([`Transport::read`]). It has one method and is easy to mock.
/// The asynchronous counterpart is [`AsyncCaller`]; [`BoxCaller`](crate::BoxCaller) holds any of
/// them.
///
/// ```
/// use ctc_driver::{CallError, Caller};
///
/// /// How many bytes the list of devices has, over any client.
/// fn length<C: Caller>(ctc: &C) -> Result<usize, CallError<C::Error>> {
///     let request = http::Request::get("/connect/services/devices").body(Vec::new());
///     let request = request.expect("a valid path");
///     Ok(ctc.fetch(request)?.body().len())
/// }
/// ```
pub trait Caller: Send + Sync {
    /// The error of the HTTP client.
    type Error: TransportError;

    /// Makes one call and reads the whole response into memory, up to
    /// [`CallOptions::max_body`] bytes.
    ///
    /// The URI may be just a path (`/connect/…`): it is then sent to the session's endpoint.
    /// [`CallOptions`] in the request's extensions apply to this call instead of the client's own.
    /// A 401 that the session could not recover from has its reason, an
    /// [`Unauthorized`](ctc_core::Unauthorized), in the response's extensions.
    ///
    /// # Errors
    /// Returns [`CallError`] if there is no whole response. A status is never an error.
    fn fetch(&self, request: Request<Vec<u8>>)
    -> Result<Response<Vec<u8>>, CallError<Self::Error>>;
}

/// Makes asynchronous calls with whole bodies. A library that takes any `AsyncCaller` works with
/// every client.
///
/// `ctc_reqwest::Client`, `ctc_tower::CtcService` and `ctc_tower::ServiceCaller` implement it, and
/// so does an [`AsyncDriver`] whose transport takes `http` requests, whatever its responses
/// ([`AsyncTransport::read`]). The blocking counterpart is [`Caller`];
/// [`BoxAsyncCaller`](crate::BoxAsyncCaller) holds any of them.
#[async_trait]
pub trait AsyncCaller: Send + Sync {
    /// The error of the HTTP client.
    type Error: TransportError;

    /// Makes one call and reads the whole response into memory: see [`Caller::fetch`].
    ///
    /// # Errors
    /// Returns [`CallError`] if there is no whole response. A status is never an error.
    async fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<Self::Error>>;

    /// Sleeps for `duration` on the client's own runtime: for waits between retries in a library
    /// that depends on no runtime.
    async fn sleep(&self, duration: Duration);
}

impl<T, B> Caller for Driver<T>
where
    T: Transport<Request = Request<B>>,
    B: Clone + From<Vec<u8>>,
{
    type Error = T::Error;

    fn fetch(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<T::Error>> {
        let options = prepare(self.session(), &mut request).unwrap_or_default();
        let response = self.execute(request.map(B::from), &options)?;
        Ok(self.transport().read(response, options.max_body)?)
    }
}

#[async_trait]
impl<T, B> AsyncCaller for AsyncDriver<T>
where
    T: AsyncTransport<Request = Request<B>>,
    B: Clone + From<Vec<u8>> + Send,
{
    type Error = T::Error;

    async fn fetch(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<T::Error>> {
        let options = prepare(self.session(), &mut request).unwrap_or_default();
        let read = |response| self.transport().read(response, options.max_body);
        fetch(self, request.map(B::from), &options, read).await
    }

    async fn sleep(&self, duration: Duration) {
        self.runtime().sleep(duration).await;
    }
}

/// Prepares a request: completes a path with the session's origin, and takes out the options of
/// this call.
pub fn prepare<B>(session: &SharedSession, request: &mut Request<B>) -> Option<CallOptions> {
    let uri = std::mem::take(request.uri_mut());
    *request.uri_mut() = session.bound_to().complete(uri);
    request.extensions_mut().remove()
}

/// Makes a call and reads its response, within the time limit of `options`.
///
/// # Errors
/// Returns [`CallError`] if there is no whole response.
pub async fn fetch<T: AsyncTransport, F>(
    driver: &AsyncDriver<T>,
    request: T::Request,
    options: &CallOptions,
    read: impl FnOnce(T::Response) -> F,
) -> Result<Response<Vec<u8>>, CallError<T::Error>>
where
    F: Future<Output = Result<Response<Vec<u8>>, BodyError>> + Send,
{
    let session = driver.session();
    let began = session.now();
    let response = driver.execute(request, options).await?;
    let reading = read(response);
    let Some(limit) = options.timeout else {
        return Ok(reading.await?);
    };
    let left = limit.saturating_sub(session.now() - began);
    match within(driver.runtime(), left, Box::pin(reading)).await {
        Some(whole) => Ok(whole?),
        None => Err(TimedOut::sent(limit).into()),
    }
}
