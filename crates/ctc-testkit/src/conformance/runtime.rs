//! The runtime of async stacks that bring none.

use std::thread;
use std::time::Duration;

use ctc_driver::{BoxFuture, Runtime, Tokio};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, UnboundedSender};

/// A tokio runtime with one thread, which ends when this is dropped. With only one thread, a
/// transport that blocks stops everything, so the suite detects it.
struct OnOneThread(UnboundedSender<BoxFuture<()>>);

impl Runtime for OnOneThread {
    fn spawn(&self, task: BoxFuture<()>) {
        drop(self.0.send(task));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Tokio::current().sleep(duration)
    }
}

pub(super) fn tokio() -> Box<dyn Runtime> {
    let (tasks, mut queue) = mpsc::unbounded_channel();
    let run = move || {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async move {
            while let Some(task) = queue.recv().await {
                tokio::spawn(task);
            }
        });
        // Do not wait for tasks that are left over.
        runtime.shutdown_background();
    };
    // If no thread can be started, nothing responds, and the case reports that.
    drop(thread::Builder::new().name("conformance".into()).spawn(run));
    Box::new(OnOneThread(tasks))
}
