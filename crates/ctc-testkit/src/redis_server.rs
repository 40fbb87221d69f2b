//! A private `redis-server` process on a free port of loopback, for tests.

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running `redis-server`, killed when this is dropped. It writes each change to a private folder
/// on disk, so that [`restart`](Self::restart) after [`kill`](Self::kill) finds its data again.
pub struct RedisServer {
    port: u16,
    folder: TempDir,
    options: Vec<String>,
    child: Option<Child>,
}

/// Why no `redis-server` is running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoRedis {
    /// The program is not installed.
    #[error(
        "redis-server is not installed: `apt-get install redis-server` (Debian), \
         `brew install redis` (macOS)"
    )]
    NotInstalled,
    /// It was started but did not respond.
    #[error("redis-server does not respond")]
    NoAnswer,
    /// An operation of the operating system failed.
    #[error("redis-server cannot be started")]
    Io(#[from] std::io::Error),
}

impl RedisServer {
    /// Starts a server, and waits until it responds.
    ///
    /// # Errors
    /// Returns [`NoRedis`] if `redis-server` is not installed or does not start.
    pub fn start() -> Result<Self, NoRedis> {
        Self::start_with(&[])
    }

    /// Starts a server with further options, such as `["--maxmemory", "1mb"]`.
    ///
    /// # Errors
    /// Returns [`NoRedis`] if `redis-server` is not installed or does not start.
    pub fn start_with(options: &[&str]) -> Result<Self, NoRedis> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut server = Self {
            port,
            folder: TempDir::new()?,
            options,
            child: None,
        };
        server.restart()?;
        Ok(server)
    }

    /// Starts a server for a test. Returns `None` if `redis-server` is not installed, and reports
    /// on standard error that the test was skipped.
    ///
    /// # Panics
    /// Panics if Redis is installed but does not start, or if it is missing in continuous
    /// integration (`CI=true`).
    #[expect(clippy::panic, reason = "for tests alone")]
    pub fn for_test(what: &str) -> Option<Self> {
        match Self::start() {
            Ok(server) => Some(server),
            Err(NoRedis::NotInstalled) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                panic!("{what}: {}", NoRedis::NotInstalled)
            }
            Err(NoRedis::NotInstalled) => {
                // Not with `eprintln!`: the test harness captures that when a test passes.
                // In one piece, because tests run in parallel.
                let line = format!("LEFT OUT: {what}: {}\n", NoRedis::NotInstalled);
                let _ = std::io::stderr().write_all(line.as_bytes());
                None
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }

    /// Returns its URL, `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills it (SIGKILL) and waits until it has ended.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, on the same port and with the same data.
    ///
    /// # Errors
    /// Returns [`NoRedis`] if `redis-server` is not installed or does not start.
    pub fn restart(&mut self) -> Result<(), NoRedis> {
        self.kill();
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &self.port.to_string(),
            "--save",
            "",
        ]);
        command.args([
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--daemonize",
            "no",
        ]);
        command
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.options);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => NoRedis::NotInstalled,
            _ => NoRedis::Io(error),
        })?;
        self.child = Some(child);
        let give_up = Instant::now() + Duration::from_secs(10);
        while self
            .command("PING")
            .is_none_or(|response| response.contains("LOADING"))
        {
            if Instant::now() > give_up {
                return Err(NoRedis::NoAnswer);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Sends one command, given as words, and returns the unparsed response, or `None` if there is
    /// none.
    pub fn command(&self, words: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream
            .write_all(format!("{words}\r\nQUIT\r\n").as_bytes())
            .ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        (!response.is_empty()).then_some(response)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisServer")
            .field("port", &self.port)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}
