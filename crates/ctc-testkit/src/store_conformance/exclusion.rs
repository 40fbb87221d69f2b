//! Many callers at once: one holder at a time, and complete records.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::stage::{LONG, SLACK, Stage, ensure, ok};

const THREADS: usize = 6;
const ROUNDS: usize = 10;

pub(super) fn one_holder(stage: &Stage<'_>) -> Result<(), String> {
    let (inside, crowded) = (AtomicUsize::new(0), AtomicBool::new(false));
    at_once(|_| {
        for _ in 0..ROUNDS {
            let lease = stage.lease(LONG, LONG)?;
            crowded.fetch_or(inside.fetch_add(1, SeqCst) > 0, SeqCst);
            thread::sleep(Duration::from_millis(2));
            inside.fetch_sub(1, SeqCst);
            ok("release", lease.release())?;
        }
        Ok(())
    })?;
    ensure(!crowded.load(SeqCst), || {
        "two holders had the lease at the same time".into()
    })
}

pub(super) fn never_torn(stage: &Stage<'_>) -> Result<(), String> {
    // Use lengths that differ by kilobytes, so that a mixture of two records cannot be read, and
    // one time, so that no record is too old to be saved.
    let tokens: Vec<_> = (1..=THREADS)
        .map(|n| format!("t{n}").repeat(n * 500))
        .collect();
    let records = stage.account.records_of_one_moment(&tokens);
    let mut lease = stage.lease(SLACK, LONG)?;
    ok("save", lease.save(&records[0]))?;
    ok("release", lease.release())?;
    at_once(|n| {
        for _ in 0..ROUNDS {
            let mut lease = stage.lease(LONG, LONG)?;
            let found = ok("load", lease.load())?;
            ensure(
                found.as_ref().is_some_and(|found| records.contains(found)),
                || format!("loaded a record that was not saved: {found:?}"),
            )?;
            ok("save", lease.save(&records[n]))?;
            ok("release", lease.release())?;
        }
        Ok(())
    })
}

fn at_once(work: impl Fn(usize) -> Result<(), String> + Sync) -> Result<(), String> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || work(n))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("panicked".into())))
    })
}
