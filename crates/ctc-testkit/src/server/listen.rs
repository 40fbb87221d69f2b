//! The server's thread: its runtime, its listener, one task per connection.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Server,
    error::StartError,
    respond::respond,
    settings::Settings,
    state::Shared,
    tls::{self, Identity},
    wire::{Wire, Wired},
};

/// Ends the thread when it is dropped, and waits until it has.
#[derive(Debug)]
pub(super) struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only drops tasks that never block, so this is short; a panic in it has been
            // reported already.
            let _ = thread.join();
        }
    }
}

pub(super) fn start(settings: Settings, address: SocketAddr) -> Result<Server, StartError> {
    let identity = if settings.tls {
        Some(Identity::make()?)
    } else {
        None
    };
    let acceptor = identity.as_ref().map(Identity::acceptor).transpose()?;
    let shared = Arc::new(Shared::new(settings));

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Thread)?;
    let (stop, stopped) = oneshot::channel();
    let (bound, told) = mpsc::channel();
    let thread_shared = Arc::clone(&shared);
    let thread = thread::Builder::new()
        .name("ctc-server".into())
        .spawn(move || {
            runtime.block_on(async {
                let listener = match listen(address) {
                    Ok(listener) => listener,
                    Err(error) => return drop(bound.send(Err(error))),
                };
                if bound.send(listener.local_addr()).is_ok() {
                    tokio::spawn(accept(listener, acceptor, thread_shared));
                    let _ = stopped.await;
                }
            });
            // Dropping the runtime here cuts every connection.
        })
        .map_err(StartError::Thread)?;
    let running = Running {
        stop: Some(stop),
        thread: Some(thread),
    };
    let local = told
        .recv()
        .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
    let local: SocketAddr = local.map_err(|source| StartError::Bind { address, source })?;
    Ok(Server {
        shared,
        address: local,
        identity,
        _running: running,
    })
}

/// Listens with a long queue, so that a herd of new connections is not turned away.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // On Windows this would share a taken port; elsewhere it frees one that was used a moment ago.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut id = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, mostly: others will be closed soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        id += 1;
        shared.change(|state| state.counts.connections += 1);
        tokio::spawn(connection(
            stream,
            id,
            acceptor.clone(),
            Arc::clone(&shared),
        ));
    }
}

async fn connection(
    stream: TcpStream,
    id: u64,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) {
    // Small answers must not wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => serve(stream, id, shared).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, id, shared).await;
            }
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    id: u64,
    shared: Arc<Shared>,
) {
    let wire = Arc::new(Wire::default());
    let io = TokioIo::new(Wired {
        stream,
        wire: Arc::clone(&wire),
    });
    let service =
        service_fn(move |request| respond(Arc::clone(&shared), id, Arc::clone(&wire), request));
    // An error here is a client that went away, or a scripted end.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .serve_connection(io, service)
        .await;
}

impl Identity {
    fn acceptor(&self) -> Result<TlsAcceptor, StartError> {
        tls::server_config(self).map(|config| TlsAcceptor::from(Arc::new(config)))
    }
}
