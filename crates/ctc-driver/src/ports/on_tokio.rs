//! The tokio runtime as a [`Runtime`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;
use futures_util::FutureExt;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinSet;

use super::{BoxFuture, Runtime};

/// How long a task may wait for its first poll before its runtime counts as not running. Our
/// choice: far longer than a busy runtime needs.
const IDLE: Duration = Duration::from_secs(10);

/// The tokio runtime, as a [`Runtime`].
#[derive(Clone, Debug, Default)]
pub struct Tokio(Option<Fixed>);

#[derive(Clone, Debug)]
struct Fixed {
    handle: Handle,
    /// When the oldest task that was not polled yet was spawned.
    unpolled_since: Arc<Mutex<Option<Instant>>>,
}

impl Tokio {
    /// Uses the runtime of each caller: a login runs on the runtime of the elected caller. Outside
    /// of a runtime no login can be made, and the call is denied with this reason.
    pub fn current() -> Self {
        Self(None)
    }

    /// Uses one runtime for all logins: for programs with several runtimes, or with one that is not
    /// always running.
    ///
    /// If it is not running (a `current_thread` runtime outside of `block_on`), the first call is
    /// denied when the login's lease expires ([`Settings::lease`](ctc_core::Settings::lease)), and
    /// all others immediately: a handle does not show whether its runtime is running.
    pub fn on(handle: Handle) -> Self {
        Self(Some(Fixed {
            handle,
            unpolled_since: Arc::default(),
        }))
    }
}

impl Runtime for Tokio {
    fn spawn(&self, task: BoxFuture<()>) {
        // Without a runtime the task is dropped, and the driver reports that it was.
        match &self.0 {
            Some(fixed) => fixed.spawn(task),
            None => drop(Handle::try_current().map(|handle| handle.spawn(task))),
        }
    }

    /// Sleeps on the caller's own runtime, which lives as long as the caller does.
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        // A timer panics if its runtime is shut down or has no timers: nothing tells beforehand.
        let timer = || catch_unwind(|| tokio::time::sleep(duration)).ok();
        let Some(timer) = Handle::try_current().ok().and_then(|_| timer()) else {
            let handle = self.0.as_ref().map(|fixed| fixed.handle.clone());
            return Box::pin(sleep_outside(handle, duration));
        };
        // Combinators and a short form of the deadline, since each waiter holds one of these: an
        // `async` block would be twice the size.
        let until = millis(timer.deadline().into_std());
        Box::pin(AssertUnwindSafe(timer).catch_unwind().then(move |slept| {
            let left = Duration::from_millis(until.saturating_sub(millis(Instant::now())));
            let rest: BoxFuture<()> = match slept {
                Ok(()) => Box::pin(std::future::ready(())),
                Err(_) => Box::pin(sleep_on_a_thread(left)),
            };
            rest
        }))
    }
}

