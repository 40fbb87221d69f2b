//! `cargo xtask mutants`: faults put into the code one by one, each of which some test must notice.

use crate::shell::{cargo, has_subcommand, run as run_command};

/// Both crates that decide something, or what `args` choose (`-p ctc-core`, `--file`, `--re`,
/// `-j2`): they go to `cargo mutants`, whose other settings are in `.cargo/mutants.toml`.
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
