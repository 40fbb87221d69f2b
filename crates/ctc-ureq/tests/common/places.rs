//! Places that a request does not reach, and one that it reaches in vain.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "not every test needs all of it; helpers fail like tests"
)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use ctc_driver::NotSent;

use crate::raw::RawServer;

/// Addresses at which nothing of a request can be written.
pub(crate) struct Places {
    /// What is wrong with each, and its URL.
    pub(crate) urls: Vec<(&'static str, String)>,
    // What must not be dropped before the test ends.
    _queue: (TcpListener, Vec<TcpStream>),
    _servers: [RawServer; 2],
    _tls: ctc_testkit::Server,
}

impl Places {
    pub(crate) fn new() -> Self {
        let no_tls = RawServer::start(|mut connection| {
            connection.write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
            connection.stall();
        });
        let hangs_up = RawServer::start(drop);
        let tls = ctc_testkit::Server::builder().tls(true).start().unwrap();
        let (listener, waiting) = full_queue();
        let of = |scheme: &str, address: SocketAddr| format!("{scheme}://{address}");
        let urls = vec![
            ("no such name", "https://ctc-adapters.invalid".to_owned()),
            ("no route", "https://255.255.255.255".to_owned()),
            ("connection refused", of("http", refused())),
            (
                "connecting takes too long",
                of("http", listener.local_addr().unwrap()),
            ),
            ("no TLS there", of("https", no_tls.address)),
            (
                "hangs up instead of a TLS handshake",
                of("https", hangs_up.address),
            ),
            ("a certificate that is not trusted", tls.url()),
        ];
        Self {
            urls,
            _queue: (listener, waiting),
            _servers: [no_tls, hangs_up],
            _tls: tls,
        }
    }
}

/// The step that fails at one of the [`Places`].
pub(crate) fn step(wrong: &str) -> NotSent {
    match wrong {
        "no such name" => NotSent::NameLookup,
        "no route" | "connection refused" | "connecting takes too long" => NotSent::Connection,
        _ => NotSent::Tls,
    }
}

/// An address that nobody listens on.
pub(crate) fn refused() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A listener that takes no more connections, and does not say so.
fn full_queue() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let waiting = std::iter::from_fn(connect).take(10_000).collect();
    (listener, waiting)
}

/// A proxy that makes no tunnels.
pub(crate) fn proxy() -> RawServer {
    RawServer::start(|mut connection| {
        if let Some(request) = connection.head() {
            assert!(request.line.starts_with("CONNECT "), "{}", request.line);
            connection.respond(403);
        }
    })
}

/// A server that takes a request and closes the connection.
pub(crate) fn takes_and_closes() -> RawServer {
    RawServer::start(|mut connection| {
        drop(connection.request());
    })
}

/// Runs the test of this name once more, in a process in which `is_child` is true.
pub(crate) fn in_a_child(test: &str) {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    let output = command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("1 passed"), "{text}");
}

const CHILD: &str = "CTC_TEST_CHILD";

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// From here on this process can open no more files or sockets.
#[cfg(unix)]
pub(crate) fn no_more_files() {
    rlimit::setrlimit(rlimit::Resource::NOFILE, 64, 64).unwrap();
    let open = || std::fs::File::open("/dev/null").ok();
    std::iter::from_fn(open).for_each(std::mem::forget);
}
