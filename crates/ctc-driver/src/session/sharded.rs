//! Sharded: what every call writes to, once for each core, so that cores do not contend for it.

use std::cell::Cell;
use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::available_parallelism;

/// More lanes than cores: threads keep their lane, and threads that run at the same time should
/// have different ones.
const LANES_PER_CORE: usize = 4;
const MOST_LANES: usize = 64;

/// One `T` for each lane; a thread always takes the same.
#[derive(Debug)]
pub(crate) struct Sharded<T>(Box<[T]>);

impl<T> Sharded<T> {
    pub(crate) fn new(make: impl FnMut() -> T) -> Self {
        Self(std::iter::repeat_with(make).take(count()).collect())
    }

    /// This thread's.
    #[inline]
    pub(crate) fn local(&self) -> &T {
        &self.0[lane()]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

/// A value in a cache line (and its neighbour, which is fetched along with it) of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

fn count() -> usize {
    if cfg!(shuttle) {
        return 1; // all of its threads are one
    }
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let cores = available_parallelism().map_or(1, NonZero::get);
        (cores * LANES_PER_CORE).min(MOST_LANES)
    })
}

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// This thread's lane.
#[inline]
fn lane() -> usize {
    let lane = LANE.get();
    if lane == usize::MAX { choose() } else { lane }
}

#[cold]
fn choose() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Once for each thread: a division in each call is measurable.
    let lane = NEXT.fetch_add(1, Relaxed) % count();
    LANE.set(lane);
    lane
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_thread_keeps_its_lane_and_others_have_others() {
        let sharded = Sharded::new(|| Padded(0));
        let seen: HashSet<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mine = &sharded.0[lane()];
                        assert!(
                            std::ptr::eq(sharded.local(), mine)
                                && std::ptr::eq(sharded.local(), mine)
                        );
                        lane()
                    })
                })
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect()
        });
        // Threads of other tests take lanes meanwhile.
        assert!(seen.len() > 1 || count() == 1);
    }

    #[test]
    fn there_are_some_lanes_for_each_core() {
        let cores = available_parallelism().map_or(1, NonZero::get);
        assert_eq!(Sharded::new(|| ()).iter().count(), (4 * cores).min(64));
    }
}
