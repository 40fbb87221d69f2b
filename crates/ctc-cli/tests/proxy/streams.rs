//! Bodies larger than the proxy's memory, in both directions, over HTTP/1.1 and HTTP/2.

use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use ctc_testkit::{Fault, Matcher, Rule, When};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::support::{DEVICES, ECHO, Proxy, Scene, eventually, request};

const SIZE: u64 = 64 * 1024 * 1024;
const GROWTH: u64 = 16 * 1024 * 1024;

/// The proxy, and its memory before the streams, to check how much it grows.
struct Watch<'a>(&'a Proxy, u64);

impl<'a> Watch<'a> {
    fn new(proxy: &'a Proxy) -> Self {
        // A first call creates threads and buffers and reads certificates.
        assert_eq!(proxy.get(DEVICES).status, 200);
        Self(proxy, proxy.resident())
    }

    fn look(&self) {
        let grown = self.0.resident().saturating_sub(self.1);
        assert!(grown <= GROWTH, "{grown} bytes more");
    }
}

/// Returns the size, and a checksum like the server's.
fn read_all(mut stream: impl Read, watch: &Watch<'_>) -> (u64, Vec<u8>) {
    let (mut buffer, mut length, mut head) = (vec![0; 256 * 1024], 0, Vec::new());
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            return (length, head);
        }
        if head.len() < 1024 {
            head.extend_from_slice(&buffer[..read.min(1024)]);
        }
        length += read as u64;
        if length % (8 << 20) < read as u64 {
            watch.look();
        }
    }
}

#[test]
fn a_large_response_streams_through() {
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    let watch = Watch::new(&proxy);
    let mut stream = proxy.connect();
    let path = format!("/connect/test/bytes/{SIZE}");
    stream
        .write_all(&request(proxy.port(), "GET", &path, &[], b""))
        .unwrap();
    let (length, head) = read_all(&mut stream, &watch);
    let head = String::from_utf8_lossy(&head);
    assert!(
        head.contains(&format!("content-length: {SIZE}\r\n")),
        "{head}"
    );
    let head_length = head.find("\r\n\r\n").unwrap() as u64 + 4;
    assert_eq!(length - head_length, SIZE);
    watch.look();
}

#[test]
fn a_large_request_streams_through() {
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    let watch = Watch::new(&proxy);
    for is_chunked in [false, true] {
        let mut stream = proxy.connect();
        let kind = match is_chunked {
            true => "transfer-encoding: chunked".to_owned(),
            false => format!("content-length: {SIZE}"),
        };
        let port = proxy.port();
        let head = format!(
            "POST {ECHO} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n{kind}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let piece = vec![b'x'; 1 << 20];
        for number in 0..SIZE >> 20 {
            if is_chunked {
                stream.write_all(b"100000\r\n").unwrap();
            }
            stream.write_all(&piece).unwrap();
            if is_chunked {
                stream.write_all(b"\r\n").unwrap();
            }
            if number % 8 == 0 {
                watch.look();
            }
        }
        if is_chunked {
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        assert!(text.contains(&format!("\"bodyLength\":{SIZE}")), "{text}");
        watch.look();
    }
}

#[test]
fn a_head_request_keeps_the_length_and_has_no_body() {
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    let path = format!("/connect/test/bytes/{SIZE}");
    let reply = proxy.call("HEAD", &path, &[], b"");
    assert_eq!(
        reply.header("content-length"),
        [SIZE.to_string()],
        "{reply:?}"
    );
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    for status in [204, 304] {
        let reply = proxy.get(&format!("/connect/test/status/{status}"));
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (status, ""),
            "{reply:?}"
        );
    }
}

/// The server could send a gigabyte: what the caller does not read stays at the server.
#[test]
fn a_caller_that_does_not_read_slows_the_server_down() {
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    let watch = Watch::new(&proxy);
    let mut stream = proxy.connect();
    let path = format!("/connect/test/bytes/{}", 1_u64 << 30);
    stream
        .write_all(&request(proxy.port(), "GET", &path, &[], b""))
        .unwrap();
    let mut start = [0; 1 << 20];
    stream.read_exact(&mut start).unwrap();
    let mut before = 0;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        let now = proxy.resident();
        watch.look();
        if now == before {
            break;
        }
        before = now;
    }
    // The connection is still open, and the body continues.
    stream.read_exact(&mut start).unwrap();
}

