//! The end of a proxy, orderly or not, and its successor.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use ctc_testkit::{DEFAULT_PASSWORD, Fault, Matcher, Rule, When};

use crate::support::{DEVICES, PATIENCE, Proxy, Reply, Scene, eventually, exchange, request};

fn hold(scene: &Scene, on: Matcher) {
    let fault = Fault::Hold { when: When::Before };
    scene.server.inject(Rule::once(on, fault));
}

fn held(scene: &Scene) {
    scene
        .server
        .wait_until(|counts| counts.held == 1, PATIENCE)
        .unwrap();
}

/// Makes one call on a new connection; `None` if the proxy is not running, or ended meanwhile.
fn attempt(port: u16) -> Option<Reply> {
    use std::io::{Read, Write};

    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream
        .write_all(&request(port, "GET", DEVICES, &[], b""))
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.contains("\r\n\r\n").then(|| Reply::read(&text))
}

/// Kills the proxy (SIGKILL) during a login that 200 callers wait for: its successor on the same
/// port serves all of them, with at most one further login.
#[test]
fn a_killed_proxys_callers_are_served_by_its_successor() {
    const CALLERS: usize = 200;
    let scene = Scene::new();
    let mut first = scene.proxy(&[]);
    let port = first.port();
    hold(&scene, Matcher::Login);
    let served = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let served = Arc::clone(&served);
            thread::spawn(move || {
                let began = Instant::now();
                while began.elapsed() < PATIENCE {
                    match attempt(port) {
                        Some(reply) if reply.status == 200 => {
                            served.fetch_add(1, SeqCst);
                            return;
                        }
                        Some(reply) => panic!("{reply:?}"),
                        None => thread::sleep(Duration::from_millis(20)),
                    }
                }
            })
        })
        .collect();
    held(&scene);
    eventually("many callers wait", || descriptors(&first) >= CALLERS / 2);
    first.signal("KILL");
    first.ended();
    scene.server.release();
    let mut command = scene.command(DEFAULT_PASSWORD);
    command.args(["--listen", &format!("127.0.0.1:{port}")]);
    let _second = Proxy::start(command);
    for caller in callers {
        caller.join().unwrap();
    }
    assert_eq!(served.load(SeqCst), CALLERS);
    let logins = scene.server.counts().login_requests;
    assert!((1..=2).contains(&logins), "{logins} logins");
}

/// Returns how many files and sockets the proxy has open.
fn descriptors(proxy: &Proxy) -> usize {
    let folder = format!("/proc/{}/fd", proxy.child.id());
    std::fs::read_dir(folder).map_or(usize::MAX, Iterator::count)
}

#[test]
fn draining_finishes_calls_and_accepts_no_others() {
    let scene = Scene::new();
    let mut proxy = scene.proxy(&[]);
    assert_eq!(proxy.get(DEVICES).status, 200);
    // An idle connection is closed immediately.
    let idle = proxy.connect();
    hold(&scene, Matcher::AnyCall);
    let port = proxy.port();
    let call = thread::spawn(move || attempt(port));
    held(&scene);
    proxy.signal("TERM");
    proxy.wait_for("draining");
    eventually("no connection is accepted", || {
        TcpStream::connect(("127.0.0.1", port)).is_err()
    });
    assert_eq!(exchange_nothing(idle), "");
    assert!(
        proxy.child.try_wait().unwrap().is_none(),
        "a call is under way"
    );
    scene.server.release();
    let reply = call.join().unwrap().unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(proxy.ended().success());
}

fn exchange_nothing(stream: TcpStream) -> String {
    exchange(stream, b"")
}

#[test]
fn draining_ends_in_time() {
    let scene = Scene::new();
    let mut proxy = scene.proxy(&["--drain", "0.5"]);
    assert_eq!(proxy.get(DEVICES).status, 200);
    hold(&scene, Matcher::AnyCall);
    let port = proxy.port();
    let call = thread::spawn(move || attempt(port));
    held(&scene);
    let began = Instant::now();
    proxy.signal("TERM");
    assert!(proxy.ended().success());
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(call.join().unwrap().is_none(), "it was cut");
    proxy.wait_for("are cut");
}

#[test]
fn a_second_signal_ends_draining_immediately() {
    let scene = Scene::new();
    let mut proxy = scene.proxy(&["--drain", "3600"]);
    assert_eq!(proxy.get(DEVICES).status, 200);
    hold(&scene, Matcher::AnyCall);
    let port = proxy.port();
    let call = thread::spawn(move || attempt(port));
    held(&scene);
    proxy.signal("INT");
    proxy.wait_for("draining");
    proxy.signal("INT");
    assert!(proxy.ended().success());
    assert!(call.join().unwrap().is_none());
}

/// A login that is in progress when the proxy ends is saved, even if its caller has left.
#[test]
fn a_login_in_progress_is_saved_to_the_store() {
    let scene = Scene::new();
    let mut proxy = scene.proxy(&[]);
    hold(&scene, Matcher::Login);
    let mut stream = proxy.connect();
    std::io::Write::write_all(
        &mut stream,
        &request(proxy.port(), "GET", DEVICES, &[], b""),
    )
    .unwrap();
    held(&scene);
    drop(stream);
    proxy.signal("TERM");
    proxy.wait_for("draining");
    scene.server.release();
    assert!(proxy.ended().success());
    let second = scene.proxy(&[]);
    assert_eq!(second.get(DEVICES).status, 200);
    assert_eq!(scene.server.counts().login_requests, 1);
}
