//! Paired rounds: what is compared runs in turns, in one process, and the median of the rounds'
//! ratios counts.

use std::time::{Duration, Instant};

/// The time that `work` takes, in seconds.
///
/// # Errors
/// What `work` fails with.
pub fn time<E>(work: impl FnOnce() -> Result<(), E>) -> Result<f64, E> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The median; 0 when there is nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The tenth part of the times are shorter. Two processes on a machine with few cores disturb each
/// other (and others disturb both) more often than not, so that a median says more about them than
/// about the work.
pub fn undisturbed(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 10).copied().unwrap_or_default()
}

/// How long rounds go on.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// At most this long.
    pub time: Duration,
    /// At most so many.
    pub rounds: usize,
}

impl Budget {
    /// Rounds until time or number is used up; five at least.
    ///
    /// # Errors
    /// What a round fails with.
    pub fn run<E>(self, mut round: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        let start = Instant::now();
        for number in 0..self.rounds {
            if number >= 5 && start.elapsed() > self.time {
                break;
            }
            round()?;
        }
        Ok(())
    }
}
