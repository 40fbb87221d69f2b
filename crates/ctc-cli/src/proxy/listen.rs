//! Where the proxy listens: loopback, or a Unix socket of mode 0600.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket};

use super::stall::Stall;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A listener of either kind.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, SocketFile),
}

impl Listener {
    /// Listens on a TCP address.
    ///
    /// # Errors
    /// Returns the operating system's error if the address cannot be bound.
    pub(super) fn tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Allows binding a port that was closed a moment ago. On Windows it would share a port that
        // is in use.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG).map(Self::Tcp)
    }

    /// Listens on a Unix socket that only its owner may connect to.
    ///
    /// The socket is created in a folder that nobody else can enter, gets its mode there, and is
    /// then renamed: so no other user can connect at any time.
    ///
    /// # Errors
    /// Returns an error if something other than an abandoned socket is at `path`, or if the folder
    /// cannot be written to.
    #[cfg(unix)]
    pub(super) fn unix(path: &Path) -> io::Result<Self> {
        use std::fs::{self, DirBuilder, Permissions};
        use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};

        if let Ok(there) = fs::symlink_metadata(path) {
            if !there.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "the path is not a socket: remove it or choose another path",
                ));
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
        }
        let mut nearby = path.as_os_str().to_owned();
        nearby.push(format!(".{}", std::process::id()));
        let nearby = PathBuf::from(nearby);
        let hidden = nearby.join("s");
        let remove = || {
            // Ignore errors: either there is nothing to remove, or the next step fails too.
            let _ = fs::remove_file(&hidden);
            let _ = fs::remove_dir(&nearby);
        };
        // A proxy that was killed here may have had the same process id, as in a container.
        remove();
        DirBuilder::new().mode(0o700).create(&nearby)?;
        let bound = tokio::net::UnixListener::bind(&hidden).and_then(|listener| {
            fs::set_permissions(&hidden, Permissions::from_mode(0o600))?;
            fs::rename(&hidden, path)?;
            Ok(Self::Unix(listener, SocketFile::of(path)?))
        });
        remove();
        bound
    }

    /// Returns the port of a TCP listener.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            #[cfg(unix)]
            Self::Unix(..) => None,
        }
    }

    /// Returns the URL to print.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}"),
                Err(error) => error.to_string(),
            },
            #[cfg(unix)]
            Self::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Small responses must not wait for an acknowledgement.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// The path of a socket. Dropping it removes the socket, unless it is another process's by now.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    place: (u64, u64),
}

#[cfg(unix)]
impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            place: Self::place(path)?,
        })
    }

    /// Returns the identity of the file, whatever its name.
    fn place(path: &Path) -> io::Result<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;

        let there = std::fs::symlink_metadata(path)?;
        Ok((there.dev(), there.ino()))
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::place(&self.path).is_ok_and(|place| place == self.place) {
            // Ignore errors: the next proxy replaces an abandoned socket.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A connection that fails if its peer does not read what is written to it.
pub(super) struct Bounded<S> {
    stream: S,
    limit: Duration,
    stall: Stall,
}

impl<S> Bounded<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            stall: Stall::default(),
        }
    }

    fn written<R>(
        &mut self,
        polled: Poll<io::Result<R>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<R>> {
        match polled {
            Poll::Pending => self
                .stall
                .poll(self.limit, context)
                .map(|stalled| Err(io::Error::new(io::ErrorKind::TimedOut, stalled))),
            ready @ Poll::Ready(_) => {
                self.stall.moved();
                ready
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(polled, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
