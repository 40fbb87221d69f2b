//! A response before it is sent, and the bodies it can have.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;
use tokio::time::Sleep;

const CHUNK: u64 = 16 * 1024;

#[derive(Debug)]
pub(super) struct ServerResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Payload,
}

impl ServerResponse {
    pub(super) fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Payload::whole(Bytes::new()),
        }
    }

    /// Creates a response with this status; an invalid number becomes 500.
    pub(super) fn status(status: u16) -> Self {
        Self::new(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
    }

    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value)
            .unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        Self::new(status)
            .with("content-type", "application/json;charset=UTF-8")
            .body(text)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.append(name, value);
        self
    }

    /// Adds a header, unless it is invalid.
    pub(super) fn append(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) = (
            name.parse::<HeaderName>(),
            HeaderValue::from_bytes(value.as_bytes()),
        ) {
            // Ignore the error: a header map has room for 32,768 values.
            let _ = self.headers.try_append(name, value);
        }
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Payload::whole(body.into());
        self
    }

    pub(super) fn set_cookie(&mut self, line: &str) {
        self.append(header::SET_COOKIE.as_str(), line);
    }

    pub(super) fn into_response(self) -> Response<Payload> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The body of a response.
pub(super) enum Payload {
    Whole(Bytes),
    /// This many bytes of a repeated alphabet, streamed.
    Pattern(u64),
    /// Piece by piece.
    Paced {
        rest: Bytes,
        chunk: usize,
        pause: Duration,
        sleep: Option<Pin<Box<Sleep>>>,
    },
    /// A byte after each pause, without an end.
    Endless {
        pause: Duration,
        sleep: Pin<Box<Sleep>>,
    },
    /// Declares `declared` bytes, sends `first`, then ends.
    Broken {
        first: Option<Bytes>,
        declared: u64,
        flushed: bool,
    },
}

/// The error that ends a response midway: hyper closes the connection.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer breaks off here, as scripted")
    }
}

impl std::error::Error for BrokenOff {}

impl From<Infallible> for BrokenOff {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Payload {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }

    pub(super) fn endless(pause: Duration) -> Self {
        Self::Endless {
            pause,
            sleep: Box::pin(tokio::time::sleep(pause)),
        }
    }

    /// Returns this body with pauses. Works only for bodies in memory.
    pub(super) fn paced(self, chunk: u32, pause: Duration) -> Self {
        match self {
            Self::Whole(rest) => Self::Paced {
                rest,
                chunk: chunk.max(1) as usize,
                pause,
                sleep: None,
            },
            other => other,
        }
    }

    /// Returns this body, cut off midway. An empty body becomes one that declares more than it
    /// sends.
    pub(super) fn broken(self) -> Self {
        match self {
            Self::Whole(bytes) => {
                let first = bytes.slice(..bytes.len() / 2);
                Self::Broken {
                    first: Some(first),
                    declared: bytes.len().max(1) as u64,
                    flushed: false,
                }
            }
            other => {
                let declared = other.size_hint().exact().unwrap_or(0).max(2);
                let first = Bytes::from_static(b"x");
                Self::Broken {
                    first: Some(first),
                    declared,
                    flushed: false,
                }
            }
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({:?} bytes)", self.size_hint().exact())
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Pattern(0) => Poll::Ready(None),
            Self::Pattern(left) => {
                let size = CHUNK.min(*left);
                *left -= size;
                Poll::Ready(Some(Ok(Frame::data(pattern(size)))))
            }
            Self::Paced {
                rest,
                chunk,
                pause,
                sleep,
            } => {
                if let Some(pausing) = sleep {
                    std::task::ready!(pausing.as_mut().poll(context));
                    *sleep = None;
                }
                if rest.is_empty() {
                    return Poll::Ready(None);
                }
                let piece = rest.split_to((*chunk).min(rest.len()));
                *sleep = Some(Box::pin(tokio::time::sleep(*pause)));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Self::Endless { pause, sleep } => {
                std::task::ready!(sleep.as_mut().poll(context));
                *sleep = Box::pin(tokio::time::sleep(*pause));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
            }
            Self::Broken { first, flushed, .. } => match first.take() {
                Some(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                // hyper flushes its buffer when a body is pending, but not when it fails.
                _ if !*flushed => {
                    *flushed = true;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                _ => Poll::Ready(Some(Err(BrokenOff))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Pattern(left) => *left == 0,
            Self::Paced { rest, .. } => rest.is_empty(),
            Self::Endless { .. } | Self::Broken { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Endless { .. } => return SizeHint::default(),
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Pattern(left) => *left,
            Self::Paced { rest, .. } => rest.len() as u64,
            Self::Broken { declared, .. } => *declared,
        })
    }
}

fn pattern(size: u64) -> Bytes {
    const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    LETTERS
        .iter()
        .copied()
        .cycle()
        .take(size as usize)
        .collect()
}
