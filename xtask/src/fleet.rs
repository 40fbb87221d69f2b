//! `cargo xtask fleet`: the example of many processes with one session.

use crate::shell::{cargo, run as run_command};

/// Runs the example; `args` are for it: `--store file|redis`, `--processes N`, `--redis-url URL`.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut command = cargo(&[
        "run",
        "--quiet",
        "--package",
        "ctc-examples",
        "--example",
        "fleet",
        "--",
    ]);
    command.args(args);
    run_command(command)
}
