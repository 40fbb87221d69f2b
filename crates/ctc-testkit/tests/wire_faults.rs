//! Each fault, seen from a client: what goes wrong on the wire.

mod common;

use std::{
    io::ErrorKind,
    net::TcpStream,
    time::{Duration, Instant},
};

use common::{Client, DEVICES, KEY};
use ctc_testkit::{Fault, Matcher, Point, Rule, Server};

struct Scene {
    server: Server,
    cookie: String,
}

impl Scene {
    fn new() -> Self {
        let server = Server::start().expect("a server");
        let cookie = format!("authToken={}", Client::connect(&server).token());
        Self { server, cookie }
    }

    /// Makes a call with a fault, on a new connection.
    fn call(&self, fault: Fault) -> Client<TcpStream> {
        self.server.inject(Rule::once(Matcher::AnyCall, fault));
        let mut client = Client::connect(&self.server);
        client
            .write("GET", DEVICES, &[KEY, ("Cookie", &self.cookie)], b"")
            .expect("a connection");
        client
    }

    fn last_status(&self) -> Option<u16> {
        self.server.journal().pop().expect("a request").status
    }
}

#[test]
fn a_connection_is_cut_before_the_response() {
    let scene = Scene::new();
    let bytes = scene
        .call(Fault::Cut {
            at: Point::BeforeResponse,
            act: false,
        })
        .read_to_end();
    assert!(bytes.is_empty());
    assert_eq!(scene.last_status(), None);
}

#[test]
fn a_connection_is_cut_in_the_headers() {
    let scene = Scene::new();
    let bytes = scene
        .call(Fault::Cut {
            at: Point::MidHeaders,
            act: true,
        })
        .read_to_end();
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n") && !text.contains("\r\n\r\n"),
        "{text}"
    );
}

#[test]
fn a_connection_is_cut_in_the_body() {
    let scene = Scene::new();
    for act in [true, false] {
        let bytes = scene
            .call(Fault::Cut {
                at: Point::MidBody,
                act,
            })
            .read_to_end();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("whole headers");
        let declared = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let declared: usize = declared.parse().unwrap();
        assert!(body.len() < declared && body.is_empty() != act, "{text}");
    }
}

#[test]
fn a_response_is_not_http() {
    let scene = Scene::new();
    assert_eq!(
        scene.call(Fault::Raw("220 hello\r\n".into())).read_to_end(),
        b"220 hello\r\n"
    );
    assert_eq!(scene.last_status(), None);
}

#[test]
fn a_request_hangs() {
    let scene = Scene::new();
    let mut client = scene.call(Fault::Hang { act: false });
    client.set_timeout(Duration::from_millis(50));
    let error = client.read(false).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    // Other requests are served, and the server still ends immediately.
    assert!(scene.call(Fault::NoDate).read(false).is_ok());
    let start = Instant::now();
    drop(scene.server);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn responses_are_slow() {
    let scene = Scene::new();
    for fault in [Fault::Delay(30), Fault::Late(30)] {
        let start = Instant::now();
        assert_eq!(scene.call(fault).read(false).unwrap().status, 200);
        assert!(start.elapsed() >= Duration::from_millis(30));
    }
    let whole = scene.call(Fault::NoDate).read(false).unwrap().body;
    let chunk = whole.len() as u32 / 3;
    let start = Instant::now();
    let slow = scene
        .call(Fault::SlowBody { chunk, pause: 10 })
        .read(false)
        .unwrap()
        .body;
    assert_eq!(slow, whole);
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn responses_are_large() {
    let scene = Scene::new();
    let many = scene.call(Fault::ManyHeaders(500)).read(false).unwrap();
    assert!(many.status == 200 && many.headers.len() > 500);
    let huge = scene.call(Fault::HugeHeader(200_000)).read(false).unwrap();
    assert_eq!(huge.header("x-filler").map(str::len), Some(200_000));
    let body = scene
        .call(Fault::HugeBody(3_000_000))
        .read(false)
        .unwrap()
        .body;
    assert_eq!(body.len(), 3_000_000);
    let lines = vec![
        ("X-One".to_owned(), "1".to_owned()),
        ("bad name".to_owned(), "left out".to_owned()),
    ];
    assert_eq!(
        scene
            .call(Fault::Headers(lines))
            .read(false)
            .unwrap()
            .header("x-one"),
        Some("1")
    );
    // More headers than a header map can have are left out, without a panic.
    assert_eq!(
        scene
            .call(Fault::ManyHeaders(40_000))
            .read(false)
            .unwrap()
            .status,
        200
    );
}

#[test]
fn a_connection_stays_usable_after_a_fault_that_does_not_break_it() {
    let scene = Scene::new();
    let mut client = scene.call(Fault::status(500));
    assert_eq!(client.read(false).unwrap().status, 500);
    let cookie = ("Cookie", scene.cookie.as_str());
    assert_eq!(
        client
            .send("GET", DEVICES, &[KEY, cookie], b"")
            .unwrap()
            .status,
        200
    );
    let journal = scene.server.journal();
    assert_eq!(journal[1].connection, journal[2].connection);
}
