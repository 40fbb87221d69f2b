//! Shows that the guarantees of `ctc-core` and `ctc-driver` hold in worlds that a seed draws.
//!
//! A world has one server, one to four processes with several callers each, up to two stores that
//! some of the processes share, and virtual time. Each process runs the **real** driver
//! ([`AsyncDriver`](ctc_driver::AsyncDriver), sometimes [`Driver`](ctc_driver::Driver)) over the
//! real session; only network, store, clock and runtimes are simulated. The seed draws the faults.
//! After every event an observer checks that what each session did follows from what reached it;
//! see [`Guarantee`].

mod actions;
mod blocking;
mod callers;
mod calls;
mod checks;
mod clock;
mod count;
mod driver;
mod exhaust;
mod forge;
mod held;
mod kinds;
mod login_rules;
mod logins;
mod net;
mod observer;
mod plan;
mod process_clock;
mod programs;
mod renewal_rules;
mod rng;
mod run;
mod runtime;
mod secrets;
mod server;
mod shelf;
mod source;
mod source_rules;
mod store;
mod store_rules;
mod task;
mod tasks;
mod token_endpoint;
mod turns;
mod watch;
mod wire;
mod world;

pub use count::Tally;
pub use exhaust::{Searched, exhaust};
pub use run::{Report, run};
pub use watch::{Guarantee, Violation};

/// Searches what the driver logs on this thread for secrets, while `work` runs.
pub fn with_log_search<R>(work: impl FnOnce() -> R) -> R {
    tracing::dispatcher::with_default(&tracing::Dispatch::new(secrets::Searching), work)
}
