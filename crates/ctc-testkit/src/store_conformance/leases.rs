//! When a lease is granted, waited for, and expired.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use ctc_driver::{StoreError, StoreLease};

use super::samples::Account;
use super::stage::{LONG, SLACK, Stage, ensure, lost, ok, timed, told};

/// The length of a lease that expires while the test waits.
const SHORT: Duration = Duration::from_millis(400);

pub(super) fn keys_apart(stage: &Stage<'_>) -> Result<(), String> {
    let _held = stage.lease(SLACK, LONG)?;
    let other = Stage {
        account: Account::new(),
        ..*stage
    };
    let (lease, took) = timed(|| other.lease(LONG, LONG));
    lease?;
    ensure(took < SLACK, || format!("it took {took:?}"))
}

pub(super) fn bounded_wait(stage: &Stage<'_>) -> Result<(), String> {
    let held = stage.lease(SLACK, LONG)?;
    for wait in [Duration::ZERO, Duration::from_millis(300)] {
        let (second, took) = timed(|| stage.try_lease(wait, LONG));
        match second {
            Err(StoreError::Busy) => {}
            Err(error) => return Err(format!("expected Busy, got: {}", told(&error))),
            Ok(_) => return Err("two holders got the lease".into()),
        }
        ensure(took >= wait && took < wait + SLACK, || {
            format!("asked to wait {wait:?}, it took {took:?}")
        })?;
    }
    ok("release", held.release())
}

pub(super) fn release_wakes(stage: &Stage<'_>) -> Result<(), String> {
    wakes(stage, |lease| ok("release", lease.release()))
}

pub(super) fn drop_frees(stage: &Stage<'_>) -> Result<(), String> {
    wakes(stage, |lease| {
        drop(lease);
        Ok(())
    })
}

fn wakes(
    stage: &Stage<'_>,
    end: fn(Box<dyn StoreLease>) -> Result<(), String>,
) -> Result<(), String> {
    let held = stage.lease(SLACK, LONG)?;
    let pause = Duration::from_millis(500);
    let (ended, (second, took)) = thread::scope(|scope| {
        let holder = scope.spawn(move || {
            thread::sleep(pause);
            end(held)
        });
        let second = timed(|| stage.lease(LONG, LONG));
        (
            holder.join().unwrap_or_else(|_| Err("panicked".into())),
            second,
        )
    });
    ended?;
    second?;
    ensure(took < pause + SLACK, || {
        format!("the waiting caller got the lease after {took:?}, not {pause:?}")
    })
}

pub(super) fn overtaken(stage: &Stage<'_>) -> Result<(), String> {
    let _frozen = stage.lease(SLACK, SHORT)?;
    let (second, took) = timed(|| stage.lease(LONG, LONG));
    second?;
    ensure(took < SHORT + SLACK, || {
        format!("it took {took:?} for a lease of {SHORT:?}")
    })
}

pub(super) fn late_write_loses(stage: &Stage<'_>) -> Result<(), String> {
    let mut frozen = stage.lease(SLACK, SHORT)?;
    let mut second = stage.lease(LONG, LONG)?;
    lost(frozen.save(&stage.account.record("late")))?;
    let ours = stage.account.record("second");
    ok("save by the new holder", second.save(&ours))?;
    lost(frozen.save(&stage.account.record("later")))?;
    let found = ok("load", second.load())?;
    ensure(found.as_ref() == Some(&ours), || {
        format!("the late write changed the record: {found:?}")
    })
}

/// A holder that does not know yet that it was overtaken writes as fast as it can.
pub(super) fn late_writes_cost_nothing(stage: &Stage<'_>) -> Result<(), String> {
    let mut frozen = stage.lease(SLACK, SHORT)?;
    let late = stage.account.record("late");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // The first writes are in time, so that some are in progress when the lease expires.
            let mut last = Ok(());
            while !done.load(SeqCst) {
                last = frozen.save(&late);
            }
            lost(last)
        });
        let result = write_beside(stage);
        done.store(true, SeqCst);
        result.and(writer.join().unwrap_or_else(|_| Err("panicked".into())))
    })
}

fn write_beside(stage: &Stage<'_>) -> Result<(), String> {
    let mut second = stage.lease(LONG, LONG)?;
    for number in 0..100 {
        let ours = stage.account.record(&format!("second-{number}"));
        ok("save by the new holder", second.save(&ours))?;
        let found = ok("load", second.load())?;
        ensure(found.as_ref() == Some(&ours), || {
            format!("the late writes changed the record: {found:?}")
        })?;
    }
    ok("release", second.release())
}

pub(super) fn over_is_over(stage: &Stage<'_>) -> Result<(), String> {
    let mut lease = stage.lease(SLACK, SHORT)?;
    let first = stage.account.record("in-time");
    ok("save in time", lease.save(&first))?;
    thread::sleep(SHORT + Duration::from_millis(100));
    lost(lease.save(&stage.account.record("late")))?;
    let found = ok("load", stage.lease(SLACK, LONG)?.load())?;
    ensure(found.as_ref() == Some(&first), || {
        format!("the late write changed the record: {found:?}")
    })
}

pub(super) fn release_is_owners(stage: &Stage<'_>) -> Result<(), String> {
    // The store may return `Ok` or `LeaseLost`.
    still_held_after(stage, |lease| drop(lease.release()))
}

pub(super) fn drop_is_owners(stage: &Stage<'_>) -> Result<(), String> {
    still_held_after(stage, drop)
}

fn still_held_after(stage: &Stage<'_>, end: fn(Box<dyn StoreLease>)) -> Result<(), String> {
    let frozen = stage.lease(SLACK, SHORT)?;
    let mut second = stage.lease(LONG, LONG)?;
    end(frozen);
    match stage.try_lease(Duration::from_millis(300), LONG) {
        Err(StoreError::Busy) => {}
        Err(error) => return Err(told(&error)),
        Ok(_) => return Err("a third holder got the lease while the second had it".into()),
    }
    ok(
        "save by the new holder",
        second.save(&stage.account.record("second")),
    )
}
