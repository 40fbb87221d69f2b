//! Bodies that pass through: streamed both ways, limited in time, and without trailers, which could
//! contain what the proxy removes from the headers.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::connections::CallGuard;
use super::stall::{Stall, Stalled};

type BoxError = Box<dyn Error + Send + Sync>;

/// When the last piece of a request's body was sent.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    /// In milliseconds after the start.
    last: AtomicU64,
    /// Whether the next piece was requested and has not arrived.
    is_awaited: AtomicBool,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
        })
    }

    fn moved(&self) {
        let elapsed = self.start.elapsed().as_millis();
        self.last
            .store(u64::try_from(elapsed).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether the call is waiting for its caller.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Relaxed)
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last.load(Relaxed))
    }
}

/// Waits for `work` as long as its request's body, if there is one, makes progress within each
/// `limit`.
pub(super) async fn watch<R>(
    limit: Duration,
    progress: Option<&Progress>,
    stall: &mut Stall,
    mut work: Pin<&mut impl Future<Output = R>>,
) -> Result<R, Stalled> {
    poll_fn(|context| {
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            stall.moved();
            return Poll::Ready(Ok(result));
        }
        if let Some(progress) = progress {
            stall.moved_at(progress.last());
        }
        stall.poll(limit, context).map(Err)
    })
    .await
}

/// The body of a request on its way to the server.
#[derive(Debug)]
pub(super) enum RequestBody {
    /// Already read, so that the call can be replayed after a 401. `None` if it is empty.
    Whole(Option<Bytes>),
    Stream(Box<Upload>),
}

#[derive(Debug)]
pub(super) struct Upload {
    incoming: Incoming,
    limit: Duration,
    stall: Stall,
    progress: Arc<Progress>,
}

impl RequestBody {
    pub(super) fn stream(incoming: Incoming, limit: Duration, progress: Arc<Progress>) -> Self {
        Self::Stream(Box::new(Upload {
            incoming,
            limit,
            stall: Stall::default(),
            progress,
        }))
    }

    /// Returns a copy of the body, unless it is a stream.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream(_) => None,
        }
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(upload) => {
                let Upload {
                    incoming,
                    limit,
                    stall,
                    progress,
                } = &mut **upload;
                let polled = next_data(incoming, *limit, stall, context);
                progress.is_awaited.store(polled.is_pending(), Relaxed);
                if polled.is_ready() {
                    progress.moved();
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(upload) => upload.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => exactly(bytes.as_ref()),
            Self::Stream(upload) => upload.incoming.size_hint(),
        }
    }
}

/// The body of a response on its way to the caller. Dropping it ends the call.
#[derive(Debug)]
pub(super) struct ResponseBody {
    content: Content,
    call: CallGuard,
}

#[derive(Debug)]
enum Content {
    Whole(Option<Bytes>),
    /// The time without progress after which the call is cut.
    Stream(Incoming, Duration),
}

impl ResponseBody {
    pub(super) fn whole(bytes: impl Into<Bytes>, call: CallGuard) -> Self {
        let bytes = Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty());
        Self {
            content: Content::Whole(bytes),
            call,
        }
    }

    pub(super) fn stream(incoming: Incoming, limit: Duration, call: CallGuard) -> Self {
        Self {
            content: Content::Stream(incoming, limit),
            call,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { content, call } = self.get_mut();
        match content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Stream(incoming, limit) => {
                next_data(incoming, *limit, &mut call.stall, context)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Stream(incoming, _) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => exactly(bytes.as_ref()),
            Content::Stream(incoming, _) => incoming.size_hint(),
        }
    }
}

fn exactly(bytes: Option<&Bytes>) -> SizeHint {
    SizeHint::with_exact(bytes.map_or(0, |bytes| bytes.len() as u64))
}

/// Returns the next piece of a body, without trailers.
fn next_data(
    incoming: &mut Incoming,
    limit: Duration,
    stall: &mut Stall,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    loop {
        match Pin::new(&mut *incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {}
            Poll::Ready(frame) => {
                stall.moved();
                return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
            }
            Poll::Pending => {
                let stalled = stall.poll(limit, context);
                return stalled.map(|stalled| Some(Err(stalled.into())));
            }
        }
    }
}
