//! `ctc proxy`, the real program on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers are tests too"
)]
#![cfg(unix)]

mod attacks;
mod clients;
mod denials;
mod flood;
mod health;
mod life;
mod places;
mod streams;
mod support;
