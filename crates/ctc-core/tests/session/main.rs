//! The session in virtual time: whole conversations, no sleep, no server, no clock.
//!
//! `t03_…` names a case of the failure catalogue, `guarantee_4_…` a guarantee of the crate.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so at once"
)]

mod clocks;
mod credentials;
mod endings;
mod endpoint;
mod futile;
mod governor;
mod herd;
mod learning;
mod lease;
mod limited;
mod login_answers;
mod oauth;
mod phases;
mod printed;
mod random_walk;
mod readings;
mod records;
mod records_clock;
mod records_newer;
mod refusal;
mod renewal;
mod rotation;
mod scenario;
mod secrets;
mod stamp;
mod unauthorized;
