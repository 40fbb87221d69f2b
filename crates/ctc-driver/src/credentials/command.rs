//! A password from a program, such as a vault's client.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ctc_core::Credentials;
use zeroize::Zeroizing;

use super::{NoLine, read_line};
use crate::ports::credentials::THREAD;
use crate::ports::{CredentialsError, CredentialsSource};

/// The default time limit of a command.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often to check a command that has closed its output.
const POLL: Duration = Duration::from_millis(5);

/// A program as a [`CredentialsSource`], run at each login. It prints the password to its standard
/// output as UTF-8, with or without a final line break, and exits with status 0.
///
/// It runs without a shell, with this process's environment and no standard input, for at most 10 s
/// ([`timeout`](Self::timeout)); then it is killed, but not the programs that it has started. Its
/// standard error is discarded, because it may contain secrets, and no error repeats its output or
/// its arguments: run it by hand to see why it fails.
///
/// A program that does not exist or may not be run is [`Unusable`](CredentialsError::Unusable); a
/// program that fails, prints too much or takes too long is
/// [`Unavailable`](CredentialsError::Unavailable).
///
/// ```
/// use ctc_driver::{CredentialsCommand, SessionConfig};
///
/// let source = CredentialsCommand::new("ada@example.com", "vault")
///     .args(["kv", "get", "-field=password", "secret/ctc"]);
/// let config = SessionConfig::new().credentials_source(source);
/// ```
#[derive(Clone)]
pub struct CredentialsCommand {
    username: String,
    program: OsString,
    args: Vec<OsString>,
    timeout: Duration,
}

impl CredentialsCommand {
    /// Runs the program that prints this user's password: a path, or a name in `PATH`.
    pub fn new(username: impl Into<String>, program: impl Into<OsString>) -> Self {
        Self {
            username: username.into(),
            program: program.into(),
            args: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the time limit of the program. Default 10 s. Keep it below
    /// [`login_timeout`](ctc_core::Settings::login_timeout), which limits the source as a whole.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn password(&self) -> Result<Zeroizing<String>, Why> {
        let deadline = Instant::now().checked_add(self.timeout);
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut running = Running(command.spawn().map_err(Why::Start)?);
        let late = || Why::TimedOut(self.timeout);
        let output = running.0.stdout.take().ok_or_else(late)?;
        // It may hang with its output open: that must not keep this thread.
        let (sender, line) = mpsc::channel();
        let reader = thread::Builder::new().name(THREAD.to_owned());
        let read = move || sender.send(read_line(output));
        reader.spawn(read).map_err(Why::Start)?;
        let line = line.recv_timeout(self.timeout).map_err(|_| late())?;
        let line = line.map_err(Why::Output)?;
        let status = running.ends_by(deadline)?.ok_or_else(late)?;
        if status.success() {
            Ok(line)
        } else {
            Err(Why::Status(status))
        }
    }
}

/// A program that is killed on drop.
struct Running(Child);

impl Running {
    /// Waits for its end, which usually follows that of its output immediately.
    fn ends_by(&mut self, deadline: Option<Instant>) -> Result<Option<ExitStatus>, Why> {
        loop {
            if let Some(status) = self.0.try_wait().map_err(Why::Start)? {
                return Ok(Some(status));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

impl CredentialsSource for CredentialsCommand {
    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let password = self.password().map_err(|why| {
            let is_unusable = matches!(&why, Why::Start(error) if cannot_be_run(error));
            let program = Path::new(&self.program)
                .file_name()
                .unwrap_or(&self.program);
            let error = CommandError {
                program: program.to_owned(),
                why,
            };
            match is_unusable {
                true => CredentialsError::unusable(error),
                false => CredentialsError::unavailable(error),
            }
        });
        let password = std::mem::take(&mut *password?);
        Ok(Credentials::new(self.username.clone(), password)?)
    }
}

fn cannot_be_run(error: &io::Error) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | PermissionDenied)
}

impl fmt::Debug for CredentialsCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("CredentialsCommand");
        f.field("program", &self.program)
            .field("timeout", &self.timeout);
        f.finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the command {} returned no usable password", display(program))]
struct CommandError {
    program: OsString,
    #[source]
    why: Why,
}

fn display(name: &OsStr) -> impl fmt::Display {
    name.display()
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("it could not be started")]
    Start(#[source] io::Error),
    #[error("it did not finish within {} s and was killed", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("it failed ({0}): run it by hand to see why")]
    Status(ExitStatus),
    #[error("its output cannot be used")]
    Output(#[source] NoLine),
}
