//! The local proxy.

use crate::exit::Failure;
use crate::session::SessionOptions;

/// Options of `ctc proxy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the proxy until it is told to end.
pub(crate) fn run(_: Args, options: &SessionOptions) -> Result<(), Failure> {
    options.account()?.build().map(drop)
}