/// The rest of the response is dropped, in the proxy and at the server.
#[test]
fn a_caller_that_never_reads_is_cut() {
    let scene = Scene::new();
    let proxy = scene.proxy(&["--timeout", "0.5", "--health", "127.0.0.1:0"]);
    proxy.open();
    let mut stream = proxy.connect();
    let path = format!("/connect/test/bytes/{}", 1_u64 << 30);
    stream
        .write_all(&request(proxy.port(), "GET", &path, &[], b""))
        .unwrap();
    eventually("the call begins", || proxy.metric("ctc_proxy_calls ") == 1);
    eventually("the call ends", || proxy.metric("ctc_proxy_calls ") == 0);
    proxy.open();
}

/// A body of this many pieces, each created on demand.
struct Pieces(u64, Bytes);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(left) = self.0.checked_sub(1) else {
            return Poll::Ready(None);
        };
        self.0 = left;
        Poll::Ready(Some(Ok(Frame::data(self.1.clone()))))
    }
}

/// HTTP/2 from the first byte.
async fn connect<B>(proxy: &Proxy) -> SendRequest<B>
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn get(proxy: &Proxy, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("{}{path}", proxy.url))
        .body(Empty::new())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_streams_both_ways() {
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    let watch = Watch::new(&proxy);
    let mut sender = connect(&proxy).await;
    let path = format!("/connect/test/bytes/{SIZE}");
    let response = sender.send_request(get(&proxy, &path)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let (mut body, mut length) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        length += frame
            .unwrap()
            .into_data()
            .map_or(0, |data| data.len() as u64);
    }
    assert_eq!(length, SIZE);
    watch.look();

    let mut sender = connect(&proxy).await;
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let upload = Request::post(format!("{}{ECHO}", proxy.url)).body(Pieces(SIZE >> 20, piece));
    let response = sender.send_request(upload.unwrap()).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["bodyLength"], SIZE);
    watch.look();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_obeys_the_same_rules() {
    let scene = Scene::new();
    let proxy = scene.proxy(&["--max-connections", "3"]);
    let mut sender = connect(&proxy).await;
    assert_eq!(status(sender.send_request(get(&proxy, DEVICES)).await), 200);
    scene.server.reset_journal();
    let request = |url: &str| Request::get(url.to_owned());
    for (request, status_of) in [
        (request("http://evil.example/connect/services/devices"), 421),
        (request(&format!("{}//evil.example/x", proxy.url)), 400),
        (
            request(&format!("{}{DEVICES}", proxy.url)).header("origin", "http://evil.example"),
            403,
        ),
        (
            request(&format!("{}{DEVICES}", proxy.url)).header("host", "evil.example"),
            421,
        ),
        (
            request(&proxy.url.replace("http://", "")).method("CONNECT"),
            405,
        ),
    ] {
        let response = sender
            .send_request(request.body(Empty::new()).unwrap())
            .await;
        assert_eq!(status(response), status_of);
    }
    assert_eq!(scene.server.journal().len(), 0);

    // Three calls at a time are allowed: the fourth is told to try later.
    let fault = Fault::Hold { when: When::Before };
    scene.server.inject(Rule::times(3, Matcher::AnyCall, fault));
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(tokio::spawn(sender.send_request(get(&proxy, DEVICES))));
    }
    eventually("three calls are held", || scene.server.counts().held == 3);
    let response = sender.send_request(get(&proxy, DEVICES)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["ctc-error"], "too_many_calls");
    assert_eq!(response.headers()["retry-after"], "1");
    scene.server.release();
    for call in calls {
        assert_eq!(status(call.await.unwrap()), 200);
    }

    // A head that is too large ends its stream, not the others.
    let huge = request(&format!("{}{ECHO}", proxy.url)).header("x-huge", "x".repeat(100_000));
    let refused = sender.send_request(huge.body(Empty::new()).unwrap()).await;
    assert!(refused.is_err() || status(refused) == 431);
    let mut sender = connect(&proxy).await;
    let response = sender
        .send_request(get(&proxy, "/connect/test/echo"))
        .await
        .unwrap();
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    let seen: serde_json::Value = serde_json::from_slice(&seen).unwrap();
    assert_eq!(
        seen["headers"]["host"][0],
        format!("localhost:{}", scene.server.port())
    );

    // A trailer could contain a token.
    let raw = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: set-cookie\r\n\r\n\
               4\r\nfine\r\n0\r\nset-cookie: authToken=stolen\r\n\r\n";
    scene
        .server
        .inject(Rule::once(Matcher::AnyCall, Fault::Raw(raw.to_owned())));
    let response = sender.send_request(get(&proxy, DEVICES)).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert!(body.trailers().is_none(), "{:?}", body.trailers());
    assert_eq!(body.to_bytes(), "fine");
}

fn status(response: hyper::Result<Response<Incoming>>) -> u16 {
    response.unwrap().status().as_u16()
}
