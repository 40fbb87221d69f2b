//! What the two processes say to each other: JSON, one line each.

use std::collections::BTreeMap;

use ctc_driver::Counts;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::measure::Figures;
use crate::weather::Weather;

/// From the conductor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Make the clients. The first thing.
    Begin {
        url: String,
        store: String,
        seed: u64,
        leak: Option<Leak>,
    },
    /// Load for so long.
    Run { millis: u64, weather: Weather },
    /// All is well again: pause, mend the clients, wait until they are idle, and measure.
    Settle,
    /// Drop everything, measure, and end.
    End,
}

/// What is forgotten on purpose in each round.
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

/// From the load.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Every caller came back.
    Paused(BTreeMap<String, Deeds>),
    /// What is in use while nothing happens, after at most so many tries to see it `no more than`
    /// before.
    Settled {
        figures: Figures,
        clients: BTreeMap<String, Counted>,
    },
    /// What is in use when all is dropped, and what was before all was made.
    Ended { before: Figures, after: Figures },
}

/// What the callers of one client did in a round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Deeds {
    pub(crate) responses: u64,
    /// Calls dropped half way.
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
        // Looked for first: most kinds are there already.
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.errors.insert(kind.to_owned(), 1)),
        }
    }

    /// Calls that may have left the client and never reached the server, or the other way round.
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

/// A client's own counts.
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
