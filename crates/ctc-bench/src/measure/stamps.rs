//! A call's session work against the limit L, alone and while a login is in flight with callers waiting.

use std::thread;
use std::time::{Duration, Instant};

use ctc_bench::Failure;
use ctc_bench::scene::{BATCH, Limit, answer, batch, open, renewing, session_work, stamp_all, unstamp};
use ctc_driver::SharedSession;
use ctc_driver::ctc_core::{Epoch, Wait};
use http::Request;

use super::Plan;
use crate::rounds::median;
use crate::table::Row;

/// The bar: session work, in units of L.
const BAR: f64 = 1.5;
/// What counts as the same cost: two runs of the same thing differ by this much.
const SAME: f64 = 1.05;
/// Callers that wait, as threads, while others are measured.
const WAITING: usize = 1000;
/// Batches in a round.
const BATCHES: usize = 100;

/// What a stamp costs, for the table and the picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamps {
    pub(crate) limit_ns: f64,
    pub(crate) ratio: f64,
}

pub(crate) fn measure(plan: &Plan) -> Result<(Vec<Row>, Stamps), Failure> {
    let (limit, answer) = (Limit::new()?, answer());
    let (session, (renewing, epoch)) = (open()?, renewing()?);
    let mut requests = batch()?;
    let mut limits = Vec::new();
    let (mut alone, mut again, mut in_flight) = (Vec::new(), Vec::new(), Vec::new());
    plan.budget().run(|| -> Result<(), Failure> {
        let l = nanos(&mut requests, |request| limit.stamp(request.headers_mut()));
        let one = nanos(&mut requests, |request| session_work(&session, request, &answer));
        let flying = nanos(&mut requests, |request| session_work(&renewing, request, &answer));
        let l2 = nanos(&mut requests, |request| limit.stamp(request.headers_mut()));
        limits.push(l);
        alone.push(one / l);
        again.push(l2 / l);
        in_flight.push(flying / one);
        Ok(())
    })?;
    let stamps = Stamps { limit_ns: median(limits), ratio: median(alone) };
    let waited = with_waiting(plan, &session, &renewing, epoch)?;
    let (flying, noise) = (median(in_flight), (median(again) - 1.0).abs());
    let rows = vec![
        Row::shown(
            "limit L, one stamp",
            format!("{:.0} ns (against itself ± {:.1} %)", stamps.limit_ns, noise * 100.0),
        ),
        Row::new(
            "session work (admit, stamp, observe), time",
            format!("{:.2} × L", stamps.ratio),
            format!("≤ {BAR} × L"),
            stamps.ratio <= BAR,
        ),
        Row::new(
            "the same, login in flight",
            format!("{flying:.2} × the same"),
            format!("≤ {SAME:.2} (noise)"),
            flying <= SAME,
        ),
        Row::new(
            format!("the same, {WAITING} threads waiting"),
            format!("{waited:.2} × the same"),
            format!("≤ {SAME:.2} (noise)"),
            waited <= SAME,
        ),
    ];
    Ok((rows, stamps))
}

/// The time of one stamp, in nanoseconds; resetting the requests is not counted.
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

/// The cost with callers waiting for the login of `renewing`, in units of the cost on `session`.
fn with_waiting(
    plan: &Plan,
    session: &SharedSession,
    renewing: &SharedSession,
    epoch: Epoch,
) -> Result<f64, Failure> {
    let wait = Wait { epoch, deadline: Instant::now() + Duration::from_secs(600) };
    let threads: Vec<_> = (0..WAITING)
        .map(|_| {
            let waiting = renewing.clone();
            thread::Builder::new().stack_size(64 * 1024).spawn(move || waiting.wait(wait))
        })
        .collect::<Result<_, _>>()?;
    thread::sleep(Duration::from_millis(200));
    let still = threads.iter().filter(|thread| !thread.is_finished()).count();
    let (answer, mut requests, mut ratios) = (answer(), batch()?, Vec::new());
    plan.budget().run(|| -> Result<(), Failure> {
        let one = nanos(&mut requests, |request| session_work(session, request, &answer));
        let other = nanos(&mut requests, |request| session_work(renewing, request, &answer));
        ratios.push(other / one);
        Ok(())
    })?;
    renewing.reset(); // wakes them all
    for thread in threads {
        thread.join().map_err(|_| "a waiting thread panicked")?;
    }
    if still < WAITING {
        return Err(format!("only {still} of {WAITING} threads waited").into());
    }
    Ok(median(ratios))
}
