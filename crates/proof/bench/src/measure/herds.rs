//! Many callers at once: on an empty session, with an invalidated token, and with rejected
//! credentials.

use std::sync::{Arc, Barrier, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ctc_bench::Failure;
use ctc_bench::stub::{Stub, session};
use ctc_driver::{AsyncDriver, CallOptions, Driver, Tokio};
use http::Request;
use tokio::runtime::{Builder, Runtime};

use super::Plan;
use crate::picture::Spread;
use crate::table::Row;

/// The bar: the time until all callers have their result, in logins.
const BAR: f64 = 1.2;
/// The duration of a login here; a real one takes longer.
const LOGIN: Duration = Duration::from_millis(300);
/// The numbers of callers, as tasks and as threads.
const TASKS: usize = 10_000;
const THREADS: usize = 1_000;

/// What the callers find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Empty,
    Dead,
    Refused,
}

const SCENES: [(Scene, &str); 3] = [
    (Scene::Empty, "empty"),
    (Scene::Dead, "dead token"),
    (Scene::Refused, "refused credentials"),
];

/// How long this many tasks took, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) callers: usize,
    pub(crate) millis: Spread,
}

pub(crate) fn measure(plan: &Plan) -> Result<(Vec<Row>, Vec<Point>), Failure> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for (scene, name) in SCENES {
        rows.push(row("tasks", TASKS, name, |callers| {
            tasks(&runtime, scene, callers)
        })?);
        rows.push(row("threads", THREADS, name, |callers| {
            threads(scene, callers)
        })?);
    }
    let (ratio, _) = best_of_three(THREADS, bare_threads)?;
    rows.push(Row::shown(
        format!("  {THREADS} threads on a bare condition variable"),
        format!("{ratio:.2} × the same wait"),
    ));
    let most = if plan.quick { 10_000 } else { 100_000 };
    let mut points = Vec::new();
    for callers in [1, 10, 100, 1_000, 10_000, 100_000]
        .into_iter()
        .filter(|callers| *callers <= most)
    {
        let herd = || tasks(&runtime, Scene::Dead, callers).map(|outcome| outcome.seconds * 1e3);
        points.push(Point {
            callers,
            millis: Spread::of(vec![herd()?, herd()?, herd()?]),
        });
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
    let (ratio, logins) = best_of_three(callers, herd)?;
    Ok(Row::new(
        format!("{callers} {kind}, {scene}"),
        format!("{logins} login, {ratio:.2} × one login"),
        format!("1 login, ≤ {BAR} ×"),
        logins == 1 && ratio <= BAR,
    ))
}

/// Returns the time of all callers in units of one caller's, and the most logins. The best of
/// three, to leave out delays of a busy machine.
fn best_of_three(
    callers: usize,
    herd: impl Fn(usize) -> Result<Outcome, Failure>,
) -> Result<(f64, u64), Failure> {
    let alone = herd(1)?.seconds;
    let herds = [herd(callers)?, herd(callers)?, herd(callers)?];
    let best = herds
        .iter()
        .map(|herd| herd.seconds)
        .fold(f64::INFINITY, f64::min);
    Ok((
        best / alone,
        herds
            .iter()
            .map(|herd| herd.logins)
            .max()
            .unwrap_or_default(),
    ))
}

fn request() -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() =
        http::Uri::from_static("https://connect.calamp.com/connect/services/devices");
    request
}

fn tasks(runtime: &Runtime, scene: Scene, callers: usize) -> Result<Outcome, Failure> {
    let stub = Stub::new(LOGIN, scene == Scene::Refused);
    let driver = AsyncDriver::new(session()?, stub.clone(), Tokio::current(), None);
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
                    .is_ok_and(|response| response.status() == 200)
            }));
        }
        for task in tasks {
            check(scene, task.await?)?;
        }
        Ok(Outcome {
            seconds: start.elapsed().as_secs_f64(),
            logins: stub.logins() - before,
        })
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
    let ends = at_once(callers, || {
        let driver = driver.clone();
        move || {
            driver
                .execute(request(), &CallOptions::default())
                .is_ok_and(|response| response.status() == 200)
        }
    })?;
    ends.iter()
        .try_for_each(|(answered, _)| check(scene, *answered))?;
    Ok(Outcome {
        seconds: last(&ends),
        logins: stub.logins() - before,
    })
}

/// Measures the system itself: threads that wait for a condition variable until one of them has
/// slept for the duration of a login.
fn bare_threads(callers: usize) -> Result<Outcome, Failure> {
    #[derive(Default)]
    struct Login {
        begun: bool,
        over: bool,
    }
    let shared: Arc<(Mutex<Login>, Condvar)> = Arc::default();
    let ends = at_once(callers, || {
        let shared = Arc::clone(&shared);
        move || {
            let (login, over) = &*shared;
            let lock = || login.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::replace(&mut lock().begun, true) {
                thread::sleep(LOGIN);
                lock().over = true;
                over.notify_all();
            }
            let waited = over.wait_while(lock(), |login| !login.over);
            waited.is_ok_and(|login| login.over)
        }
    })?;
    Ok(Outcome {
        seconds: last(&ends),
        logins: 1,
    })
}

/// Runs `call` on this many threads at once. Returns each result, and its time in seconds after the
/// start.
///
/// No thread ends before all have their result: ending one costs as much as waking one, and a
/// program keeps its threads.
fn at_once<R: Send + 'static, C: FnOnce() -> R + Send + 'static>(
    callers: usize,
    call: impl Fn() -> C,
) -> Result<Vec<(R, f64)>, Failure> {
    let (start, end) = (
        Arc::new(Barrier::new(callers + 1)),
        Arc::new(Barrier::new(callers)),
    );
    let spawn = |_| {
        let (call, start, end) = (call(), Arc::clone(&start), Arc::clone(&end));
        thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(move || {
                start.wait();
                let response = call();
                let answered = Instant::now();
                end.wait();
                (response, answered)
            })
    };
    let threads = (0..callers).map(spawn).collect::<Result<Vec<_>, _>>()?;
    let started = Instant::now();
    start.wait();
    let join = |thread: thread::JoinHandle<(R, Instant)>| {
        let (response, answered) = thread.join().map_err(|_| "a caller panicked")?;
        Ok((response, (answered - started).as_secs_f64()))
    };
    threads.into_iter().map(join).collect()
}

fn last<R>(ends: &[(R, f64)]) -> f64 {
    ends.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max)
}

fn check(scene: Scene, answered: bool) -> Result<(), Failure> {
    if answered == (scene != Scene::Refused) {
        Ok(())
    } else {
        Err("a caller got the wrong answer".into())
    }
}
