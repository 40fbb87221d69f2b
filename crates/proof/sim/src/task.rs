//! A future on one of the world's runtimes.

use std::pin::Pin;

pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Task {
    pub(crate) process: usize,
    pub(crate) runtime: usize,
    /// Which election's login it makes, if it is not a caller's.
    pub(crate) login: Option<u64>,
    pub(crate) work: Work,
}

impl Task {
    pub(crate) fn new(process: usize, runtime: usize, login: Option<u64>, work: Work) -> Self {
        Self {
            process,
            runtime,
            login,
            work,
        }
    }
}
