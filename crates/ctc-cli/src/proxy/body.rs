//! Bodies on their way through: streamed both ways, bounded in time, and without trailers, which
//! could carry what is taken out of the headers.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};

use super::connections::CallGuard;
use super::stall::{Stall, Stalled};

type BoxError = Box<dyn Error + Send + Sync>;

/// When a call last moved anything.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    /// Milliseconds after the start.
    last: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
        })
    }

    fn moved(&self) {
        let elapsed = self.start.elapsed().as_millis();
        self.last
            .store(u64::try_from(elapsed).unwrap_or(u64::MAX), Relaxed);
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last.load(Relaxed))
    }

    /// Waits for `work` for as long as it moves something within every `limit`.
    pub(super) async fn watch<R>(
        &self,
        limit: Duration,
        work: impl Future<Output = R>,
    ) -> Result<R, Stalled> {
        let mut work = std::pin::pin!(work);
        let mut timer = std::pin::pin!(sleep_until(self.last() + limit));
        loop {
            tokio::select! {
                biased;
                result = work.as_mut() => return Ok(result),
                () = timer.as_mut() => {
                    let deadline = self.last() + limit;
                    if deadline <= Instant::now() {
                        return Err(Stalled(limit));
                    }
                    timer.as_mut().reset(deadline);
                }
            }
        }
    }
}

/// The body of a request on its way to the server.
#[derive(Debug)]
pub(super) enum RequestBody {
    /// Read already, so that it can be sent again after a 401. An empty one is `None`.
    Whole(Option<Bytes>),
    Stream(Box<Upload>),
}

#[derive(Debug)]
pub(super) struct Upload {
    incoming: Incoming,
    stall: Stall,
    progress: Arc<Progress>,
}

impl RequestBody {
    pub(super) fn stream(incoming: Incoming, limit: Duration, progress: &Arc<Progress>) -> Self {
        Self::Stream(Box::new(Upload {
            incoming,
            stall: Stall::new(limit),
            progress: Arc::clone(progress),
        }))
    }

    /// The same body once more, unless it is a stream.
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
                    stall,
                    progress,
                } = &mut **upload;
                let polled = next_data(incoming, stall, context);
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

/// The body of a response on its way to the caller. Its call is over when it is dropped.
#[derive(Debug)]
pub(super) struct ResponseBody {
    content: Content,
    _call: Option<CallGuard>,
}

#[derive(Debug)]
enum Content {
    Whole(Option<Bytes>),
    Stream(Incoming, Stall),
}

impl ResponseBody {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty());
        Self {
            content: Content::Whole(bytes),
            _call: None,
        }
    }

    pub(super) fn stream(incoming: Incoming, limit: Duration) -> Self {
        Self {
            content: Content::Stream(incoming, Stall::new(limit)),
            _call: None,
        }
    }

    /// Keeps the call open until the body is sent.
    pub(super) fn hold(mut self, call: CallGuard) -> Self {
        self._call = Some(call);
        self
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Stream(incoming, stall) => next_data(incoming, stall, context),
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

/// The next piece of a body; trailers are left out.
fn next_data(
    incoming: &mut Incoming,
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
                return stall.poll(context).map(|stalled| Some(Err(stalled.into())));
            }
        }
    }
}
