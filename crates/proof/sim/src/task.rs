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
    /// Waits until a renewal is due.
    Alarm,
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

/// A login that its caller makes on its own thread. It begins with its first question to the
/// source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnLogin {
    pub(crate) election: u64,
    /// An event has told its outcome.
    pub(crate) is_told: bool,
}
