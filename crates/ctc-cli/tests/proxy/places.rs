//! Where the proxy listens, and the token of its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use ctc_testkit::DEFAULT_PASSWORD;

use crate::support::{DEVICES, ECHO, PATIENCE, Proxy, Reply, Scene, exchange};

fn on_socket(scene: &Scene, path: &str) -> Command {
    let mut command = scene.command(DEFAULT_PASSWORD);
    command.args(["--socket", path]);
    command
}

/// What the program says when it does not start.
fn refusal(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success());
    assert_eq!(output.stdout, b"");
    String::from_utf8(output.stderr).unwrap()
}

fn call(path: &str, host: &str) -> Reply {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {DEVICES} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    Reply::read(&exchange(stream, request.as_bytes()))
}

#[test]
fn only_loopback_is_listened_on() {
    let scene = Scene::new();
    for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0", "[::ffff:10.0.0.1]:0"] {
        let mut command = scene.command(DEFAULT_PASSWORD);
        command.args(["--listen", address]);
        let told = refusal(command);
        assert!(told.contains("loopback"), "{told}");
    }
}

#[test]
fn a_socket_is_its_owners_alone_and_goes_with_the_proxy() {
    let scene = Scene::new();
    let path = scene.path("ctc.sock");
    let mut proxy = Proxy::start(on_socket(&scene, &path));
    assert_eq!(proxy.url, format!("unix:{path}"));
    let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(call(&path, "localhost").status, 200);
    assert_eq!(call(&path, "evil.example").error(), "foreign_host");
    // Nothing else is left beside it.
    let names: Vec<_> = fs::read_dir(scene.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("sock"))
        .collect();
    assert_eq!(names, ["ctc.sock"]);
    let told = refusal(on_socket(&scene, &path));
    assert!(told.contains("in use"), "{told}");
    assert_eq!(
        call(&path, "localhost").status,
        200,
        "the first one still has it"
    );
    proxy.signal("TERM");
    assert!(proxy.ended().success());
    assert!(!fs::exists(&path).unwrap());
}

#[test]
fn an_abandoned_socket_is_taken_over_and_nothing_else_is() {
    let scene = Scene::new();
    let path = scene.path("ctc.sock");
    drop(UnixListener::bind(&path).unwrap());
    let mut proxy = Proxy::start(on_socket(&scene, &path));
    assert_eq!(call(&path, "localhost").status, 200);
    // Another process's socket under that name is not removed.
    fs::remove_file(&path).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    proxy.signal("TERM");
    assert!(proxy.ended().success());
    assert!(fs::exists(&path).unwrap());

    let file = scene.path("precious");
    fs::write(&file, "precious").unwrap();
    let told = refusal(on_socket(&scene, &file));
    assert!(told.contains("something other than a socket"), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn a_local_token_is_asked_for_and_not_sent_on() {
    let scene = Scene::new();
    let path = scene.path("token");
    let proxy = scene.proxy(&["--token-file", &path]);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let token = fs::read_to_string(&path).unwrap();
    let token = token.trim();
    for headers in [
        vec![],
        vec![("ctc-proxy-token", "wrong")],
        vec![("authorization", token)],
    ] {
        let reply = proxy.call("GET", ECHO, &headers, b"");
        assert_eq!(
            (reply.status, reply.error()),
            (403, "local_token"),
            "{reply:?}"
        );
        assert!(!reply.body.contains(token), "{reply:?}");
    }
    assert_eq!(scene.server.counts().login_requests, 0);
    let reply = proxy.call("GET", ECHO, &[("ctc-proxy-token", token)], b"");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(!reply.body.contains(token), "{}", reply.body);
    // Its successor asks for the same one: callers need not know.
    drop(proxy);
    let proxy = scene.proxy(&["--token-file", &path]);
    assert_eq!(
        proxy
            .call("GET", ECHO, &[("ctc-proxy-token", token)], b"")
            .status,
        200
    );
    assert!(!proxy.told().contains(token), "{}", proxy.told());
    drop(proxy);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let mut command = scene.command(DEFAULT_PASSWORD);
    command.args(["--listen", "127.0.0.1:0", "--token-file", &path]);
    let told = refusal(command);
    assert!(told.contains("chmod 600"), "{told}");
}
