//! A server, a home folder, and the command.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use serde_json::Value;
use tempfile::TempDir;

/// A path that the server knows.
pub(crate) const DEVICES: &str = "/connect/services/devices?pg=1";

/// A machine with one user and a CTC server.
pub(crate) struct Machine {
    pub(crate) server: Server,
    pub(crate) home: TempDir,
}

/// The result of a run of the command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with(Server::start().unwrap())
    }

    pub(crate) fn with(server: Server) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { server, home }
    }

    /// The command with only what it needs in its environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare(args);
        command
            .env("CTC_BASE_URL", self.server.url())
            .env("CTC_USERNAME", DEFAULT_USERNAME)
            .env("CTC_PASSWORD", DEFAULT_PASSWORD)
            .env("CTC_APP_KEY", DEFAULT_APP_KEY);
        command
    }

    /// The command without an account.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctc"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    /// Runs the command with and without `--json`, and checks that the exit codes are equal.
    /// Returns the run with it.
    pub(crate) fn run_in_both_forms(&self, args: &[&str]) -> (Ran, Value) {
        let text = self.run(args);
        let json = self.run(&[args, &["--json"]].concat());
        assert_eq!(text.code, json.code, "{args:?}: {text:?} {json:?}");
        let value = json.json();
        (text, value)
    }

    pub(crate) fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        set_mode(&path, mode);
        path
    }

    pub(crate) fn profile(&self, text: &str) {
        self.file(".config/ctc/config.toml", text, 0o600);
    }

    /// The files of the default store.
    pub(crate) fn records(&self) -> Vec<PathBuf> {
        let folder = self.home.path().join(".local/state/ctc");
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let is_record = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
        paths.filter(is_record).collect()
    }
}

#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_: &Path, _: u32) {}

/// Runs a command to its end, and checks that no secret is on its standard error.
pub(crate) fn run(command: &mut Command) -> Ran {
    Ran::of(command.output().unwrap())
}

pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Ran {
    let command = command.stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    Ran::of(child.wait_with_output().unwrap())
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        for secret in [DEFAULT_PASSWORD, DEFAULT_APP_KEY, "authToken="] {
            assert!(!err.contains(secret), "a secret on standard error: {err}");
        }
        Self {
            code: output.status.code().unwrap_or(-1),
            out,
            err,
        }
    }

    /// Parses the one JSON object that it printed.
    pub(crate) fn json(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"));
        assert_eq!(value["version"], 1, "{self:?}");
        value
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}
