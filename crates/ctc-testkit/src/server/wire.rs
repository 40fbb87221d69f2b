//! The layer above the socket, where a response can be cut or replaced byte by byte.

use std::{
    io,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What happens to the bytes that one connection writes next.
#[derive(Debug, Default)]
pub(super) struct Wire {
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
enum Plan {
    #[default]
    Whole,
    /// Write this many more bytes, then cut the connection.
    CutAfter(usize),
    /// Write these bytes instead, then cut the connection.
    Replace(Vec<u8>),
}

impl Wire {
    pub(super) fn cut_after(&self, bytes: usize) {
        self.set(Plan::CutAfter(bytes));
    }

    pub(super) fn replace(&self, text: &str) {
        self.set(Plan::Replace(text.as_bytes().to_vec()));
    }

    fn set(&self, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }
}

/// A stream whose writes follow the plan of its [`Wire`].
pub(super) struct Wired<S> {
    pub(super) stream: S,
    pub(super) wire: std::sync::Arc<Wire>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Wired<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wired<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut stream = Pin::new(&mut this.stream);
        let mut plan = this
            .wire
            .plan
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &mut *plan {
            Plan::Whole => stream.poll_write(context, bytes),
            Plan::CutAfter(0) => {
                ready!(stream.as_mut().poll_flush(context))?;
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
            Plan::CutAfter(left) => {
                let written = ready!(stream.poll_write(context, &bytes[..bytes.len().min(*left)]))?;
                *left -= written;
                Poll::Ready(Ok(written))
            }
            Plan::Replace(rest) => {
                while !rest.is_empty() {
                    let written = ready!(stream.as_mut().poll_write(context, rest))?;
                    rest.drain(..written);
                }
                ready!(stream.as_mut().poll_flush(context))?;
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
