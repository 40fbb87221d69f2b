//! `ctc proxy`, the real program on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers are tests too"
)]
// They read `/proc`, and give the program its certificates through `SSL_CERT_FILE`.
#![cfg(target_os = "linux")]

mod attacks;
mod clients;
mod denials;
mod flood;
mod health;
mod life;
mod places;
mod streams;
mod support;
