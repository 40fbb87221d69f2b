//! The body of a request.

use std::fmt;
use std::io::Read;

use bytes::Bytes;

/// The body of a request: nothing, bytes, or a stream.
#[derive(Default)]
pub struct Body(pub(crate) Content);

#[derive(Default)]
pub(crate) enum Content {
    #[default]
    Empty,
    Bytes(Bytes),
    Reader(Box<dyn Read + Send>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Creates a body from a stream, which is sent in chunks as it is read, and only once: see
    /// [`Replay`](crate::Replay).
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self(Content::Reader(Box::new(reader)))
    }

    /// Whether it has, or may have, as many bytes: the length of a stream is not known.
    pub(crate) fn may_have(&self, bytes: usize) -> bool {
        match &self.0 {
            Content::Empty => false,
            Content::Bytes(content) => content.len() >= bytes,
            Content::Reader(_) => true,
        }
    }

    /// Returns a copy of the body, or `None` for a stream.
    pub(crate) fn replay(&self) -> Option<Self> {
        match &self.0 {
            Content::Empty => Some(Self(Content::Empty)),
            Content::Bytes(bytes) => Some(Self(Content::Bytes(bytes.clone()))),
            Content::Reader(_) => None,
        }
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

/// Without bytes it is [empty](Body::empty): ureq would announce a body of length 0, even on a GET.
impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Content::Bytes(bytes))
        }
    }
}

macro_rules! from_bytes {
    ($($from:ty),*) => {$(
        impl From<$from> for Body {
            fn from(bytes: $from) -> Self {
                Self::from(Bytes::from(bytes))
            }
        }
    )*};
}
from_bytes!(Vec<u8>, String, &'static str, &'static [u8]);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Empty => f.write_str("Body(empty)"),
            Content::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Content::Reader(_) => f.write_str("Body(stream)"),
        }
    }
}