/// The milliseconds from some instant of this process to `instant`, rounded up.
fn millis(instant: Instant) -> u64 {
    static BASE: OnceLock<Instant> = OnceLock::new();
    let since = instant.saturating_duration_since(*BASE.get_or_init(Instant::now));
    u64::try_from(since.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

impl Fixed {
    fn spawn(&self, task: BoxFuture<()>) {
        let mut since = self
            .unpolled_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if since.get_or_insert_with(Instant::now).elapsed() > IDLE {
            return;
        }
        drop(since);
        let unpolled_since = Arc::clone(&self.unpolled_since);
        drop(self.handle.spawn(async move {
            *unpolled_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = None;
            task.await;
        }));
    }
}

/// Sleeps outside of any runtime: on the threads of `handle`, or else on one of its own.
async fn sleep_outside(handle: Option<Handle>, duration: Duration) {
    let began = Instant::now();
    // A runtime without threads of its own may not be run by anybody.
    if let Some(handle) = handle.filter(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread) {
        let mut task = JoinSet::new();
        task.spawn_on(async move { tokio::time::sleep(duration).await }, &handle);
        if matches!(task.join_next().await, Some(Ok(()))) {
            return;
        }
    }
    sleep_on_a_thread(duration.saturating_sub(began.elapsed())).await;
}

async fn sleep_on_a_thread(duration: Duration) {
    let event = Arc::new(Event::new());
    let slept = event.listen();
    let sleep = move || {
        std::thread::sleep(duration);
        event.notify(1);
    };
    // If the system has no thread left, the wait ends early rather than never.
    if std::thread::Builder::new().spawn(sleep).is_ok() {
        slept.await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::runtime::{Builder, Runtime as TokioRuntime};

    use super::*;

    const SPAN: Duration = Duration::from_millis(50);
    /// Far more than anything here takes.
    const SOON: Duration = Duration::from_secs(8);

    fn multi_thread() -> TokioRuntime {
        TokioRuntime::new().unwrap()
    }

    fn current_thread() -> TokioRuntime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// Begun in `on`, which is shut down then.
    fn left_behind(on: &Tokio, runtime: TokioRuntime) -> BoxFuture<()> {
        let mut sleep = on.sleep(SPAN);
        let polled = runtime.block_on(async { (&mut sleep).now_or_never() });
        assert!(polled.is_none());
        drop(runtime);
        sleep
    }

    #[test]
    fn a_sleep_ends_in_time_whatever_becomes_of_its_runtime() {
        let cases: [(&str, fn()); 8] = [
            ("inside", || {
                current_thread().block_on(Tokio::current().sleep(SPAN));
            }),
            ("inside, without timers", || {
                let runtime = Builder::new_current_thread().build().unwrap();
                runtime.block_on(Tokio::current().sleep(SPAN));
            }),
            ("outside", || smol::block_on(Tokio::current().sleep(SPAN))),
            ("outside of a running one", || {
                let runtime = multi_thread();
                smol::block_on(Tokio::on(runtime.handle().clone()).sleep(SPAN));
            }),
            ("outside of one that nobody runs", || {
                let runtime = current_thread();
                smol::block_on(Tokio::on(runtime.handle().clone()).sleep(SPAN));
            }),
            ("outside of one that is gone", || {
                let gone = multi_thread().handle().clone();
                smol::block_on(Tokio::on(gone).sleep(SPAN));
            }),
            ("inside of one that is gone", || {
                let gone = multi_thread().handle().clone();
                let _inside = gone.enter();
                smol::block_on(Tokio::current().sleep(SPAN));
            }),
            ("begun inside of one that is gone by now", || {
                for runtime in [current_thread(), multi_thread()] {
                    let gone = Tokio::on(runtime.handle().clone());
                    let sleep = left_behind(&gone, runtime);
                    current_thread().block_on(sleep);
                }
            }),
        ];
        for (name, case) in cases {
            let (ended, ends) = mpsc::channel();
            let began = Instant::now();
            std::thread::spawn(move || {
                case();
                ended.send(()).unwrap();
            });
            assert_eq!(ends.recv_timeout(SOON), Ok(()), "{name}");
            assert!(began.elapsed() >= SPAN, "{name}");
        }
    }

    #[test]
    fn a_runtime_that_does_not_run_gets_no_more_tasks_until_it_runs() {
        let runtime = current_thread();
        let tokio = Tokio::on(runtime.handle().clone());
        let spawned = Arc::new(());
        let spawn = || {
            let mine = Arc::clone(&spawned);
            tokio.spawn(Box::pin(async move { drop(mine) }));
            Arc::strong_count(&spawned) - 1
        };
        assert_eq!((spawn(), spawn()), (1, 2));
        let since = &tokio.0.as_ref().unwrap().unpolled_since;
        *since.lock().unwrap() = Instant::now().checked_sub(2 * IDLE);
        assert_eq!(spawn(), 2);
        runtime.block_on(tokio::task::yield_now());
        assert_eq!((spawn(), spawn()), (1, 2));
    }
}
