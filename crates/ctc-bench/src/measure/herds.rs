//! Herds: many callers at once on an empty session, on a dead token, and with credentials that are refused.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use ctc_bench::Failure;
use ctc_bench::stub::{Stub, session};
use ctc_driver::{AsyncDriver, CallOptions, Driver};
use http::Request;
use tokio::runtime::{Builder, Runtime};

use super::Plan;
use crate::table::Row;

/// The bar: all answered within this many logins' time.
const BAR: f64 = 1.2;
/// What one login takes here; a real one takes longer.
const LOGIN: Duration = Duration::from_millis(300);
/// Callers, as tasks and as threads.
const TASKS: usize = 10_000;
const THREADS: usize = 1_000;

/// What the callers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Empty,
    Dead,
    Refused,
}

const SCENES: [(Scene, &str); 3] =
    [(Scene::Empty, "empty"), (Scene::Dead, "dead token"), (Scene::Refused, "refused credentials")];

/// How long a herd of that many tasks took, and how long one caller alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) callers: usize,
    pub(crate) seconds: f64,
}

pub(crate) fn measure(plan: &Plan) -> Result<(Vec<Row>, Vec<Point>), Failure> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for (scene, name) in SCENES {
        rows.push(row("tasks", TASKS, name, |callers| tasks(&runtime, scene, callers))?);
        rows.push(row("threads", THREADS, name, |callers| threads(scene, callers))?);
    }
    let most = if plan.quick { 10_000 } else { 100_000 };
    let mut points = Vec::new();
    for callers in [1, 10, 100, 1_000, 10_000, 100_000].into_iter().filter(|callers| *callers <= most) {
        points.push(Point { callers, seconds: tasks(&runtime, Scene::Dead, callers)?.seconds });
    }
    Ok((rows, points))
}

struct Outcome {
    seconds: f64,
    logins: u64,
}

fn row(
    kind: &str,
    callers: usize,
    scene: &str,
    herd: impl Fn(usize) -> Result<Outcome, Failure>,
) -> Result<Row, Failure> {
    let alone = herd(1)?.seconds;
    // The best of three: what a busy machine adds is not ours.
    let mut best = herd(callers)?;
    for _ in 0..2 {
        let next = herd(callers)?;
        best = Outcome { seconds: best.seconds.min(next.seconds), logins: best.logins.max(next.logins) };
    }
    let ratio = best.seconds / alone;
    Ok(Row::new(
        format!("{callers} {kind}, {scene}"),
        format!("{} login, {ratio:.2} × one login", best.logins),
        format!("1 login, ≤ {BAR} ×"),
        best.logins == 1 && ratio <= BAR,
    ))
}

fn request() -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static("https://connect.calamp.com/connect/services/devices");
    request
}

fn tasks(runtime: &Runtime, scene: Scene, callers: usize) -> Result<Outcome, Failure> {
    let stub = Stub::new(LOGIN, scene == Scene::Refused);
    let driver = AsyncDriver::new(session()?, stub.clone(), None);
    runtime.block_on(async {
        if scene == Scene::Dead {
            driver.login(&CallOptions::default()).await?;
            stub.kill_token();
        }
        let before = stub.logins();
        let start = Instant::now();
        let mut tasks = Vec::with_capacity(callers);
        for _ in 0..callers {
            let driver = driver.clone();
            tasks.push(tokio::spawn(async move {
                driver
                    .execute(request(), &CallOptions::default())
                    .await
                    .is_ok_and(|answer| answer.status() == 200)
            }));
        }
        for task in tasks {
            check(scene, task.await?)?;
        }
        Ok(Outcome { seconds: start.elapsed().as_secs_f64(), logins: stub.logins() - before })
    })
}

fn threads(scene: Scene, callers: usize) -> Result<Outcome, Failure> {
    let stub = Stub::new(LOGIN, scene == Scene::Refused);
    let driver = Driver::new(session()?, stub.clone(), None);
    if scene == Scene::Dead {
        driver.login(&CallOptions::default())?;
        stub.kill_token();
    }
    let before = stub.logins();
    let all_there = Arc::new(Barrier::new(callers + 1));
    let threads: Vec<_> = (0..callers)
        .map(|_| {
            let (driver, all_there) = (driver.clone(), Arc::clone(&all_there));
            thread::Builder::new().stack_size(128 * 1024).spawn(move || {
                all_there.wait();
                driver.execute(request(), &CallOptions::default()).is_ok_and(|answer| answer.status() == 200)
            })
        })
        .collect::<Result<_, _>>()?;
    all_there.wait();
    let start = Instant::now();
    for thread in threads {
        check(scene, thread.join().map_err(|_| "a caller panicked")?)?;
    }
    Ok(Outcome { seconds: start.elapsed().as_secs_f64(), logins: stub.logins() - before })
}

fn check(scene: Scene, answered: bool) -> Result<(), Failure> {
    if answered == (scene != Scene::Refused) { Ok(()) } else { Err("a caller got the wrong answer".into()) }
}
