//! The one door for chores: `cargo xtask`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

mod ci;
mod shell;
mod test;
mod vendor;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <chore>

  test          every test of every crate and example, and a closing line with the sum
  ci            all that must hold on a clean checkout; `ci <step>` runs one step of it
  ci list       the steps
  api           writes the listings of the public API in api/ anew; read the difference before you commit it
  vendor        the vendor's own documented client (Python, requests) against our server
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (chore, rest) = args.split_first().map_or(("", &[][..]), |(chore, rest)| (chore.as_str(), rest));
    let result = match chore {
        "test" => test::run(rest),
        "ci" => ci::run(rest),
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
