//! `cargo xtask`: the chores of the repository.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool"
)]

mod bench;
mod ci;
mod fleet;
mod heartbeat;
mod mutants;
mod package;
mod shell;
mod sim;
mod soak;
mod test;
mod vendor;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <chore>

  test          run every test of every crate and example; print what was skipped, and the sums
  ci            run every check; `ci <step>` runs one, `--keep-going` continues after a failure
  ci list       list the steps
  fleet         run many processes with one session: `--store file|redis`, `--processes 20`
  sim           run simulated worlds: `--seeds N`, `--seed N`, `--exhaust`,
                `--sabotage NAME|all|list`
  threads       run the driver's locks under a scheduler that tries many orders; `--sabotage`
  mutants       make small changes in core and driver, one at a time; each must make a test fail
                (takes hours)
  soak          run both clients under load on real sockets, with faults: `--minutes N`,
                `--leak NAME`
  bench         measure what the session layer costs: `--quick`, `--check`, `--peers`, `--proxy`
  package       build each published crate from its packaged archive alone; print a table
  api           rewrite the listings of the public API in xtask/api; read the difference
                before you commit it
  vendor        run the vendor's documented client (Python, requests) against our test server
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (chore, rest) = args
        .split_first()
        .map_or(("", &[][..]), |(chore, rest)| (chore.as_str(), rest));
    let long = |run: &dyn Fn() -> Result<(), String>| heartbeat::during(chore, run);
    let result = match chore {
        "test" => long(&|| test::run(rest).map(drop)),
        "bench" => long(&|| bench::run(rest)),
        "ci" => ci::run(rest),
        "fleet" => long(&|| fleet::run(rest)),
        "mutants" => long(&|| mutants::run(rest)),
        "sim" => long(&|| sim::run(rest)),
        "soak" => long(&|| soak::run(rest)),
        "threads" => long(&|| sim::threads(rest)),
        "package" => long(&|| package::run(rest)),
        "api" => long(&|| ci::write_api()),
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
