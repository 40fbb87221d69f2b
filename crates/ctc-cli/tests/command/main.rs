//! The command, as a shell runs it, against a CTC server on loopback.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

mod calls;
mod endings;
mod one_login;
mod operators;
mod secrets;
mod sessions;
mod support;
mod via;
