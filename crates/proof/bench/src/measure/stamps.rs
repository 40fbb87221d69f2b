//! A call's session work compared with the limit L, alone and during a login with waiting callers.

use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ctc_bench::Failure;
use ctc_bench::rounds::median;
use ctc_bench::scene::{
    BATCH, Limit, batch, open, renewing, response, session_work, stamp_all, unstamp,
};
use ctc_bench::stub::Stub;
use ctc_driver::{AsyncDriver, CallOptions, SharedSession, Tokio};
use http::Request;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;

use super::Plan;
use crate::picture::Spread;
use crate::table::Row;

/// The bar: session work, in units of L.
const BAR: f64 = 1.5;
/// The factor up to which costs count as the same: two runs of the same work differ by this much.
const SAME: f64 = 1.05;
/// How many callers wait, as tasks, while others are measured.
const WAITING: usize = 10_000;
/// The duration of a login that must outlast the measurement; the session's own timeout of 30 s
/// ends it.
const ENDLESS: Duration = Duration::from_secs(3600);
/// How many batches are in a round.
const BATCHES: usize = 100;

/// The cost of a stamp, for the table and the picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamps {
    pub(crate) limit_ns: f64,
    pub(crate) ratio: Spread,
}

pub(crate) fn measure(plan: &Plan) -> Result<(Vec<Row>, Stamps), Failure> {
    let (limit, response) = (Limit::new()?, response());
    let swapped = ArcSwap::from_pointee(Limit::new()?);
    let (session, renewing) = (open()?, renewing()?);
    let mut requests = batch()?;
    let mut limits = Vec::new();
    let (mut alone, mut again, mut in_flight) = (Vec::new(), Vec::new(), Vec::new());
    let mut swaps = Vec::new();
    plan.budget().run(|| -> Result<(), Failure> {
        let l = nanos(&mut requests, |request| limit.stamp(request.headers_mut()));
        let one = nanos(&mut requests, |request| {
            session_work(&session, request, &response);
        });
        let flying = nanos(&mut requests, |request| {
            session_work(&renewing, request, &response);
        });
        let l2 = nanos(&mut requests, |request| limit.stamp(request.headers_mut()));
        let swap = nanos(&mut requests, |request| {
            swapped.load().stamp(request.headers_mut());
        });
        limits.push(l);
        swaps.push(swap / l);
        alone.push(one / l);
        again.push(l2 / l);
        in_flight.push(flying / one);
        Ok(())
    })?;
    let stamps = Stamps {
        limit_ns: median(limits),
        ratio: Spread::of(alone),
    };
    let waited = with_waiting(plan, &session)?;
    let (flying, noise) = (median(in_flight), (median(again) - 1.0).abs());
    let rows = vec![
        Row::shown(
            "limit L, one stamp",
            format!(
                "{:.0} ns (against itself ± {:.1} %)",
                stamps.limit_ns,
                noise * 100.0
            ),
        ),
        Row::shown(
            "  L read from an arc-swap, as a session is",
            format!("{:.2} × L", median(swaps)),
        ),
        Row::new(
            "session work (admit, stamp, observe), time",
            format!("{:.2} × L", stamps.ratio.mid),
            format!("≤ {BAR} × L"),
            stamps.ratio.mid <= BAR,
        ),
        Row::new(
            "the same, login in flight",
            format!("{flying:.2} × the same"),
            format!("≤ {SAME:.2} (noise)"),
            flying <= SAME,
        ),
        Row::new(
            format!("the same, {WAITING} tasks waiting for it"),
            format!("{waited:.2} × the same"),
            format!("≤ {SAME:.2} (noise)"),
            waited <= SAME,
        ),
    ];
    Ok((rows, stamps))
}

/// Measures one stamp, in nanoseconds, without resetting the requests.
fn nanos(requests: &mut [Request<()>], mut stamp: impl FnMut(&mut Request<()>)) -> f64 {
    let mut spent = Duration::ZERO;
    for _ in 0..BATCHES {
        let start = Instant::now();
        stamp_all(requests, &mut stamp);
        spent += start.elapsed();
        requests.iter_mut().for_each(unstamp);
    }
    spent.as_secs_f64() * 1e9 / (BATCHES * BATCH) as f64
}

/// Measures the cost while callers wait for the renewal of a session, in units of the cost on
/// `session`.
fn with_waiting(plan: &Plan, session: &SharedSession) -> Result<f64, Failure> {
    let renewed = open()?;
    let driver = AsyncDriver::new(
        renewed.clone(),
        Stub::new(ENDLESS, false),
        Tokio::current(),
        None,
    );
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let waiting = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..WAITING)
        .map(|_| runtime.spawn(wait(driver.clone(), Arc::clone(&waiting))))
        .collect();
    while waiting.load(SeqCst) < WAITING && !callers.iter().any(JoinHandle::is_finished) {
        thread::sleep(Duration::from_millis(10));
    }
    let (response, mut requests, mut ratios) = (response(), batch()?, Vec::new());
    plan.budget().run(|| -> Result<(), Failure> {
        let one = nanos(&mut requests, |request| {
            session_work(session, request, &response);
        });
        let other = nanos(&mut requests, |request| {
            session_work(&renewed, request, &response);
        });
        ratios.push(other / one);
        Ok(())
    })?;
    // All of them must wait to the end, for one renewal.
    let still = callers
        .iter()
        .filter(|caller| !caller.is_finished())
        .count();
    if (still, renewed.counts().logins) != (WAITING, 1) {
        return Err(format!("only {still} of {WAITING} callers waited to the end").into());
    }
    Ok(median(ratios))
}

/// Waits for the renewal (which the first caller starts), and counts itself once it waits.
async fn wait(driver: AsyncDriver<Stub>, waiting: Arc<AtomicUsize>) {
    let options = CallOptions::default();
    let mut renewal = pin!(driver.renew(&options));
    let mut counted = false;
    let _ = poll_fn(|context| {
        let polled = renewal.as_mut().poll(context);
        if polled.is_pending() && !mem::replace(&mut counted, true) {
            waiting.fetch_add(1, SeqCst);
        }
        polled
    })
    .await;
}
