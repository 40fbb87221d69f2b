//! The messages between the two processes: JSON, one per line.

use std::collections::BTreeMap;

use ctc_driver::Counts;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::measure::Figures;
use crate::weather::Weather;

/// A message from the conductor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Create the clients. This comes first.
    Begin {
        url: String,
        store: String,
        seed: u64,
        leak: Option<Leak>,
    },
    /// Make calls for this time.
    Run { millis: u64, weather: Weather },
    /// The faults have ended: pause, make the clients work again, wait until they are idle, and
    /// measure.
    Settle,
    /// Drop everything, measure, and end.
    End,
}

/// What is leaked on purpose in each round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Leak {
    Bytes,
    Client,
    Task,
    Thread,
    Socket,
}

impl Leak {
    pub(crate) fn named(name: &str) -> Result<Self, Failure> {
        Ok(match name {
            "bytes" => Self::Bytes,
            "client" => Self::Client,
            "task" => Self::Task,
            "thread" => Self::Thread,
            "socket" => Self::Socket,
            _ => return Err("--leak takes bytes, client, task, thread or socket".into()),
        })
    }
}

/// A message from the load.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// All callers have returned.
    Paused(BTreeMap<String, Deeds>),
    /// What is in use while nothing happens: measured again for some time, until it is no more than
    /// before.
    Settled {
        figures: Figures,
        clients: BTreeMap<String, Counted>,
    },
    /// What is in use after everything was dropped, and what was before everything was created.
    Ended { before: Figures, after: Figures },
}

/// The calls of one client in a round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Deeds {
    pub(crate) responses: u64,
    /// Calls dropped midway.
    pub(crate) cancelled: u64,
    /// Errors, by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) clones: u64,
    pub(crate) built: u64,
    pub(crate) logouts: u64,
}

impl Deeds {
    pub(crate) fn add(&mut self, other: &Self) {
        self.responses += other.responses;
        self.cancelled += other.cancelled;
        self.clones += other.clones;
        self.built += other.built;
        self.logouts += other.logouts;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
    }

    pub(crate) fn failed(&mut self, kind: &str) {
        // Look first: most kinds exist already.
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.errors.insert(kind.to_owned(), 1)),
        }
    }

    /// Returns the calls that the client may have sent and the server did not receive, or the
    /// reverse.
    pub(crate) fn uncertain(&self) -> u64 {
        self.cancelled
            + self
                .errors
                .iter()
                .filter(|(kind, _)| !kind.starts_with("denied"))
                .map(|(_, n)| n)
                .sum::<u64>()
    }
}

/// A client's counters.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) calls: u64,
    pub(crate) logins: u64,
    pub(crate) unauthorized: u64,
    pub(crate) replays: u64,
}

impl From<Counts> for Counted {
    fn from(counts: Counts) -> Self {
        let Counts {
            calls,
            logins,
            unauthorized,
            replays,
            ..
        } = counts;
        Self {
            calls,
            logins,
            unauthorized,
            replays,
        }
    }
}
