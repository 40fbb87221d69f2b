//! `cargo xtask soak`: both clients under load for a while, with faults; nothing may leak.

use crate::shell::{cargo, run as run_command};

/// `args` go to `ctc-soak`: `--minutes N`, `--seed N`, `--leak NAME`.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut command = cargo(&["run", "--quiet", "--release", "--package", "ctc-soak", "--"]);
    command.args(args);
    run_command(command)
}
