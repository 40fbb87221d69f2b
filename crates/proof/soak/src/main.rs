//! `ctc-soak`: both clients under load, on real sockets, against a server that misbehaves. Run it
//! with `cargo xtask soak`; its README says what it checks.
//!
//! The server is in this process and the load in a second one, so that everything in the load's
//! process belongs to the clients.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool"
)]

mod check;
mod conductor;
mod load;
mod measure;
mod protocol;
mod rng;
mod weather;

use std::alloc::System;
use std::process::ExitCode;

use cap::Cap;
use lexopt::{Arg, ValueExt};

use crate::protocol::Leak;

/// The system's allocator, which counts the bytes in use.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Any error: it is only printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
cargo xtask soak [--minutes N] [--seed N] [--leak NAME]

  --minutes N   how long to run, fractions included (default 10)
  --seed N      the order of faults and calls
  --leak NAME   leak something in each round, to check that the soak finds it: bytes, client,
                task, thread, socket
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ctc-soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let mut plan = conductor::Plan {
        minutes: 10.0,
        seed: 1,
        leak: None,
    };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("minutes") => plan.minutes = args.value()?.parse()?,
            Arg::Long("seed") => plan.seed = args.value()?.parse()?,
            Arg::Long("leak") => plan.leak = Some(args.value()?.parse_with(Leak::named)?),
            // The second process, started by the first.
            Arg::Value(word) if word == "load" => return load::run().map(|()| true),
            Arg::Long("help") | Arg::Short('h') => {
                print!("{HELP}");
                return Ok(true);
            }
            other => return Err(format!("{}\n\n{HELP}", other.unexpected()).into()),
        }
    }
    if !(plan.minutes > 0.0 && plan.minutes < 1e6) {
        return Err("--minutes takes a number above zero".into());
    }
    conductor::conduct(&plan)
}
