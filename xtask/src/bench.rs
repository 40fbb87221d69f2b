//! `cargo xtask bench`: builds the benchmarks and runs them.

use std::process::Command;

use crate::shell::{cargo, read_all_lines, run as run_command};

const PEERS: &str = "crates/proof/bench/peers/Cargo.toml";

/// Builds the benchmarks with thin LTO and runs them; `args` are for `ctc-bench`. `--peers` runs
/// the other token layers first.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (peers, args): (Vec<_>, Vec<_>) = args.iter().partition(|arg| *arg == "--peers");
    if !peers.is_empty() {
        println!("== peers (a separate workspace: the first build takes minutes)");
        run_command(cargo(&[
            "run",
            "--release",
            "--locked",
            "--manifest-path",
            PEERS,
        ]))?;
        if args.is_empty() {
            return Ok(());
        }
    }
    run_command(built(&args)?)
}

/// Compares with the committed figures. Returns what could not be compared here.
pub(crate) fn check() -> Result<Option<String>, String> {
    let mut left_out = None;
    let fine = read_all_lines(built(&["--check"])?, |line| {
        if let Some(why) = line.strip_prefix("instructions: skipped, ") {
            left_out = Some(format!("without instructions, {why}"));
        }
    })?;
    match fine {
        true => Ok(left_out),
        false => Err("the benchmarks failed; see above".to_owned()),
    }
}

/// Builds the benchmarks with their own profile and, for `--proxy`, the program that is measured.
/// Returns the command that runs them.
fn built(args: &[impl AsRef<str>]) -> Result<Command, String> {
    let mut build = cargo(&[
        "build",
        "--profile",
        "release-lto",
        "--package",
        "ctc-bench",
    ]);
    if args.iter().any(|arg| arg.as_ref() == "--proxy") {
        build.args(["--package", "ctc-cli"]);
    }
    run_command(build)?;
    let mut command = cargo(&[
        "run",
        "--quiet",
        "--profile",
        "release-lto",
        "--package",
        "ctc-bench",
        "--bin",
        "ctc-bench",
        "--",
    ]);
    command.args(args.iter().map(AsRef::as_ref));
    Ok(command)
}
