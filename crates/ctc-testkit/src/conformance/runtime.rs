//! Where the futures of async stacks run: the runtime of those that bring none.

use std::thread;
use std::time::Duration;

use ctc_driver::{BoxFuture, Runtime, Tokio};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, UnboundedSender};

/// A tokio runtime on a thread of its own, which ends when this is dropped. With one thread only, a
/// transport that blocks stops everything, and is found out.
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
        // Whatever is left over must not keep this thread.
        runtime.shutdown_background();
    };
    // Without a thread nothing responds, and the case says so.
    drop(thread::Builder::new().name("conformance".into()).spawn(run));
    Box::new(OnOneThread(tasks))
}
