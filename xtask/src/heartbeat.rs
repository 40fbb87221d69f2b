//! Progress of long work: a line on standard error every 20 s, on a terminal, in a pipe and in a
//! log alike.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(20);

/// Does the work, and every 20 s prints how long it has been running.
pub(crate) fn during<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    every(INTERVAL, work, || {
        eprintln!("xtask: {name} has run for {} s", start.elapsed().as_secs());
    })
}

fn every<T>(interval: Duration, work: impl FnOnce() -> T, mut beat: impl FnMut() + Send) -> T {
    let (working, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                beat();
            }
        });
        let result = work();
        drop(working);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_continue_until_the_work_ends() {
        let (beats, seen) = mpsc::channel();
        // The work takes three beats; without them the test would hang.
        let work = || (0..3).map(|_| seen.recv().unwrap()).count();
        let done = every(Duration::from_millis(1), work, || {
            let _ = beats.send(());
        });
        assert_eq!(done, 3);
    }
}
