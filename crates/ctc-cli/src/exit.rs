//! How the command ends: its exit codes, and what it says when something failed.

use std::error::Error as StdError;
use std::process::ExitCode;
use std::time::Duration;

use ctc_driver::ctc_core::{Denial, LoginFailure, Unauthorized};
use ctc_driver::{ConfigError, Denied, StoreError};
use serde_json::{Value, json};

/// What an exit code means. It is the same with and without `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Any failure without a code of its own.
    Error = 1,
    /// The command line, the profile or the environment is wrong or incomplete.
    Usage = 2,
    /// No login may be made now: the same command can succeed later.
    TryLater = 3,
    /// The server rejected the credentials. Nothing is sent until they change or are reset.
    Rejected = 4,
    /// There is no session, and none is made.
    LoggedOut = 5,
    /// The server, or the proxy, cannot be reached (`EX_UNAVAILABLE` of `sysexits.h`).
    Unreachable = 69,
}

impl Exit {
    /// Its name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error => "error",
            Self::Usage => "usage",
            Self::TryLater => "try_later",
            Self::Rejected => "rejected",
            Self::LoggedOut => "logged_out",
            Self::Unreachable => "unreachable",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed. Its text holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// After how long the same command can succeed; `None` if waiting does not help.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The failure of one step, with its causes.
    pub(crate) fn of(exit: Exit, error: &(dyn StdError + 'static)) -> Self {
        Self::new(exit, chain(error))
    }

    /// The member `error` of a result in JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "exit": self.exit as u8,
            "kind": self.exit.name(),
            "message": self.message,
            "retry_after_seconds": self.retry_after.map(|after| after.as_secs_f64().ceil() as u64),
        })
    }

    /// A call that the session denied. `tried` says whether this process sent a login.
    pub(crate) fn denied(denied: &Denied, tried: bool) -> Self {
        Self {
            exit: exit_of(denied.denial(), tried),
            message: chain(denied),
            retry_after: denied.retry_after(),
        }
    }

    /// A 401 that the session could not recover from.
    pub(crate) fn unauthorized(why: &Unauthorized, tried: bool) -> Self {
        let exit = match why {
            Unauthorized::NoLogin { denial, .. } => exit_of(denial, tried),
            Unauthorized::Closed => Exit::LoggedOut,
            _ => Exit::Error,
        };
        Self::new(exit, chain(why))
    }
}

/// The server is `Unreachable` only if this process found that out itself. After a backoff from the
/// store, whatever its cause, the caller can try later.
fn exit_of(denial: &Denial, tried: bool) -> Exit {
    match denial {
        Denial::Rejected { .. } => Exit::Rejected,
        Denial::Closed => Exit::LoggedOut,
        Denial::BackingOff { cause, .. } => match cause {
            LoginFailure::NotSent | LoginFailure::MaybeSent if tried => Exit::Unreachable,
            _ => Exit::TryLater,
        },
        Denial::BudgetSpent { .. } => Exit::TryLater,
        Denial::CredentialsUnusable => Exit::Usage,
        _ => Exit::Error,
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::of(Exit::Usage, &error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Busy => Exit::TryLater,
            _ => Exit::Error,
        };
        Self::of(exit, &error)
    }
}

/// An error and its causes in one line. A cause that the text already quotes is not repeated.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let link = error.to_string();
        if !text.contains(&link) {
            text.push_str(": ");
            text.push_str(&link);
        }
        cause = error.source();
    }
    text
}
