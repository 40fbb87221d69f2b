//! The port for runtimes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::timer::{Sleep, end_of};

/// A boxed future that can move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A runtime for the asynchronous driver: two methods, usually one line each.
///
/// ```
/// use std::time::Duration;
/// use ctc_driver::{BoxFuture, Runtime};
///
/// struct Smol;
///
/// impl Runtime for Smol {
///     fn spawn(&self, task: BoxFuture<()>) {
///         smol::spawn(task).detach();
///     }
///
///     fn sleep(&self, duration: Duration) -> BoxFuture<()> {
///         Box::pin(async move { _ = smol::Timer::after(duration).await })
///     }
/// }
/// ```
///
/// A login runs as a task of this runtime. If nothing runs the runtime (a `current_thread` runtime
/// outside of `block_on`), the login does not run either. The caller that was elected for it is
/// denied ([`NotRun`](ctc_core::Denial::NotRun)) after 10 s, and so are all others of this driver
/// that want a token then or in the 10 s after that, unless another task starts meanwhile. Give the
/// driver a runtime that is always running, such as `Tokio::on(handle)`.
///
/// A runtime that owns its threads must not be dropped last by one of its own tasks: keep a handle
/// here, not the runtime itself.
pub trait Runtime: Send + Sync + 'static {
    /// Runs `task` to its end. A runtime that is shutting down may drop it: the caller of that
    /// login is then denied, and the next caller makes another.
    fn spawn(&self, task: BoxFuture<()>);

    /// Returns after `duration`, never early. By default a thread of the process, `ctc-timer`,
    /// keeps the time for all who sleep.
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(Sleep::until(end_of(duration)))
    }
}

impl<R: Runtime + ?Sized> Runtime for Arc<R> {
    fn spawn(&self, task: BoxFuture<()>) {
        (**self).spawn(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        (**self).sleep(duration)
    }
}

/// Returns what `work` returns, or `None` if it is not done after `limit`.
pub async fn within<R>(
    runtime: &dyn Runtime,
    limit: Duration,
    work: impl Future<Output = R> + Send + Unpin,
) -> Option<R> {
    match select(work, runtime.sleep(limit)).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(((), _)) => None,
    }
}
