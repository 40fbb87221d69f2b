//! `cargo xtask bench`: builds the benchmarks and runs them.

use std::process::Command;

use crate::shell::{cargo, run as run_command};

const PEERS: &str = "crates/proof/bench/peers/Cargo.toml";

/// Builds with thin LTO, then runs; `args` go to `ctc-bench`. `--peers` runs the other token layers
/// first.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (peers, args): (Vec<_>, Vec<_>) = args.iter().partition(|arg| *arg == "--peers");
    if !peers.is_empty() {
        println!("== peers (a workspace of their own: the first build takes minutes)");
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
    run_command(cargo(&[
        "build",
        "--profile",
        "release-lto",
        "--package",
        "ctc-bench",
    ]))?;
    let mut command: Command = cargo(&[
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
    command.args(args);
    run_command(command)
}
