//! A future on one of the world's runtimes.

use std::pin::Pin;

pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Task {
    pub(crate) process: usize,
    pub(crate) runtime: usize,
    pub(crate) does: Does,
    pub(crate) work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Call,
    /// The login of this election.
    Login(u64),
    /// Waits for the moment of a renewal.
    Alarm,
}

impl Does {
    pub(crate) const fn login(self) -> Option<u64> {
        match self {
            Self::Login(election) => Some(election),
            _ => None,
        }
    }
}

impl Task {
    pub(crate) fn new(process: usize, runtime: usize, does: Does, work: Work) -> Self {
        Self {
            process,
            runtime,
            does,
            work,
        }
    }
}
