//! Session work of many threads on one session, compared with threads that each have their own
//! session and buffers.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use ctc_bench::Failure;
use ctc_bench::rounds::median;
use ctc_bench::scene::{BATCH, Limit, batch, open, response, session_work, stamp_all, unstamp};
use http::Request;

use super::Plan;
use crate::picture::Spread;
use crate::table::Row;

/// The bar: one shared session compared with separate ones.
const BAR: f64 = 0.9;
/// The numbers of threads.
const THREADS: [usize; 4] = [1, 2, 8, 64];
/// The stamps of all threads in one measurement: many time slices for each of 64 threads.
const STAMPS: usize = 4_000_000;

/// The rate of each number of threads, in millions of calls per second.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) threads: usize,
    pub(crate) ours: Spread,
    pub(crate) own_sessions: Spread,
    pub(crate) limit_own: Spread,
    pub(crate) limit_shared: Spread,
}

pub(crate) fn measure(plan: &Plan) -> Result<(Vec<Row>, Vec<Point>), Failure> {
    let (mut rows, mut points) = (Vec::new(), Vec::new());
    for threads in THREADS {
        let point = one(plan, threads, &mut rows)?;
        points.push(point);
    }
    Ok((rows, points))
}

fn one(plan: &Plan, threads: usize, rows: &mut Vec<Row>) -> Result<Point, Failure> {
    let (session, limit, response) = (open()?, Limit::new()?, response());
    let own_sessions = (0..threads)
        .map(|_| open())
        .collect::<Result<Vec<_>, _>>()?;
    let own_limits = (0..threads)
        .map(|_| Limit::new())
        .collect::<Result<Vec<_>, _>>()?;
    let (mut ours, mut own, mut limits, mut shared) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut ratios = Vec::new();
    let mut budget = plan.budget();
    budget.time /= 2;
    budget.run(|| -> Result<(), Failure> {
        let a = rate(threads, |_, request| {
            session_work(&session, request, &response);
        })?;
        let b = rate(threads, |thread, request| {
            session_work(&own_sessions[thread], request, &response);
        })?;
        let c = rate(threads, |thread, request| {
            own_limits[thread].stamp(request.headers_mut());
        })?;
        let d = rate(threads, |_, request| limit.stamp(request.headers_mut()))?;
        ratios.push(a / b);
        ours.push(a);
        own.push(b);
        limits.push(c);
        shared.push(d);
        Ok(())
    })?;
    let ratio = median(ratios);
    let point = Point {
        threads,
        ours: Spread::of(ours),
        own_sessions: Spread::of(own),
        limit_own: Spread::of(limits),
        limit_shared: Spread::of(shared),
    };
    if threads > 1 {
        rows.push(Row::new(
            format!("session work from {threads} threads, one session"),
            format!(
                "{ratio:.2} × buffers of their own ({:.1} M/s)",
                point.ours.mid
            ),
            format!("≥ {BAR:.2} ×"),
            ratio >= BAR,
        ));
        rows.push(Row::shown(
            format!("  L from {threads} threads: own buffers / one shared pair"),
            format!(
                "{:.1} / {:.1} M/s",
                point.limit_own.mid, point.limit_shared.mid
            ),
        ));
    }
    Ok(point)
}

/// Measures stamps per second, in millions. It includes removing key and token again, just as a
/// program drops a request.
///
/// The time is from the first thread's start to the last one's end, by their own clocks: a separate
/// thread would have to wait for a core, and measure too short a time.
fn rate(threads: usize, stamp: impl Fn(usize, &mut Request<()>) + Sync) -> Result<f64, Failure> {
    let passes = STAMPS / threads / BATCH;
    let start = Barrier::new(threads);
    let requests = (0..threads)
        .map(|_| batch())
        .collect::<Result<Vec<_>, _>>()?;
    let spans = thread::scope(|scope| {
        let running: Vec<_> = requests
            .into_iter()
            .enumerate()
            .map(|(thread, mut requests)| {
                let (stamp, start) = (&stamp, &start);
                scope.spawn(move || {
                    start.wait();
                    let begin = Instant::now();
                    for _ in 0..passes {
                        stamp_all(&mut requests, &mut |request| stamp(thread, request));
                        requests.iter_mut().for_each(unstamp);
                    }
                    (begin, Instant::now())
                })
            })
            .collect();
        running
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect::<Result<Vec<_>, _>>()
    });
    let spans = spans.map_err(|_| "a stamping thread panicked")?;
    let begin = spans.iter().map(|span| span.0).min().ok_or("no threads")?;
    let end = spans.iter().map(|span| span.1).max().ok_or("no threads")?;
    Ok((passes * threads * BATCH) as f64 / (end - begin).as_secs_f64() / 1e6)
}
