//! Load from hyper's client: a number of connections, each with one call at a time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Failure;

const PATH: &str = "/connect/services/devices?pg=1";

/// The results of a load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Calls per second.
    pub per_second: f64,
    /// The median time of one call, in seconds.
    pub latency: f64,
}

/// Calls the server at `url` on this many connections for `time`, after a tenth of that as warm-up.
///
/// # Errors
/// Returns an error if a connection fails, or a response is not the expected one.
pub fn run(url: &str, connections: usize, time: Duration) -> Result<Load, Failure> {
    // One thread, to leave the others to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(all(url, connections, time))
}

async fn all(url: &str, connections: usize, time: Duration) -> Result<Load, Failure> {
    let uri: Uri = url.parse()?;
    let authority = uri.authority().ok_or("the URL has no host")?.as_str();
    let mut senders = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        senders.push(sender);
    }
    let begin = Instant::now() + time / 10;
    let end = begin + time;
    let host = HeaderValue::from_str(authority)?;
    let mut callers = JoinSet::new();
    for sender in senders {
        callers.spawn(caller(sender, host.clone(), begin, end));
    }
    let mut latencies = Vec::new();
    while let Some(done) = callers.join_next().await {
        latencies.extend(done??);
    }
    let per_second = latencies.len() as f64 / time.as_secs_f64();
    let middle = latencies.len() / 2;
    if latencies.is_empty() {
        return Err("no call ended in time".into());
    }
    let (_, median, _) = latencies.select_nth_unstable(middle);
    Ok(Load {
        per_second,
        latency: median.as_secs_f64(),
    })
}

/// Returns the time of each call that began and ended within the measurement.
async fn caller(
    mut sender: SendRequest<Empty<Bytes>>,
    host: HeaderValue,
    begin: Instant,
    end: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut latencies = Vec::new();
    loop {
        let start = Instant::now();
        let mut request = Request::get(PATH).body(Empty::new())?;
        request.headers_mut().insert(HOST, host.clone());
        let any = HeaderValue::from_static("*/*");
        request.headers_mut().insert(ACCEPT, any);
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status != 200 || body != b"[]"[..] {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        let now = Instant::now();
        if now >= end {
            return Ok(latencies);
        }
        if start >= begin {
            latencies.push(now - start);
        }
    }
}
