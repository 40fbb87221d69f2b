//! What the session layer costs: the work that the binaries of this crate measure.
//!
//! `ctc-bench` prints the table, `ctc-bench-work` does one kind of work many times (for valgrind,
//! and as the server on loopback), `ctc-bench-count` counts allocations. `cargo xtask bench` builds
//! and runs them.

pub mod bare_proxy;
pub mod build;
pub mod calls;
pub mod load;
pub mod rounds;
pub mod scene;
pub mod server;
pub mod stub;

/// Any error: a benchmark only prints it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
