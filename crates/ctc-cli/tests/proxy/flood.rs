//! More connections than the proxy allows.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use ctc_testkit::{Fault, Matcher, Rule, When};

use crate::support::{DEVICES, PATIENCE, Reply, Scene, eventually, exchange, left_out, request};

const SLOW: u64 = 10_000;
const LIMIT: u64 = 256;

/// Ten thousand connections send half a head and stay open. Meanwhile calls of others are served, a
/// call in progress is not cut, and the proxy's memory does not grow.
#[test]
fn ten_thousand_slow_connections_block_no_others() {
    if rlimit::increase_nofile_limit(SLOW + 1_000).unwrap_or_default() < SLOW + 1_000 {
        let why = "the limit of open files is too low: `ulimit -n 16384`";
        return left_out("ten thousand slow connections", why);
    }
    let scene = Scene::new();
    let limit = LIMIT.to_string();
    let proxy = scene.proxy(&["--max-connections", &limit, "--health", "127.0.0.1:0"]);
    assert_eq!(proxy.get(DEVICES).status, 200);
    let fault = Fault::Hold { when: When::Before };
    scene.server.inject(Rule::once(Matcher::AnyCall, fault));
    let (port, stream) = (proxy.port(), proxy.connect());
    let under_way = thread::spawn(move || {
        Reply::read(&exchange(stream, &request(port, "GET", DEVICES, &[], b"")))
    });
    scene
        .server
        .wait_until(|counts| counts.held == 1, PATIENCE)
        .unwrap();

    let before = proxy.resident();
    let mut slow = Vec::new();
    for number in 0..SLOW {
        let mut stream = proxy.connect();
        // The proxy may have closed it already, to make room.
        let _ = stream.write_all(b"GET /connect/services/devices HTTP/1.1\r\nhost: 127.");
        slow.push(stream);
        if number % 500 == 0 {
            assert_eq!(proxy.get(DEVICES).status, 200, "after {number}");
            assert!(proxy.metric("ctc_proxy_connections ") <= LIMIT);
        }
    }
    eventually("all but the last had to go", || {
        proxy.metric("ctc_proxy_evicted_total ") >= SLOW - LIMIT
    });
    let grown = proxy.resident().saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "{grown} bytes more");
    scene.server.release();
    assert_eq!(under_way.join().unwrap().status, 200);
    assert_eq!(scene.server.counts().logins, 1);
}

/// The time limit for a head holds, whatever a connection sends and however slowly.
#[test]
fn a_head_that_takes_too_long_ends_its_connection() {
    let scene = Scene::new();
    let proxy = scene.proxy(&["--idle-timeout", "1", "--health", "127.0.0.1:0"]);
    let began = Instant::now();
    let starts: [&[u8]; 4] = [
        b"",
        b"P",
        b"GET / HTTP/1.1\r\nx: ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let mut streams: Vec<_> = starts
        .iter()
        .map(|start| {
            let mut stream = proxy.connect();
            stream.write_all(start).unwrap();
            stream
        })
        .collect();
    // The third one sends a byte from time to time.
    while began.elapsed() < Duration::from_secs(3) && streams[2].write_all(b"x").is_ok() {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "it may go on for ever"
    );
    for stream in &mut streams {
        assert!(is_closed(stream));
    }
    assert_eq!(proxy.metric("ctc_proxy_expired_total "), 4);
    // A connection that is in use is not idle, however old it is.
    let mut stream = proxy.connect();
    let call = format!(
        "GET {DEVICES}/1001 HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n",
        proxy.port()
    );
    for _ in 0..8 {
        stream.write_all(call.as_bytes()).unwrap();
        let mut head = [0; 15];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        thread::sleep(Duration::from_millis(200));
        let mut rest = [0; 64 * 1024];
        let _ = stream.read(&mut rest).unwrap();
    }
}

fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}
