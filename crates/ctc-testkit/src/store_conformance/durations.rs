//! Waits and leases of any length: users set them, and `Duration::MAX` means no limit.

use std::thread;
use std::time::Duration;

use ctc_driver::StoreError;

use super::stage::{LONG, SLACK, Stage, ensure, lost, ok, timed, told};

/// Lengths at which a sum or a conversion overflows: of a `Duration`, of an `Instant`, or of
/// milliseconds in 64 bits.
const ENDLESS: [Duration; 5] = [
    Duration::MAX,
    Duration::from_secs(u64::MAX / 2),
    Duration::from_secs(i64::MAX as u64 / 1000),
    Duration::from_millis(u64::MAX),
    Duration::from_millis(i64::MAX as u64),
];

pub(super) fn endless(stage: &Stage<'_>) -> Result<(), String> {
    for length in ENDLESS {
        // On a thread, so that a panic is a failure of the store and does not end the suite.
        thread::scope(|scope| scope.spawn(|| held_without_end(stage, length)).join())
            .unwrap_or_else(|_| Err("the store panicked".into()))
            .map_err(|why| format!("with a wait and a lease of {length:?}: {why}"))?;
    }
    Ok(())
}

fn held_without_end(stage: &Stage<'_>, length: Duration) -> Result<(), String> {
    let mut held = stage.lease(length, length)?;
    match stage.try_lease(Duration::from_millis(50), LONG) {
        Err(StoreError::Busy) => {}
        Err(error) => return Err(told(&error)),
        Ok(_) => return Err("two holders got the lease".into()),
    }
    ok("save", held.save(&stage.account.record("endless")))?;
    let (second, took) = thread::scope(|scope| {
        let waiter = scope.spawn(|| timed(|| stage.lease(length, LONG)));
        thread::sleep(Duration::from_millis(50));
        let released = ok("release", held.release());
        let second = waiter.join();
        released.map(|()| second)
    })?
    .map_err(|_| "the store panicked while it waited")?;
    ok("release", second?.release())?;
    ensure(took < SLACK, || {
        format!("the waiting caller got the lease after {took:?}")
    })
}

pub(super) fn no_time(stage: &Stage<'_>) -> Result<(), String> {
    for ttl in [Duration::ZERO, Duration::from_nanos(1)] {
        let mut none = stage.lease(SLACK, ttl)?;
        thread::sleep(Duration::from_millis(10));
        lost(none.save(&stage.account.record("late")))?;
        let (second, took) = timed(|| stage.lease(LONG, LONG));
        let found = ok("load", second?.load())?;
        ensure(found.is_none(), || {
            format!("a lease of {ttl:?} changed the record: {found:?}")
        })?;
        ensure(took < SLACK, || {
            format!("getting a lease of {ttl:?} again took {took:?}")
        })?;
    }
    Ok(())
}
