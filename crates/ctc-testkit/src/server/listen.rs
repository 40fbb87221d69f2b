//! The server's thread: its runtime, its listener, one task per connection.

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
    journal::Origin,
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
    let acceptor = identity.as_ref().map(Identity::acceptor).transpose()?;
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

/// Where a connection came in.
#[derive(Clone)]
struct Place {
    origin: Origin,
    /// How many connections there were, over both origins.
    connections: Arc<AtomicU64>,
    shared: Arc<Shared>,
}

fn listen_at([api, token]: [SocketAddr; 2]) -> Result<[(Origin, TcpListener); 2], StartError> {
    let at = |address| listen(address).map_err(|source| StartError::Bind { address, source });
    Ok([(Origin::Api, at(api)?), (Origin::Token, at(token)?)])
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

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, place: Place) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, mostly: others will be closed soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let id = place.connections.fetch_add(1, Relaxed) + 1;
        place.shared.change(|state| state.counts.connections += 1);
        tokio::spawn(connection(stream, id, acceptor.clone(), place.clone()));
    }
}

async fn connection(stream: TcpStream, id: u64, acceptor: Option<TlsAcceptor>, place: Place) {
    // Small answers must not wait for an acknowledgement.
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
    let service = service_fn(move |request| {
        let (shared, wire) = (Arc::clone(&place.shared), Arc::clone(&wire));
        respond(shared, place.origin, id, wire, request)
    });
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
