//! Many processes that share one session through a store: the worker in each of them, and the
//! handle to it.
//!
//! A worker is another process of this program, started with [`WORKER`] in its environment. It
//! reads commands from standard input and responds to each with one line of JSON.

mod process;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use process::{Worker, signal};
pub use worker::work_if_asked;

/// The environment variable that makes a program a worker; its value is a [`Job`].
pub const WORKER: &str = "CTC_FLEET_WORKER";

/// The settings of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The server's URL.
    pub url: String,
    /// The token endpoint of the OAuth login; without it, the cookie login is made.
    pub token_url: Option<String>,
    /// The application key.
    pub app_key: String,
    /// The username.
    pub username: String,
    /// The password.
    pub password: String,
    /// Where the session is saved.
    pub place: Place,
    /// Which client it uses.
    pub adapter: Adapter,
    /// The time limit of a login.
    pub login_timeout: Duration,
    /// The length of the lease.
    pub lease: Duration,
    /// See `FairUse::short_token_lifetime`.
    pub short_token_lifetime: Duration,
}

/// Where a session is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// In a file in this folder.
    File(PathBuf),
    /// In the Redis at this URL, under this prefix.
    Redis(String, String),
}

/// Which of the two clients a worker uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Adapter {
    /// `ctc-ureq`: threads.
    Blocking,
    /// `ctc-reqwest`: tasks.
    Async,
}

/// The commands of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Makes this many calls at once.
    Call(usize),
    /// Logs out.
    LogOut,
    /// Closes the session without logging out and opens it again: like a restart of the program,
    /// but faster.
    Reset,
}

/// The result of one command, and the session's counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Calls that got a 200.
    pub answered: usize,
    /// All other calls, by status or error.
    pub others: BTreeMap<String, usize>,
    /// How long the command took.
    pub took: Duration,
    /// Logins sent.
    pub logins: u64,
    /// Sessions adopted from the store.
    pub adopted: u64,
    /// Store operations that failed.
    pub store_failures: u64,
}

/// The results of many workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Calls that got a 200.
    pub answered: usize,
    /// All other calls, by status or error.
    pub others: BTreeMap<String, usize>,
    /// The longest time of a worker.
    pub took: Duration,
}

impl Sum {
    /// Returns the number of calls with another result than 200.
    pub fn refused(&self) -> usize {
        self.others.values().sum()
    }
}

impl FromIterator<Report> for Sum {
    fn from_iter<I: IntoIterator<Item = Report>>(reports: I) -> Self {
        reports
            .into_iter()
            .fold(Self::default(), |mut sum, report| {
                sum.answered += report.answered;
                sum.took = sum.took.max(report.took);
                for (what, count) in report.others {
                    *sum.others.entry(what).or_default() += count;
                }
                sum
            })
    }
}

/// Gives all workers one command at once, and waits for all their responses.
///
/// # Errors
/// Returns an error if one of them does not respond.
pub fn all(workers: &mut [Worker], command: Command) -> Result<Sum, String> {
    workers
        .iter_mut()
        .try_for_each(|worker| worker.tell(command))?;
    workers.iter_mut().map(Worker::report).collect()
}
