//! Reading whole bodies, up to a limit.

use std::any::Any;
use std::error::Error;
use std::io::{self, ErrorKind, Read};
use std::pin::{Pin, pin};

use bytes::{Buf, Bytes};
use http::Response;
use http_body::{Body, Frame};

/// Why the body of a response was not read.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than [`CallOptions::max_body`](crate::CallOptions::max_body).
    #[error("the body is longer than {limit} bytes: raise max_body, or read it as a stream")]
    #[non_exhaustive]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// It ended early.
    #[error("the body ended early")]
    BrokeOff(#[source] Box<dyn Error + Send + Sync>),
    /// The transport has bodies of a type that this crate does not know.
    #[error(
        "the transport cannot read bodies of this type: implement its method `read`, for example \
         with ctc_driver::read_body or ctc_driver::read_from"
    )]
    UnknownType,
}

ctc_core::__readable_debug!(BodyError);

impl BodyError {
    /// Returns [`BodyError::BrokeOff`].
    pub fn broke_off(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::BrokeOff(error.into())
    }
}

/// Reads a response whose body is a stream (`http_body::Body`) whole: for
/// [`AsyncTransport::read`](crate::AsyncTransport::read).
///
/// # Errors
/// Returns [`BodyError`] if the body ends early or is longer than `max_body` bytes.
pub async fn read_body<B>(
    response: Response<B>,
    max_body: usize,
) -> Result<Response<Vec<u8>>, BodyError>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (parts, body) = response.into_parts();
    let mut whole = Whole::new(max_body, body.size_hint().lower());
    let mut body = pin!(body);
    while let Some(frame) = next_frame(body.as_mut()).await {
        let frame = frame.map_err(BodyError::broke_off)?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        while data.has_remaining() {
            let chunk = data.chunk();
            whole.append(chunk)?;
            let length = chunk.len();
            data.advance(length);
        }
    }
    Ok(Response::from_parts(parts, whole.bytes))
}

/// Reads a response whose body is a reader whole: for [`Transport::read`](crate::Transport::read).
///
/// # Errors
/// Returns [`BodyError`] if the body ends early or is longer than `max_body` bytes.
pub fn read_from(
    response: Response<impl Read>,
    max_body: usize,
) -> Result<Response<Vec<u8>>, BodyError> {
    let (parts, mut body) = response.into_parts();
    let mut whole = Whole::new(max_body, 0);
    let mut chunk = [0; 8192];
    loop {
        match body.read(&mut chunk) {
            Ok(0) => return Ok(Response::from_parts(parts, whole.bytes)),
            Ok(length) => whole.append(&chunk[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(BodyError::broke_off(error)),
        }
    }
}

/// The part of a body that was read, up to a limit.
#[derive(Debug)]
pub struct Whole {
    bytes: Vec<u8>,
    limit: usize,
}

impl Whole {
    /// Room for a body of `announced` bytes, up to the limit.
    pub fn new(limit: usize, announced: u64) -> Self {
        let announced = usize::try_from(announced).unwrap_or(limit).min(limit);
        Self {
            bytes: Vec::with_capacity(announced),
            limit,
        }
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// Returns [`BodyError::TooLong`] if that is more than the limit.
    pub fn append(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if chunk.len() > self.limit - self.bytes.len() {
            return Err(BodyError::TooLong { limit: self.limit });
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Returns what was read.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a response that is an `http::Response` of a body that this crate knows.
pub(crate) fn read_known<R: 'static>(
    response: R,
    max_body: usize,
) -> Result<Response<Vec<u8>>, BodyError> {
    let mut place = Some(response);
    let place = &mut place;
    let whole = take::<Vec<u8>, R>(place)
        .or_else(|| Some(take::<Bytes, R>(place)?.map(Vec::from)))
        .or_else(|| Some(take::<String, R>(place)?.map(Vec::from)))
        .or_else(|| Some(take::<Box<[u8]>, R>(place)?.map(Vec::from)))
        .or_else(|| Some(take::<(), R>(place)?.map(|()| Vec::new())));
    match whole {
        Some(whole) if whole.body().len() > max_body => Err(BodyError::TooLong { limit: max_body }),
        Some(whole) => Ok(whole),
        None => Err(BodyError::UnknownType),
    }
}

/// As [`read_known`], also for readers, which may block.
pub(crate) fn read_known_blocking<R: 'static>(
    response: R,
    max_body: usize,
) -> Result<Response<Vec<u8>>, BodyError> {
    type Boxed = Box<dyn Read + Send>;
    type BoxedSync = Box<dyn Read + Send + Sync>;
    let mut place = Some(response);
    if let Some(response) = take::<Boxed, R>(&mut place) {
        return read_from(response, max_body);
    }
    if let Some(response) = take::<BoxedSync, R>(&mut place) {
        return read_from(response, max_body);
    }
    place.map_or(Err(BodyError::UnknownType), |response| {
        read_known(response, max_body)
    })
}

/// Takes the response if its body is a `B`.
fn take<B: 'static, R: 'static>(place: &mut Option<R>) -> Option<Response<B>> {
    let place: &mut dyn Any = place;
    place.downcast_mut::<Option<Response<B>>>()?.take()
}

/// Returns the next frame of a body, or `None` at its end.
pub(super) async fn next_frame<B: Body>(
    mut body: Pin<&mut B>,
) -> Option<Result<Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
}

impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        Self::broke_off(error)
    }
}
