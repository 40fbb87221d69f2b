//! What the asynchronous driver needs of a runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A boxed future that can move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the asynchronous driver needs of a runtime: two methods, one line each.
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
///         Box::pin(async move { drop(smol::Timer::after(duration).await) })
///     }
/// }
/// ```
///
/// A login runs as a task of this runtime. If nothing runs the runtime (a `current_thread` runtime
/// outside of `block_on`), the login does not run either: callers elsewhere wait for
/// [`login_timeout`](ctc_core::Settings::login_timeout) and a little longer, then elect another
/// login. Give the driver a runtime that is always being run, such as `Tokio::on(handle)`.
///
/// A runtime that owns its threads must not be dropped last by one of its own tasks: keep a handle
/// here, not the runtime itself.
pub trait Runtime: Send + Sync + 'static {
    /// Runs `task` to its end. A runtime that is shutting down may drop it: the session then makes
    /// another login, or reports that none can be made.
    fn spawn(&self, task: BoxFuture<()>);

    /// Returns after `duration`, never early.
    fn sleep(&self, duration: Duration) -> BoxFuture<()>;
}

impl<R: Runtime + ?Sized> Runtime for Arc<R> {
    fn spawn(&self, task: BoxFuture<()>) {
        (**self).spawn(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        (**self).sleep(duration)
    }
}

#[cfg(feature = "tokio")]
pub use on_tokio::Tokio;

#[cfg(feature = "tokio")]
mod on_tokio {
    use std::sync::Arc;
    use std::time::Duration;

    use event_listener::Event;
    use tokio::runtime::Handle;
    use tokio::task::JoinSet;

    use super::{BoxFuture, Runtime};

    /// The tokio runtime, as a [`Runtime`]. Its time driver must be enabled.
    #[derive(Clone, Debug, Default)]
    pub struct Tokio(Option<Handle>);

    impl Tokio {
        /// The runtime of each caller: a login runs on the runtime of the caller that was elected
        /// to make it. Outside of a runtime no login can be made, and the call says so.
        pub fn current() -> Self {
            Self(None)
        }

        /// One runtime for all logins, whoever calls: for programs with several runtimes, or with
        /// one that is not always being run.
        pub fn on(handle: Handle) -> Self {
            Self(Some(handle))
        }
    }

    impl Runtime for Tokio {
        fn spawn(&self, task: BoxFuture<()>) {
            // Without a runtime the task is dropped, and the driver reports that it was.
            if let Some(handle) = self.0.clone().or_else(|| Handle::try_current().ok()) {
                drop(handle.spawn(task));
            }
        }

        fn sleep(&self, duration: Duration) -> BoxFuture<()> {
            match (Handle::try_current(), self.0.clone()) {
                // The caller's own runtime first: it lives as long as the caller does.
                (Ok(_), _) => Box::pin(tokio::time::sleep(duration)),
                (Err(_), Some(handle)) => Box::pin(sleep_on(handle, duration)),
                // A caller outside of any runtime must not wait for ever.
                (Err(_), None) => Box::pin(sleep_on_a_thread(duration)),
            }
        }
    }

    /// Sleeps in a task of its own: a timer of a runtime that has been shut down panics when it is
    /// polled from outside.
    async fn sleep_on(handle: Handle, duration: Duration) {
        let mut task = JoinSet::new();
        task.spawn_on(async move { tokio::time::sleep(duration).await }, &handle);
        if !matches!(task.join_next().await, Some(Ok(()))) {
            sleep_on_a_thread(duration).await;
        }
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
}
