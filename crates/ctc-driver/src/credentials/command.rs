//! A password from a program, such as a vault's client.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ctc_core::Credentials;
use futures_util::future::{Either, select};
use zeroize::Zeroizing;

use super::{NoLine, read_line};
use crate::ports::credentials::THREAD;
use crate::ports::{CredentialsError, CredentialsSource};
use crate::threads::{block_on, on_thread};
use crate::timer::{Sleep, end_of};

/// How long a command may take unless it is told otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often a command that has closed its output is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A program as a [`CredentialsSource`], run at each login: it writes the password to its standard
/// output, as UTF-8, with or without a line end after it, and ends with status 0.
///
/// No shell is involved. The program has this process's environment, no standard input, and 10 s
/// ([`timeout`](Self::timeout)); then it is killed, though what it has started itself is not. What
/// it writes to standard error is dropped, since it may have secrets in it, and no error repeats
/// its output or its arguments: run it by hand to see what is wrong.
///
/// A program that is not there or may not be run is [`Unusable`](CredentialsError::Unusable); one
/// that fails, writes too much or takes too long is [`Unavailable`](CredentialsError::Unavailable).
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
    /// The program that writes this user's password: a path, or a name to be looked for in `PATH`.
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

    /// How long the program may take. Default 10 s. Keep it below
    /// [`login_timeout`](ctc_core::Settings::login_timeout), which bounds the source as a whole.
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
        let output = running.0.stdout.take().ok_or(Why::TimedOut(self.timeout))?;
        // It may hang with its output open: that must not keep this thread.
        let reading = on_thread(THREAD, move || read_line(output)).map_err(Why::Start)?;
        let late = Sleep::until(end_of(self.timeout));
        let Either::Left((ended, _)) = block_on(select(Box::pin(reading), late)) else {
            return Err(Why::TimedOut(self.timeout));
        };
        let line = match ended {
            Ok(line) => line.map_err(Why::Output)?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let status = running
            .ends_by(deadline)?
            .ok_or(Why::TimedOut(self.timeout))?;
        if status.success() {
            Ok(line)
        } else {
            Err(Why::Status(status))
        }
    }
}

/// A program that is killed if it is not waited for.
struct Running(Child);

impl Running {
    /// Waits for its end, which comes right after that of its output as a rule.
    fn ends_by(&mut self, deadline: Option<Instant>) -> Result<Option<ExitStatus>, Why> {
        loop {
            if let Some(status) = self.0.try_wait().map_err(Why::Start)? {
                return Ok(Some(status));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            sleep(POLL);
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
#[error("the command {} gave no password", display(program))]
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
    #[error("it could not be run")]
    Start(#[source] io::Error),
    #[error("it did not end within {} s, and was killed", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("it ended with {0}: run it by hand to see why")]
    Status(ExitStatus),
    #[error("its output is of no use")]
    Output(#[source] NoLine),
}
