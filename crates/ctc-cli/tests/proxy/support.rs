//! The real `ctc proxy` between a CTC server and the tests' own sockets.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use tempfile::TempDir;

pub(crate) const DEVICES: &str = "/connect/services/devices";
pub(crate) const ECHO: &str = "/connect/test/echo";
/// Time limit for everything in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and a folder for the session and other files of a test.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let server = Server::builder().tls(true).start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("trusted.pem"),
            server.certificate_pem().unwrap(),
        )
        .unwrap();
        Self { server, folder }
    }

    /// `ctc proxy` with its defaults and an account of this server.
    pub(crate) fn command(&self, password: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctc"));
        command
            .env_clear()
            .env("CTC_BASE_URL", self.server.url())
            .env("CTC_USERNAME", DEFAULT_USERNAME)
            .env("CTC_PASSWORD", password)
            .env("CTC_APP_KEY", DEFAULT_APP_KEY)
            .env("SSL_CERT_FILE", self.folder.path().join("trusted.pem"))
            .env("CTC_STORE", store_in(self.folder.path()))
            .env("HOME", self.folder.path())
            .arg("proxy");
        command
    }

    pub(crate) fn proxy(&self, args: &[&str]) -> Proxy {
        let mut command = self.command(DEFAULT_PASSWORD);
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        Proxy::start(command)
    }

    /// A path in this scene's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

fn store_in(folder: &Path) -> String {
    format!("file:{}", folder.join("sessions").display())
}

/// A running proxy, killed when it is dropped.
pub(crate) struct Proxy {
    pub(crate) child: Child,
    /// The URL that it printed on standard output.
    pub(crate) url: String,
    told: Arc<Mutex<String>>,
}

impl Proxy {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let told = Arc::new(Mutex::new(String::new()));
        listen_to(child.stderr.take().unwrap(), Arc::clone(&told));
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut url).unwrap();
        let proxy = Self {
            child,
            url: url.trim().to_owned(),
            told,
        };
        assert!(!proxy.url.is_empty(), "it did not start: {}", proxy.told());
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Returns what it has printed on standard error.
    pub(crate) fn told(&self) -> String {
        self.told.lock().unwrap().clone()
    }

    /// Returns its health port.
    pub(crate) fn health_port(&self) -> u16 {
        self.wait_for("health on ");
        let told = self.told();
        let line = told
            .lines()
            .find(|line| line.contains("health on "))
            .unwrap();
        line.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub(crate) fn wait_for(&self, text: &str) {
        eventually(text, || self.told().contains(text));
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends these bytes on a new connection, and reads until the proxy closes it.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        // The proxy may have rejected them before it read them all.
        let _ = stream.write_all(bytes.as_ref());
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Makes one call on a new connection.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        Reply::read(&self.raw(request(self.port(), method, path, headers, body)))
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], b"")
    }

    /// Waits until the session is open. On a busy machine a login may take longer than a proxy with
    /// a short timeout lets calls wait, but it continues.
    pub(crate) fn open(&self) {
        eventually("the session is open", || self.get(DEVICES).status == 200);
    }

    /// Returns one value of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let stream = TcpStream::connect(("127.0.0.1", self.health_port())).unwrap();
        let text = exchange(stream, &request(1, "GET", "/metrics", &[], b""));
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.trim().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end: {}",
                self.told()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns its resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen_to(stderr: ChildStderr, told: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut told = told.lock().unwrap();
            told.push_str(&line);
            told.push('\n');
        }
    });
}

/// Waits until a condition holds.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it did not happen: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Formats a request after which the connection is closed.
pub(crate) fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if headers
        .iter()
        .all(|(name, _)| !name.eq_ignore_ascii_case("host"))
    {
        text += &format!("host: 127.0.0.1:{port}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("content-length: {}\r\n", body.len());
    }
    let mut bytes = (text + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Sends a request, and reads until the connection is closed.
pub(crate) fn exchange(mut stream: impl Read + Write, request: &[u8]) -> String {
    stream.write_all(request).unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// A parsed response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn read(text: &str) -> Self {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no response: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        let mut reply = Self {
            status: status.parse().unwrap(),
            headers: headers.collect(),
            body: body.to_owned(),
        };
        if reply.header("transfer-encoding") == ["chunked"] {
            reply.body = unchunked(body);
        }
        reply
    }

    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let values = self.headers.iter().filter(|(known, _)| known == name);
        values.map(|(_, value)| value.as_str()).collect()
    }

    /// Returns why the proxy itself responded.
    pub(crate) fn error(&self) -> &str {
        self.header("ctc-error")
            .first()
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole += &rest[..size];
        body = rest[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    whole
}

/// Runs a program to its end, and returns what it printed; `None` if it is not installed.
pub(crate) fn output<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Option<(bool, String, String)> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    ))
}

/// Reports to `cargo xtask test` that a test was skipped, and why. Written past the test harness,
/// which captures what tests print.
pub(crate) fn left_out(what: &str, why: &str) {
    let line = format!("LEFT OUT: {what}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
