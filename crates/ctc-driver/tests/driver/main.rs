//! The drivers over a scripted server in memory and in virtual time: no sockets, no sleeps.
//!
//! Test names begin with the failure case (`tNN_`) or the guarantee (`guarantee_N_`) that they are
//! about.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

mod adopting;
mod cancel;
mod credentials;
mod early;
mod guarantees;
mod herd;
mod histories;
mod kept;
mod limiter;
mod midflight;
mod offline;
mod refusals;
mod renewal;
mod replay;
mod saving;
mod sealed;
mod secrets;
mod stores;
mod support;
mod tasks;
mod threads;
mod warnings;
