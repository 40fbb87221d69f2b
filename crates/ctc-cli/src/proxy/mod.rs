//! The local proxy.

/// Options of `ctc proxy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
