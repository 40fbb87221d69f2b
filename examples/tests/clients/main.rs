//! What both clients do alike: one file of tests, compiled for each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers are tests too"
)]

mod asynchronous;
mod blocking;
