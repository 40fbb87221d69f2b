//! A client whose responses can be read as they come.

use std::error::Error;
use std::fmt;
use std::io::Read;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};

use crate::async_driver::AsyncDriver;
use crate::caller::{AsyncCaller, Caller, prepare};
use crate::driver::Driver;
use crate::error::CallError;
use crate::ports::{AsyncTransport, BodyError, Transport};

/// A [`Caller`] that can also hand out a response before its body is read, for downloads of any
/// size.
///
/// `ctc_ureq::Client` is one, and so is a [`Driver`] whose transport has responses with readers as
/// their bodies. [`BoxStreamingCaller`](crate::BoxStreamingCaller) holds any of them.
///
/// ```
/// use std::io::{self, Write};
/// use ctc_driver::StreamingCaller;
///
/// /// Copies an export to a file, over any client that can stream.
/// fn export<C: StreamingCaller>(ctc: &C, file: &mut impl Write) -> io::Result<u64> {
///     let request = http::Request::get("/connect/services/export").body(Vec::new());
///     let response = ctc.stream(request.expect("a valid path"));
///     io::copy(&mut response.map_err(io::Error::other)?.into_body(), file)
/// }
/// ```
pub trait StreamingCaller: Caller {
    /// Makes one call as [`fetch`](Caller::fetch) does, and returns once the head of the response
    /// is there.
    ///
    /// [`CallOptions::max_body`](crate::CallOptions::max_body) limits nothing here.
    ///
    /// # Errors
    /// Returns [`CallError`] if there is no response. A status is never an error.
    fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Box<dyn Read + Send>>, CallError<Self::Error>>;
}

/// An [`AsyncCaller`] that can also hand out a response before its body is read, for downloads of
/// any size.
///
/// `ctc_reqwest::Client`, `ctc_tower::CtcService` and `ctc_tower::ServiceCaller` are, and so is an
/// [`AsyncDriver`] whose transport has responses with an [`http_body::Body`].
/// [`BoxAsyncStreamingCaller`](crate::BoxAsyncStreamingCaller) holds any of them.
///
/// ```
/// use ctc_driver::{AsyncStreamingCaller, CallError};
///
/// /// How long an export is, without keeping it, over any client that can stream.
/// async fn length<C: AsyncStreamingCaller>(ctc: &C) -> Result<usize, CallError<C::Error>> {
///     let request = http::Request::get("/connect/services/export").body(Vec::new());
///     let mut body = ctc.stream(request.expect("a valid path")).await?.into_body();
///     let mut length = 0;
///     while let Some(chunk) = body.chunk().await? {
///         length += chunk.len();
///     }
///     Ok(length)
/// }
/// ```
#[async_trait]
pub trait AsyncStreamingCaller: AsyncCaller {
    /// Makes one call as [`fetch`](AsyncCaller::fetch) does, and returns once the head of the
    /// response is there.
    ///
    /// [`CallOptions::timeout`](crate::CallOptions::timeout) ends with the head, and
    /// [`CallOptions::max_body`](crate::CallOptions::max_body) limits nothing here.
    ///
    /// # Errors
    /// Returns [`CallError`] if there is no response. A status is never an error.
    async fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<BodyStream>, CallError<Self::Error>>;
}

/// The body of a response that is still being received.
pub struct BodyStream(Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>);

impl BodyStream {
    /// Any body.
    pub fn new<B>(body: B) -> Self
    where
        B: Body + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self(Box::pin(Neutral(Box::pin(body))))
    }

    /// Returns the next part, or `None` at the end.
    ///
    /// # Errors
    /// Returns [`BodyError::BrokeOff`] if there is no more and this is not the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = std::future::poll_fn(|context| self.0.as_mut().poll_frame(context)).await;
            let Some(frame) = frame.transpose()? else {
                return Ok(None);
            };
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream").finish_non_exhaustive()
    }
}

impl Body for BodyStream {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// A body of any data and errors, in terms of this crate's.
struct Neutral<B>(Pin<Box<B>>);

impl<B> Body for Neutral<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.as_mut().poll_frame(context).map(|frame| {
            let frame = frame?.map_err(BodyError::broke_off);
            let in_bytes = |mut data: B::Data| data.copy_to_bytes(data.remaining());
            Some(frame.map(|frame| frame.map_data(in_bytes)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl<T, B, R> StreamingCaller for Driver<T>
where
    T: Transport<Request = Request<B>, Response = Response<R>>,
    B: Clone + From<Vec<u8>>,
    R: Read + Send + 'static,
{
    fn stream(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<Box<dyn Read + Send>>, CallError<T::Error>> {
        let options = prepare(self.session(), &mut request).unwrap_or_default();
        let response = self.execute(request.map(B::from), &options)?;
        Ok(response.map(|body| Box::new(body) as _))
    }
}

#[async_trait]
impl<T, B, R> AsyncStreamingCaller for AsyncDriver<T>
where
    T: AsyncTransport<Request = Request<B>, Response = Response<R>>,
    B: Clone + From<Vec<u8>> + Send,
    R: Body + Send + 'static,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
{
    async fn stream(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<BodyStream>, CallError<T::Error>> {
        let options = prepare(self.session(), &mut request).unwrap_or_default();
        let response = self.execute(request.map(B::from), &options).await?;
        Ok(response.map(BodyStream::new))
    }
}

/// Pointers to clients are clients: references, `Arc`, `Box`,
/// [`BoxStreamingCaller`](crate::BoxStreamingCaller).
impl<P> StreamingCaller for P
where
    P: Deref<Target: StreamingCaller> + Send + Sync,
{
    fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Box<dyn Read + Send>>, CallError<Self::Error>> {
        (**self).stream(request)
    }
}

/// As for [`StreamingCaller`].
#[async_trait]
impl<P> AsyncStreamingCaller for P
where
    P: Deref<Target: AsyncStreamingCaller> + Send + Sync,
{
    async fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<BodyStream>, CallError<Self::Error>> {
        (**self).stream(request).await
    }
}
