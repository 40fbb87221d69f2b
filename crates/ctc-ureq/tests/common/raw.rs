//! A server on raw sockets, one thread a connection: for what no HTTP server does by itself.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "not every test needs all of it; helpers fail like tests"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A connection as a [`RawServer`]'s handler sees it.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    /// The how manyth it is.
    pub(crate) number: usize,
}

/// The head of a request.
pub(crate) struct Head {
    /// Method and path.
    pub(crate) line: String,
    /// All of it.
    pub(crate) text: String,
}

impl Head {
    pub(crate) fn is_login(&self) -> bool {
        self.line.contains("/login")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.text.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value)
    }
}

impl Connection {
    /// Reads the head of the next request. `None` if there is none.
    pub(crate) fn head(&mut self) -> Option<Head> {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut text).ok()? == 0 {
                return None;
            }
        }
        let line = text.lines().next()?.to_owned();
        Some(Head { line, text })
    }

    /// Reads the body that follows this head, whose length is announced. Returns that length.
    pub(crate) fn body(&mut self, head: &Head) -> usize {
        let length = head
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let read = std::io::copy(&mut (&mut self.stream).take(length), &mut std::io::sink());
        read.map_or(0, |read| read as usize)
    }

    /// Reads the next request with its body.
    pub(crate) fn request(&mut self) -> Option<Head> {
        let head = self.head()?;
        self.body(&head);
        Some(head)
    }

    pub(crate) fn write(&mut self, text: &str) {
        let _ = self.stream.get_mut().write_all(text.as_bytes());
    }

    /// A login's response with this token.
    pub(crate) fn log_in(&mut self, token: usize) {
        self.write(&format!(
            "HTTP/1.1 200 OK\r\nset-cookie: authToken=T{token}\r\ncontent-length: 0\r\n\r\n"
        ));
    }

    pub(crate) fn respond(&mut self, status: u16) {
        self.write(&format!(
            "HTTP/1.1 {status} Any\r\ncontent-length: 0\r\n\r\n"
        ));
    }

    /// Sends nothing more until the client has gone.
    pub(crate) fn stall(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }
}

/// A server that serves until the test's process ends.
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl RawServer {
    pub(crate) fn start(serve: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (serve, count) = (Arc::new(serve), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (serve, stream) = (Arc::clone(&serve), BufReader::new(stream));
                thread::spawn(move || serve(Connection { stream, number }));
            }
        });
        Self {
            address,
            connections,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A server that hands out a token for each call and takes it for one call only. After each 401 it
/// closes that connection, `delay` later.
pub(crate) fn closes_after_401(delay: Duration) -> RawServer {
    let (token, used) = (AtomicUsize::new(0), AtomicUsize::new(0));
    RawServer::start(move |mut connection| {
        while let Some(request) = connection.request() {
            if request.is_login() {
                connection.log_in(token.fetch_add(1, Ordering::SeqCst) + 1);
                continue;
            }
            let present = token.load(Ordering::SeqCst);
            if used.swap(present, Ordering::SeqCst) != present {
                connection.respond(200);
                continue;
            }
            connection.respond(401);
            thread::sleep(delay);
            return;
        }
    })
}

/// A server whose login's response has this head and body, and never ends; its calls get a 200.
pub(crate) fn login_stalls(response: &'static str) -> RawServer {
    RawServer::start(move |mut connection| {
        while let Some(request) = connection.request() {
            if request.is_login() {
                connection.write(response);
                connection.stall();
                return;
            }
            connection.respond(200);
        }
    })
}

/// A server that refuses the first call's token, with a body that stalls.
pub(crate) fn unauthorized_stalls(response: &'static str) -> RawServer {
    let calls = AtomicUsize::new(0);
    RawServer::start(move |mut connection| {
        while let Some(request) = connection.request() {
            if request.is_login() {
                connection.log_in(calls.load(Ordering::SeqCst));
            } else if calls.fetch_add(1, Ordering::SeqCst) == 0 {
                connection.write(response);
                connection.stall();
                return;
            } else {
                connection.respond(200);
            }
        }
    })
}
