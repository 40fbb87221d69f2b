//! The tokio runtime, as the port wants it.

use tokio::runtime::Handle;

use super::{BoxFuture, Runtime};

/// The tokio runtime, as a [`Runtime`].
#[derive(Clone, Debug, Default)]
pub struct Tokio(Option<Handle>);

impl Tokio {
    /// The runtime of each caller: a login runs on the runtime of the caller that was elected to
    /// make it. Outside of a runtime no login can be made, and the call says so.
    pub fn current() -> Self {
        Self(None)
    }

    /// One runtime for all logins, whoever calls: for programs with several runtimes, or with one
    /// that is not always being run. Nobody may be running it (a `current_thread` runtime outside
    /// of `block_on`): see [`Runtime`](trait@Runtime) for what its calls are told then.
    pub fn on(handle: Handle) -> Self {
        Self(Some(handle))
    }
}

impl Runtime for Tokio {
    fn spawn(&self, task: BoxFuture<()>) {
        // Without a runtime the task is dropped, and the driver reports that it was.
        let handle = self.0.clone().or_else(|| Handle::try_current().ok());
        drop(handle.map(|handle| handle.spawn(task)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::{Duration, Instant};

    use futures_util::FutureExt;
    use futures_util::future::{join, join_all};
    use tokio::runtime::{Builder, Runtime as TokioRuntime};

    use super::*;

    const SPAN: Duration = Duration::from_millis(50);

    #[cfg(target_os = "linux")]
    #[test]
    fn many_sleeps_outside_of_a_runtime_are_one_thread() {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let (began, before) = (Instant::now(), threads());
        let meanwhile = async {
            Tokio::current().sleep(SPAN / 2).await;
            assert!(began.elapsed() >= SPAN / 2);
            assert!(threads() < before + 50, "those of other tests, and one");
        };
        let sleeps = (0..500).map(|_| Tokio::current().sleep(SPAN));
        smol::block_on(join(join_all(sleeps), meanwhile));
        assert!(began.elapsed() >= SPAN);
    }

    /// A runtime without timers, or one that is shut down: where tokio's own timers panic.
    #[test]
    fn a_sleep_ends_in_time_whatever_becomes_of_its_runtime_and_panics_nowhere() {
        static PANICS: AtomicUsize = AtomicUsize::new(0);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let of_tokio = |file: &str| file.contains("tokio") && !file.contains("on_tokio");
            if panic.location().is_some_and(|at| of_tokio(at.file())) {
                PANICS.fetch_add(1, SeqCst);
            }
            hook(panic);
        }));
        let began = Instant::now();
        let without_timers = Builder::new_current_thread().build().unwrap();
        without_timers.block_on(Tokio::current().sleep(SPAN));
        let gone = TokioRuntime::new().unwrap().handle().clone();
        let inside = gone.enter();
        smol::block_on(Tokio::current().sleep(SPAN));
        smol::block_on(Tokio::on(gone.clone()).sleep(SPAN));
        drop(inside);
        let runtime = TokioRuntime::new().unwrap();
        let mut sleep = Tokio::current().sleep(SPAN);
        assert!(
            runtime
                .block_on(async { (&mut sleep).now_or_never() })
                .is_none()
        );
        drop(runtime);
        smol::block_on(sleep);
        assert!(began.elapsed() >= 4 * SPAN);
        assert_eq!(PANICS.load(SeqCst), 0);
    }
}
