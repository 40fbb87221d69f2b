//! Where the proxy listens, and its local token.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use ctc_testkit::DEFAULT_PASSWORD;

use crate::support::{DEVICES, ECHO, PATIENCE, Proxy, Reply, Scene, exchange, left_out, output};

fn on_socket(scene: &Scene, path: &str) -> Command {
    let mut command = scene.command(DEFAULT_PASSWORD);
    command.args(["--socket", path]);
    command
}

/// Returns what the proxy prints when it does not start.
fn refusal(mut command: Command) -> String {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut url = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut url).unwrap();
    if !url.is_empty() {
        child.kill().unwrap();
        panic!("it started, on {url}");
    }
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

fn call(path: &str, host: &str) -> Reply {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {DEVICES} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    Reply::read(&exchange(stream, request.as_bytes()))
}

#[test]
fn only_loopback_addresses_are_accepted() {
    let scene = Scene::new();
    for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0", "[::ffff:10.0.0.1]:0"] {
        let mut command = scene.command(DEFAULT_PASSWORD);
        command.args(["--listen", address]);
        let told = refusal(command);
        assert!(told.contains("loopback"), "{told}");
    }
}

#[test]
fn a_socket_is_private_and_removed_with_the_proxy() {
    let scene = Scene::new();
    let path = scene.path("ctc.sock");
    let mut proxy = Proxy::start(on_socket(&scene, &path));
    assert_eq!(proxy.url, format!("unix:{path}"));
    let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(call(&path, "localhost").status, 200);
    assert_eq!(call(&path, "evil.example").error(), "foreign_host");
    // Nothing else is left in the folder.
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
fn an_abandoned_socket_is_replaced_and_nothing_else_is() {
    let scene = Scene::new();
    let path = scene.path("ctc.sock");
    drop(UnixListener::bind(&path).unwrap());
    let mut proxy = Proxy::start(on_socket(&scene, &path));
    assert_eq!(call(&path, "localhost").status, 200);
    // A socket that another process created at that path is not removed.
    fs::remove_file(&path).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    proxy.signal("TERM");
    assert!(proxy.ended().success());
    assert!(fs::exists(&path).unwrap());

    let file = scene.path("precious");
    fs::write(&file, "precious").unwrap();
    let told = refusal(on_socket(&scene, &file));
    assert!(told.contains("the path is not a socket"), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn a_local_token_is_required_and_not_forwarded() {
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
    // Its successor requires the same token.
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

/// `ctc get` through the proxy needs neither account nor password.
#[test]
fn the_command_calls_through_the_proxy() {
    let scene = Scene::new();
    let (path, token) = (scene.path("ctc.sock"), scene.path("token"));
    let mut command = on_socket(&scene, &path);
    command.args(["--token-file", &token]);
    let socket = Proxy::start(command);
    let tcp = scene.proxy(&[]);
    for via in [
        vec!["--via", &socket.url, "--via-token-file", &token],
        vec!["--via", &tcp.url],
    ] {
        let mut get = Command::new(env!("CARGO_BIN_EXE_ctc"));
        get.env_clear().env("HOME", scene.folder.path());
        let output = get.args(["get", DEVICES]).args(via).output().unwrap();
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{wrong}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("totalCount"),
            "{wrong}"
        );
    }
    assert_eq!(
        scene.server.counts().logins,
        1,
        "both share the session of the store"
    );
}

#[test]
fn programs_can_read_the_urls() {
    let scene = Scene::new();
    let proxy = scene.proxy(&["--json", "--health", "127.0.0.1:0"]);
    let json: serde_json::Value = serde_json::from_str(&proxy.url).unwrap();
    assert_eq!(
        (&json["version"], json["endpoint"].as_str()),
        (&1.into(), Some(scene.server.url().as_str()))
    );
    for url in ["url", "health"] {
        assert!(
            json[url].as_str().unwrap().starts_with("http://127.0.0.1:"),
            "{json}"
        );
    }
}

/// Runs the commands that `--demo` prints.
#[cfg(feature = "demo")]
#[test]
fn the_demo_prints_lines_that_work() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctc"));
    command
        .env_clear()
        .args(["proxy", "--demo", "--listen", "127.0.0.1:0"]);
    let proxy = Proxy::start(command);
    proxy.wait_for("/_ctc/revoke");
    let told = proxy.told();
    let lines: Vec<_> = told
        .lines()
        .filter(|line| line.contains(" curl "))
        .collect();
    assert_eq!(lines.len(), 3, "{told}");
    if output("curl", &["--version"]).is_none() {
        return left_out("the demo", "curl is not installed: `apt-get install curl`");
    }
    let run = |line: &str| output("sh", &["-c", line]).unwrap();
    let [devices, counts, revoke] = lines[..] else {
        unreachable!()
    };
    assert!(run(devices).1.contains("Truck 1"));
    assert!(run(counts).1.contains("\"logins\":1"));
    assert!(run(revoke).1.contains("\"ended\":1"));
    assert!(run(devices).1.contains("Truck 1"));
    assert!(run(counts).1.contains("\"logins\":2"));
}

/// A proxy whose endpoint is the proxy would call itself without end.
#[test]
fn a_proxy_to_itself_does_not_start() {
    let scene = Scene::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut command = scene.command(DEFAULT_PASSWORD);
    command.env("CTC_BASE_URL", format!("http://{address}"));
    command.args(["--listen", &address]);
    let told = refusal(command);
    assert!(told.contains("this proxy itself"), "{told}");
}
