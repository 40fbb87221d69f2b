//! The one door for chores: `cargo xtask`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool"
)]

mod bench;
mod ci;
mod fleet;
mod mutants;
mod shell;
mod sim;
mod soak;
mod test;
mod vendor;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <chore>

  test          every test of every crate and example; ends with what was left out, and the sum
  ci            every check; `ci <step>` runs one, `--keep-going` goes on after a failure
  ci list       the steps
  fleet         many processes, one session: `fleet --store file|redis --processes 20`
  sim           simulated worlds: `--seeds N`, `--seed N`, `--exhaust`, `--sabotage NAME|all|list`
  threads       the session's locks under a scheduler that tries many orders; `--sabotage`
  mutants       faults put into core and driver one by one, each of which some test must
                notice (an hour or two)
  soak          both clients under load on real sockets, with faults: `--minutes N`, `--leak NAME`
  bench         what the session layer costs, in one table: `--quick`, `--check`, `--peers`,
                `--proxy`
  api           rewrite the listings of the public API in xtask/api; read the difference
                before you commit it
  vendor        the vendor's own documented client (Python, requests) against our server
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (chore, rest) = args
        .split_first()
        .map_or(("", &[][..]), |(chore, rest)| (chore.as_str(), rest));
    let result = match chore {
        "test" => test::run(rest).map(drop),
        "bench" => bench::run(rest),
        "ci" => ci::run(rest),
        "fleet" => fleet::run(rest),
        "mutants" => mutants::run(rest),
        "sim" => sim::run(rest),
        "soak" => soak::run(rest),
        "threads" => sim::threads(rest),
        "api" => ci::write_api(),
        "vendor" => vendor::run(),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("no chore named {other}\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
