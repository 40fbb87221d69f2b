//! The reverse proxy that `ctc proxy` is compared with: made of hyper's parts, with the three
//! headers set by hand, and nothing else. It has no login, no checks and no limits.

use std::convert::Infallible;
use std::io::Write;

use http::header::{ACCEPT, HOST};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::Failure;
use crate::scene::{ACCEPT_JSON, Limit};

/// The same value as in `ctc proxy`.
const BUFFER: usize = 64 * 1024;

type HttpClient = Client<HttpConnector, Incoming>;

struct Proxy {
    client: HttpClient,
    authority: Authority,
    limit: Limit,
}

/// Prints its URL, and serves without end.
///
/// # Errors
/// Returns an error if the URL has no host, or no port can be bound.
pub fn serve(url: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(accept(url))
}

async fn accept(url: &str) -> Result<(), Failure> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(BUFFER);
    let authority = url.parse::<Uri>()?.authority().cloned();
    // Leaked, because it lives as long as the process.
    let proxy: &'static Proxy = Box::leak(Box::new(Proxy {
        client: builder.build(tcp),
        authority: authority.ok_or("the URL has no host")?,
        limit: Limit::new()?,
    }));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(BUFFER);
    let server: &'static auto::Builder<TokioExecutor> = Box::leak(Box::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut out = std::io::stdout();
    writeln!(out, "http://{}", listener.local_addr()?)?;
    out.flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(move |request| proxy.forward(request));
        tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
    }
}

impl Proxy {
    async fn forward(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Either<Incoming, Empty<Bytes>>>, Infallible> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        headers.remove(HOST);
        self.limit.stamp(headers);
        headers.insert(ACCEPT, ACCEPT_JSON);
        Ok(match self.client.request(request).await {
            Ok(response) => response.map(Either::Left),
            Err(_) => {
                let mut failed = Response::new(Either::Right(Empty::new()));
                *failed.status_mut() = StatusCode::BAD_GATEWAY;
                failed
            }
        })
    }
}
