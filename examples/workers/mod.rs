//! Many processes that share one session by a store: the worker that each of them is, and the
//! handle to it.
//!
//! A worker is this very program, started once more with [`WORKER`] in its environment. It reads
//! commands from standard input and answers each with one line of JSON.

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

/// What a worker is to be.
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
    /// Where the session is kept.
    pub place: Place,
    /// Which client it uses.
    pub adapter: Adapter,
    /// How long one login may take.
    pub login_timeout: Duration,
    /// How long the lease lasts.
    pub lease: Duration,
    /// A token that dies younger counts as odd; see `FairUse::short_token_lifetime`.
    pub short_token_lifetime: Duration,
}

/// Where a session is kept.
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

/// What a worker may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Makes this many calls at once.
    Call(usize),
    /// Logs out.
    LogOut,
    /// Closes the session without logging out and opens it again: as a program that is started
    /// anew, but quicker.
    Reset,
}

/// What a worker did at one command, and what its session counts since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Calls answered with 200.
    pub answered: usize,
    /// All others, by status or error.
    pub others: BTreeMap<String, usize>,
    /// How long the command took.
    pub took: Duration,
    /// Logins sent.
    pub logins: u64,
    /// Sessions taken over from the store.
    pub adopted: u64,
    /// Store operations that failed.
    pub store_failures: u64,
}

/// What many workers did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Calls answered with 200.
    pub answered: usize,
    /// All others, by status or error.
    pub others: BTreeMap<String, usize>,
    /// The longest that a worker took.
    pub took: Duration,
}

impl Sum {
    /// Calls not answered with 200.
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

/// Gives all workers one command at once, and waits for all of their answers.
///
/// # Errors
/// When one of them does not answer.
pub fn all(workers: &mut [Worker], command: Command) -> Result<Sum, String> {
    workers
        .iter_mut()
        .try_for_each(|worker| worker.tell(command))?;
    workers.iter_mut().map(Worker::report).collect()
}
