//! Where the futures of async stacks run, and the runtime of those that bring none.

use std::{future::Future, pin::Pin, thread};

use tokio::{runtime::Builder, sync::mpsc};

/// A task for a [`Runtime`].
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs tasks, on threads of its own: the suite's thread waits for them. Ready for closures.
pub trait Runtime: Send + Sync {
    /// Starts a task and returns at once.
    fn spawn(&self, task: Task);
}

impl<F: Fn(Task) + Send + Sync> Runtime for F {
    fn spawn(&self, task: Task) {
        self(task);
    }
}

/// A tokio runtime on a thread of its own, which ends when this is dropped. With one thread only, a
/// transport that blocks stops everything, and is found out.
pub(super) fn tokio() -> Box<dyn Runtime> {
    let (tasks, mut queue) = mpsc::unbounded_channel::<Task>();
    let started = thread::Builder::new()
        .name("conformance".into())
        .spawn(move || {
            let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async move {
                while let Some(task) = queue.recv().await {
                    tokio::spawn(task);
                }
            });
            // Whatever is left over must not keep this thread.
            runtime.shutdown_background();
        });
    // Without a thread nothing answers, and the case says so.
    drop(started);
    Box::new(move |task| drop(tasks.send(task)))
}
