//! What is measured: one file for each group of bars.

pub(crate) mod building;
pub(crate) mod chores;
pub(crate) mod counted;
pub(crate) mod herds;
pub(crate) mod proxy;
pub(crate) mod stamps;
pub(crate) mod stores;
pub(crate) mod threads;
pub(crate) mod whole;

use std::path::PathBuf;
use std::time::Duration;

use ctc_bench::rounds::Budget;

/// How thorough to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    /// Where the other binaries of this crate are.
    pub(crate) binaries: PathBuf,
}

impl Plan {
    /// Rounds for one comparison.
    pub(crate) fn budget(&self) -> Budget {
        if self.quick {
            Budget {
                time: Duration::from_secs(3),
                rounds: 300,
            }
        } else {
            Budget {
                time: Duration::from_secs(10),
                rounds: 1000,
            }
        }
    }

    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }
}
