//! A client as a library sees it that leaves the HTTP stack to its users: whole bodies in, whole
//! bodies out.

use std::error::Error;
use std::pin::{Pin, pin};

use async_trait::async_trait;
use http::{Request, Response};
use http_body::Body;

use crate::async_driver::AsyncDriver;
use crate::driver::Driver;
use crate::error::CallError;
use crate::options::CallOptions;
use crate::ports::{AsyncTransport, Transport, TransportError};
use crate::session::SharedSession;

/// Makes calls with whole bodies, blocking: what a library asks for that works with every client.
///
/// `ctc_ureq::Client` is one, and so is a [`Driver`] whose stack speaks `http` types. It is one
/// method, easy to mock. The asynchronous twin is [`AsyncCaller`].
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

    /// Makes one call and reads the whole answer into memory.
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
/// `ctc_reqwest::Client` and `ctc_tower::CtcService` are, and so is an [`AsyncDriver`] whose stack
/// speaks `http` types. The blocking twin is [`Caller`].
#[async_trait]
pub trait AsyncCaller: Send + Sync {
    /// The error of the HTTP stack.
    type Error: TransportError;

    /// Makes one call and reads the whole answer into memory: see [`Caller::fetch`].
    ///
    /// # Errors
    /// [`CallError`]. A status is never an error.
    async fn fetch(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<Self::Error>>;
}

impl<T, B, R> Caller for Driver<T>
where
    T: Transport<Request = Request<B>, Response = Response<R>>,
    B: Clone + From<Vec<u8>>,
    R: Into<Vec<u8>>,
{
    type Error = T::Error;

    fn fetch(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<T::Error>> {
        let options = prepare(self.session(), &mut request).unwrap_or_default();
        Ok(self
            .execute(request.map(B::from), &options)?
            .map(Into::into))
    }
}

#[async_trait]
impl<T, B, R> AsyncCaller for AsyncDriver<T>
where
    T: AsyncTransport<Request = Request<B>, Response = Response<R>> + 'static,
    B: Clone + From<Vec<u8>> + Send,
    R: Body + Send,
    R::Data: Send,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Error = T::Error;

    async fn fetch(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<T::Error>> {
        let options = prepare(self.session(), &mut request).unwrap_or_default();
        whole(self.execute(request.map(B::from), &options).await?).await
    }
}

/// What every caller does to a request first: a bare path gets the session's origin, and the
/// options that are for this call alone are taken out.
pub fn prepare<B>(session: &SharedSession, request: &mut Request<B>) -> Option<CallOptions> {
    let uri = std::mem::take(request.uri_mut());
    *request.uri_mut() = session.bound_to().complete(uri);
    request.extensions_mut().remove()
}

/// A response with its whole body.
///
/// # Errors
/// [`CallError::Body`] when the body breaks off.
pub async fn whole<R, E>(response: Response<R>) -> Result<Response<Vec<u8>>, CallError<E>>
where
    R: Body,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
    E: TransportError,
{
    let (parts, body) = response.into_parts();
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = next_frame(body.as_mut()).await {
        let frame = frame.map_err(|error| CallError::Body(error.into()))?;
        if let Ok(data) = frame.into_data() {
            append(&mut bytes, data);
        }
    }
    Ok(Response::from_parts(parts, bytes))
}

async fn next_frame<R: Body>(
    mut body: Pin<&mut R>,
) -> Option<Result<http_body::Frame<R::Data>, R::Error>> {
    std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
}

fn append(bytes: &mut Vec<u8>, mut data: impl bytes::Buf) {
    while data.has_remaining() {
        let chunk = data.chunk();
        bytes.extend_from_slice(chunk);
        let length = chunk.len();
        data.advance(length);
    }
}
