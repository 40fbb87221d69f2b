//! Paired rounds: two kinds of work run in turns, in one process, and the median of the rounds'
//! ratios counts.

use std::time::{Duration, Instant};

/// Returns the time that `work` takes, in seconds.
///
/// # Errors
/// Returns the error of `work`.
pub fn time<E>(work: impl FnOnce() -> Result<(), E>) -> Result<f64, E> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Returns the median, or 0 if there are no values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Returns the time that a tenth of the times are below. On a machine with few cores, two processes
/// usually disturb each other, and other processes disturb both, so a median would say more about
/// these than about the work.
pub fn undisturbed(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 10).copied().unwrap_or_default()
}

/// The limits of a series of rounds.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The longest time.
    pub time: Duration,
    /// The largest number.
    pub rounds: usize,
}

impl Budget {
    /// Runs rounds until time or number is used up, but at least five.
    ///
    /// # Errors
    /// Returns the error of a round.
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
