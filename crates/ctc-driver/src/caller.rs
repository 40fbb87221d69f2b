//! A client as a library sees it that leaves the HTTP stack to its users: whole bodies in, whole
//! bodies out.

use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};

use crate::async_driver::AsyncDriver;
use crate::driver::Driver;
use crate::error::{CallError, TimedOut};
use crate::options::CallOptions;
use crate::ports::{AsyncTransport, BodyError, Transport, TransportError, within};
use crate::session::SharedSession;

/// Makes calls with whole bodies, blocking: what a library asks for that works with every client.
///
/// `ctc_ureq::Client` is one, and so is a [`Driver`] whose transport takes `http` requests,
/// whatever its responses ([`Transport::read`]). It is one method, easy to mock. The asynchronous
/// twin is [`AsyncCaller`]; [`BoxCaller`](crate::BoxCaller) is any of them.
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
    /// The error of the HTTP stack.
    type Error: TransportError;

    /// Makes one call and reads the whole response into memory, up to
    /// [`CallOptions::max_body`] bytes.
    ///
    /// The URI may be just a path (`/connect/…`): it then goes to the session's endpoint.
    /// [`CallOptions`] in the request's extensions hold for this call instead of the client's
    /// own. A 401 that the session could not cure has its reason, an
    /// [`Unauthorized`](ctc_core::Unauthorized), in the response's extensions.
    ///
    /// # Errors
    /// [`CallError`]. A status is never an error.
    fn fetch(&self, request: Request<Vec<u8>>)
    -> Result<Response<Vec<u8>>, CallError<Self::Error>>;
}

/// Makes calls with whole bodies, asynchronously: what a library asks for that works with every
/// client.
///
/// `ctc_reqwest::Client`, `ctc_tower::CtcService` and `ctc_tower::ServiceCaller` are, and so is an
/// [`AsyncDriver`] whose transport takes `http` requests, whatever its responses
/// ([`AsyncTransport::read`]). The blocking twin is [`Caller`];
/// [`BoxAsyncCaller`](crate::BoxAsyncCaller) is any of them.
#[async_trait]
pub trait AsyncCaller: Send + Sync {
    /// The error of the HTTP stack.
    type Error: TransportError;

    /// Makes one call and reads the whole response into memory: see [`Caller::fetch`].
    ///
    /// # Errors
    /// [`CallError`]. A status is never an error.
    async fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<Self::Error>>;

    /// Returns after `duration`, by the client's own runtime: for pauses between retries in a
    /// library that knows no runtime.
    async fn sleep(&self, duration: Duration);
}

impl<T, B> Caller for Driver<T>
where
    T: Transport<Request = Request<B>> + 'static,
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
    T: AsyncTransport<Request = Request<B>> + 'static,
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

/// What every caller does to a request first: a bare path gets the session's origin, and the
/// options that are for this call alone are taken out.
pub fn prepare<B>(session: &SharedSession, request: &mut Request<B>) -> Option<CallOptions> {
    let uri = std::mem::take(request.uri_mut());
    *request.uri_mut() = session.bound_to().complete(uri);
    request.extensions_mut().remove()
}

/// Makes a call and reads its response, all within the time that `options` give it.
///
/// # Errors
/// Returns [`CallError`] if there is no whole response.
pub async fn fetch<T: AsyncTransport + 'static, F>(
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
    match within(driver.runtime(), left, reading).await {
        Some(whole) => Ok(whole?),
        None => Err(TimedOut::sent(limit).into()),
    }
}
