//! The server's thread: a runtime, the listeners, and one task per connection.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Server,
    error::StartError,
    journal::Origin,
    respond::respond,
    settings::Settings,
    state::Shared,
    tls::{self, Identity},
    wire::{Wire, Wired},
};

/// The server's thread. Dropping this ends it, and waits until it has ended.
#[derive(Debug)]
pub(super) struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // This is short, because the thread only drops tasks that never block. A panic in it
            // was reported already.
            let _ = thread.join();
        }
    }
}

/// Starts a server whose API and token endpoint listen on these addresses.
pub(super) fn start(
    settings: Settings,
    accounts: Vec<(String, String)>,
    addresses: [SocketAddr; 2],
) -> Result<Server, StartError> {
    let identity = if settings.tls {
        Some(Identity::make()?)
    } else {
        None
    };
    let http2 = settings.http2;
    let acceptor = identity
        .as_ref()
        .map(|identity| identity.acceptor(http2))
        .transpose()?;
    let shared = Arc::new(Shared::new(settings, accounts));

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
                let listeners = match listen_at(addresses) {
                    Ok(listeners) => listeners,
                    Err(error) => return drop(bound.send(Err(error))),
                };
                let locals = listeners
                    .each_ref()
                    .map(|(origin, listener)| (*origin, listener.local_addr()));
                if bound.send(Ok(locals)).is_ok() {
                    let connections = Arc::new(AtomicU64::new(0));
                    for (origin, listener) in listeners {
                        let place = Place {
                            origin,
                            connections: Arc::clone(&connections),
                            shared: Arc::clone(&thread_shared),
                        };
                        tokio::spawn(accept(listener, acceptor.clone(), place));
                    }
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
    let [api, token] = addresses;
    let gone = || StartError::Bind {
        address: api,
        source: io::ErrorKind::Other.into(),
    };
    let [(_, local), (_, token_local)] = told.recv().unwrap_or_else(|_| Err(gone()))?;
    let bind = |address| move |source| StartError::Bind { address, source };
    Ok(Server {
        shared,
        address: local.map_err(bind(api))?,
        token_address: token_local.map_err(bind(token))?,
        identity,
        _running: running,
    })
}

/// The origin that a connection came to.
#[derive(Clone)]
struct Place {
    origin: Origin,
    /// The number of connections so far, on both origins.
    connections: Arc<AtomicU64>,
    shared: Arc<Shared>,
}

fn listen_at([api, token]: [SocketAddr; 2]) -> Result<[(Origin, TcpListener); 2], StartError> {
    let at = |address| listen(address).map_err(|source| StartError::Bind { address, source });
    Ok([(Origin::Api, at(api)?), (Origin::Token, at(token)?)])
}

/// Listens with a long queue, so that many new connections at once are not refused.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Allows binding a port that was used a moment ago. On Windows it would share a port that is in
    // use.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, place: Place) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Usually no file descriptor is free: some will be closed soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let id = place.connections.fetch_add(1, Relaxed) + 1;
        place.shared.change(|state| state.counts.connections += 1);
        tokio::spawn(connection(stream, id, acceptor.clone(), place.clone()));
    }
}

async fn connection(stream: TcpStream, id: u64, acceptor: Option<TlsAcceptor>, place: Place) {
    // Small responses must not wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => serve(stream, id, place).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, id, place).await;
            }
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    id: u64,
    place: Place,
) {
    let wire = Arc::new(Wire::default());
    let io = TokioIo::new(Wired {
        stream,
        wire: Arc::clone(&wire),
    });
    let http2 = place.shared.settings.http2;
    let service = service_fn(move |request| {
        let (shared, wire) = (Arc::clone(&place.shared), Arc::clone(&wire));
        respond(shared, place.origin, id, wire, request)
    });
    // Ignore errors: the client went away, or a fault ended the connection.
    if http2 {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        let (timer, no_date) = (TokioTimer::new(), false);
        builder.http1().timer(timer).auto_date_header(no_date);
        builder.http2().auto_date_header(no_date);
        let _ = builder.serve_connection(io, service).await;
    } else {
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .serve_connection(io, service)
            .await;
    }
}

impl Identity {
    fn acceptor(&self, http2: bool) -> Result<TlsAcceptor, StartError> {
        tls::server_config(self, http2).map(|config| TlsAcceptor::from(Arc::new(config)))
    }
}
