//! `cargo xtask soak`: runs both clients under load with faults, and checks that nothing leaks.

use crate::shell::{cargo, run as run_command};

/// Runs `ctc-soak`; `args` are for it: `--minutes N`, `--seed N`, `--leak NAME`.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut command = cargo(&["run", "--quiet", "--release", "--package", "ctc-soak", "--"]);
    command.args(args);
    run_command(command)
}
