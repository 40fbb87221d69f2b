//! How many derivations may run at once in this process.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

/// Beyond this many, derivations only slow each other down, and 19 MiB each add up.
const MOST: usize = 4;

/// Lets in a few at a time; the others wait on their threads.
pub(crate) struct Gate {
    free: Mutex<usize>,
    left: Condvar,
    places: usize,
    /// How many were inside at one time, at most: for tests.
    most: AtomicUsize,
}

/// The right to derive one key; given back when it is dropped.
pub(crate) struct Permit<'a>(&'a Gate);

impl Gate {
    /// The one gate of this process: one place for each core, four at most.
    pub(crate) fn of_this_process() -> &'static Self {
        static GATE: OnceLock<Gate> = OnceLock::new();
        GATE.get_or_init(|| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            Self::new(cores.min(MOST))
        })
    }

    pub(super) fn new(places: usize) -> Self {
        Self {
            free: Mutex::new(places),
            left: Condvar::new(),
            places,
            most: AtomicUsize::new(0),
        }
    }

    /// Waits for a place. Each is held for milliseconds.
    pub(super) fn enter(&self) -> Permit<'_> {
        let free = self.left.wait_while(self.free(), |free| *free == 0);
        let mut free = free.unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        self.most.fetch_max(self.places - *free, Relaxed);
        Permit(self)
    }

    /// Waits for all places at once and blocks all other callers, for tests.
    pub(crate) fn enter_alone(&self) -> Vec<Permit<'_>> {
        let is_taken = |free: &mut usize| *free < self.places;
        let free = self.left.wait_while(self.free(), is_taken);
        *free.unwrap_or_else(PoisonError::into_inner) = 0;
        (0..self.places).map(|_| Permit(self)).collect()
    }

    pub(crate) fn most_inside(&self) -> usize {
        self.most.load(Relaxed)
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use super::*;

    #[test]
    fn no_more_are_inside_than_there_are_places_and_all_come_in() {
        let gate = Gate::new(3);
        let (inside, most, done) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        thread::scope(|scope| {
            for _ in 0..24 {
                scope.spawn(|| {
                    let _place = gate.enter();
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, SeqCst);
                    done.fetch_add(1, SeqCst);
                });
            }
        });
        assert_eq!((done.into_inner(), *gate.free()), (24, 3));
        assert!(most.into_inner() <= 3 && gate.most_inside() <= 3);
    }

    #[test]
    fn a_full_gate_waits_for_a_place() {
        let gate = Gate::new(1);
        let place = gate.enter();
        thread::scope(|scope| {
            let second = scope.spawn(|| drop(gate.enter()));
            thread::yield_now();
            assert!(!second.is_finished(), "there is one place");
            drop(place);
            second.join().unwrap();
        });
    }

    #[test]
    fn a_panic_gives_the_place_back() {
        let gate = Gate::new(1);
        let panics = || {
            let _place = gate.enter();
            panic!("in the midst of it");
        };
        let outcome = thread::scope(|scope| scope.spawn(panics).join());
        assert!(outcome.is_err());
        drop(gate.enter());
    }

    #[test]
    fn this_process_has_one_gate_of_four_places_at_most() {
        let gate = Gate::of_this_process();
        assert!(std::ptr::eq(gate, Gate::of_this_process()));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        assert!(*gate.free() <= cores.min(MOST) && MOST == 4);
    }
}
