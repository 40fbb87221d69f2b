//! The locks, the published pass and the waiting, as `SharedSession` uses them.
//!
//! With `--cfg shuttle` they are those of a scheduler that tries many orders of threads
//! (`tests/shuttle.rs`).

use std::sync::PoisonError;

#[cfg(not(shuttle))]
pub(crate) use {
    arc_swap::ArcSwapOption,
    event_listener::{Event, EventListener},
    std::sync::atomic::{AtomicBool, Ordering},
    std::sync::{Condvar, Mutex, MutexGuard},
    std::thread_local,
};

#[cfg(shuttle)]
pub(crate) use modelled::{ArcSwapOption, Event, EventListener};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(shuttle)]
pub(crate) use shuttle::thread_local;

#[cfg(shuttle)]
#[path = "../../tests/shuttle/modelled.rs"]
mod modelled;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
