//! The resources of this process.

use std::fs;

use serde::{Deserialize, Serialize};

/// The figures of one moment. What the system does not tell is 0: all but `heap` and `tasks` need
/// Linux.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Bytes on the heap that are in use.
    pub(crate) heap: u64,
    /// The largest number so far.
    pub(crate) heap_peak: u64,
    pub(crate) tasks: u64,
    /// Without those of the pool.
    pub(crate) threads: u64,
    /// Threads of the crate `blocking`, on which tasks use a blocking store. The process has one
    /// pool, whose threads never end.
    pub(crate) pool: u64,
    pub(crate) sockets: u64,
    /// Open file descriptors, sockets among them.
    pub(crate) files: u64,
    /// Memory in use as the system counts it, and the most so far.
    pub(crate) rss: u64,
    pub(crate) rss_peak: u64,
}

/// The largest number of store operations at a time, including those whose callers are gone.
const MOST_IN_POOL: u64 = 12;

/// Whether threads, sockets and files can be counted here.
pub(crate) const KNOWS_ALL: bool = cfg!(target_os = "linux");

impl Figures {
    pub(crate) fn now(tasks: usize) -> Self {
        // Read this first, because reading the others takes memory.
        let (heap, heap_peak) = (
            crate::HEAP.allocated() as u64,
            crate::HEAP.max_allocated() as u64,
        );
        let mut figures = Self {
            heap,
            heap_peak,
            tasks: tasks as u64,
            ..Self::default()
        };
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            let number = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
                    .unwrap_or_default()
            };
            (figures.rss, figures.rss_peak) = (number("VmRSS:") * 1024, number("VmHWM:") * 1024);
        }
        if let Ok(threads) = fs::read_dir("/proc/self/task") {
            for thread in threads.flatten() {
                let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
                *if name.starts_with("blocking-") {
                    &mut figures.pool
                } else {
                    &mut figures.threads
                } += 1;
            }
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            for file in files.flatten() {
                figures.files += 1;
                let target = fs::read_link(file.path()).unwrap_or_default();
                figures.sockets += u64::from(target.to_string_lossy().starts_with("socket:"));
            }
        }
        figures
    }

    /// Returns the higher of both, for each figure.
    pub(crate) fn most(self, other: Self) -> Self {
        Self {
            heap: self.heap.max(other.heap),
            heap_peak: self.heap_peak.max(other.heap_peak),
            tasks: self.tasks.max(other.tasks),
            threads: self.threads.max(other.threads),
            pool: self.pool.max(other.pool),
            sockets: self.sockets.max(other.sockets),
            files: self.files.max(other.files),
            rss: self.rss.max(other.rss),
            rss_peak: self.rss_peak.max(other.rss_peak),
        }
    }

    /// Describes what is in use beyond `base` and this many bytes.
    pub(crate) fn above(&self, base: &Self, slack: u64) -> Vec<String> {
        let counts = [
            ("heap", self.heap, base.heap + slack),
            ("tasks", self.tasks, base.tasks),
            ("threads", self.threads, base.threads),
            (
                "threads of the pool",
                self.pool,
                base.pool.max(MOST_IN_POOL),
            ),
            ("sockets", self.sockets, base.sockets),
            ("files", self.files, base.files),
        ];
        let above = counts.into_iter().filter(|(_, now, most)| now > most);
        above
            .map(|(what, now, most)| format!("{what}: {now}, and no more than {most} is due"))
            .collect()
    }
}
