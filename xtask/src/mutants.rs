//! `cargo xtask mutants`: small changes of the code, one at a time, each of which must make a test
//! fail.

use crate::shell::{cargo, has_subcommand, run as run_command};

/// Runs `cargo mutants` with `args` (`-p ctc-core`, `--file`, `--re`, `-j2`), by default on
/// `ctc-core` and `ctc-driver`. Its other settings are in `.cargo/mutants.toml`.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !has_subcommand("mutants") {
        return Err(
            "cargo-mutants is not installed: cargo install --locked cargo-mutants".to_owned(),
        );
    }
    let mut command = cargo(&["mutants"]);
    if !args
        .iter()
        .any(|arg| arg == "-p" || arg.starts_with("--package"))
    {
        command.args(["--package", "ctc-core", "--package", "ctc-driver"]);
    }
    command.args(args);
    run_command(command)
}
