//! When a lease is given, waited for, and over.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use ctc_driver::{StoreError, StoreLease};

use super::bench::{Bench, LONG, SLACK, ensure, lost, ok, timed, told};
use super::samples::Account;

/// A lease that ends by itself while the test waits for it.
const SHORT: Duration = Duration::from_millis(400);

pub(super) fn keys_apart(bench: &Bench<'_>) -> Result<(), String> {
    let _held = bench.lease(SLACK, LONG)?;
    let other = Bench {
        account: Account::new(),
        ..*bench
    };
    let (lease, took) = timed(|| other.lease(LONG, LONG));
    lease?;
    ensure(took < SLACK, || format!("it took {took:?}"))
}

pub(super) fn bounded_wait(bench: &Bench<'_>) -> Result<(), String> {
    let held = bench.lease(SLACK, LONG)?;
    for wait in [Duration::ZERO, Duration::from_millis(300)] {
        let (second, took) = timed(|| bench.try_lease(wait, LONG));
        match second {
            Err(StoreError::Busy) => {}
            Err(error) => return Err(format!("Busy was due, and this came: {}", told(&error))),
            Ok(_) => return Err("the lease was given twice".into()),
        }
        ensure(took >= wait && took < wait + SLACK, || {
            format!("asked to wait {wait:?}, it took {took:?}")
        })?;
    }
    ok("release", held.release())
}

pub(super) fn release_wakes(bench: &Bench<'_>) -> Result<(), String> {
    wakes(bench, |lease| ok("release", lease.release()))
}

pub(super) fn drop_frees(bench: &Bench<'_>) -> Result<(), String> {
    wakes(bench, |lease| {
        drop(lease);
        Ok(())
    })
}

fn wakes(
    bench: &Bench<'_>,
    end: fn(Box<dyn StoreLease>) -> Result<(), String>,
) -> Result<(), String> {
    let held = bench.lease(SLACK, LONG)?;
    let pause = Duration::from_millis(500);
    let (ended, (second, took)) = thread::scope(|scope| {
        let holder = scope.spawn(move || {
            thread::sleep(pause);
            end(held)
        });
        let second = timed(|| bench.lease(LONG, LONG));
        (
            holder.join().unwrap_or_else(|_| Err("panicked".into())),
            second,
        )
    });
    ended?;
    second?;
    ensure(took < pause + SLACK, || {
        format!("the waiter came {took:?} after it began to wait, not {pause:?}")
    })
}

pub(super) fn overtaken(bench: &Bench<'_>) -> Result<(), String> {
    let _frozen = bench.lease(SLACK, SHORT)?;
    let (second, took) = timed(|| bench.lease(LONG, LONG));
    second?;
    ensure(took < SHORT + SLACK, || {
        format!("it took {took:?} for a lease of {SHORT:?}")
    })
}

pub(super) fn late_write_loses(bench: &Bench<'_>) -> Result<(), String> {
    let mut frozen = bench.lease(SLACK, SHORT)?;
    let mut second = bench.lease(LONG, LONG)?;
    lost(frozen.save(&bench.account.record("late")))?;
    let ours = bench.account.record("second");
    ok("save by the new holder", second.save(&ours))?;
    lost(frozen.save(&bench.account.record("later")))?;
    let found = ok("load", second.load())?;
    ensure(found.as_ref() == Some(&ours), || {
        format!("the late write changed the record: {found:?}")
    })
}

/// A holder that does not know yet that it was overtaken, and writes as fast as it can.
pub(super) fn late_writes_cost_nothing(bench: &Bench<'_>) -> Result<(), String> {
    let mut frozen = bench.lease(SLACK, SHORT)?;
    let late = bench.account.record("late");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // Its first writes are in time, so that some are under way when its time is over.
            let mut last = Ok(());
            while !done.load(SeqCst) {
                last = frozen.save(&late);
            }
            lost(last)
        });
        let result = write_beside(bench);
        done.store(true, SeqCst);
        result.and(writer.join().unwrap_or_else(|_| Err("panicked".into())))
    })
}

fn write_beside(bench: &Bench<'_>) -> Result<(), String> {
    let mut second = bench.lease(LONG, LONG)?;
    for number in 0..100 {
        let ours = bench.account.record(&format!("second-{number}"));
        ok("save by the new holder", second.save(&ours))?;
        let found = ok("load", second.load())?;
        ensure(found.as_ref() == Some(&ours), || {
            format!("the late writes changed the record: {found:?}")
        })?;
    }
    ok("release", second.release())
}

pub(super) fn over_is_over(bench: &Bench<'_>) -> Result<(), String> {
    let mut lease = bench.lease(SLACK, SHORT)?;
    let first = bench.account.record("in-time");
    ok("save in time", lease.save(&first))?;
    thread::sleep(SHORT + Duration::from_millis(100));
    lost(lease.save(&bench.account.record("late")))?;
    let found = ok("load", bench.lease(SLACK, LONG)?.load())?;
    ensure(found.as_ref() == Some(&first), || {
        format!("the late write changed the record: {found:?}")
    })
}

pub(super) fn release_is_owners(bench: &Bench<'_>) -> Result<(), String> {
    // Whether this says Ok or Lost is the store's choice.
    still_held_after(bench, |lease| drop(lease.release()))
}

pub(super) fn drop_is_owners(bench: &Bench<'_>) -> Result<(), String> {
    still_held_after(bench, drop)
}

fn still_held_after(bench: &Bench<'_>, end: fn(Box<dyn StoreLease>)) -> Result<(), String> {
    let frozen = bench.lease(SLACK, SHORT)?;
    let mut second = bench.lease(LONG, LONG)?;
    end(frozen);
    match bench.try_lease(Duration::from_millis(300), LONG) {
        Err(StoreError::Busy) => {}
        Err(error) => return Err(told(&error)),
        Ok(_) => return Err("a third got the lease while the second held it".into()),
    }
    ok(
        "save by the new holder",
        second.save(&bench.account.record("second")),
    )
}
