//! `ctc-bench`: one table of all bars, with their figures and whether they are met. Run it with
//! `cargo xtask bench`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool"
)]

mod check;
mod measure;
mod picture;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use ctc_bench::Failure;
use lexopt::{Arg, ValueExt};
use serde_json::{Value, json};

use crate::measure::whole::Server;
use crate::measure::{
    Plan, building, chores, counted, herds, proxy, stamps, stores, threads, whole,
};
use crate::table::{Row, Verdict};

const HELP: &str = "\
cargo xtask bench [--quick] [--json FILE] [--pictures DIR]
                  [--check | --write-figures | --proxy] [--peers]

  --quick           fewer rounds, smaller herds: under two minutes
  --json FILE       the table as JSON too
  --pictures DIR    draw the pictures into DIR (after --peers, with the peers in them)
  --check           only instructions and allocations, against figures.json: fails beyond 3 %
  --write-figures   measure those and commit them to figures.json
  --proxy           only `ctc proxy`, against a bare proxy of the same parts: some 20 minutes
  --peers           other token layers on the same work; writes pictures/peers.json
";

struct Options {
    quick: bool,
    json: Option<PathBuf>,
    pictures: Option<PathBuf>,
    check: bool,
    write: bool,
    proxy: bool,
}

fn main() -> ExitCode {
    ctc_bench::build::install_tls();
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ctc-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, Failure> {
    let mut options = Options {
        quick: false,
        json: None,
        pictures: None,
        check: false,
        write: false,
        proxy: false,
    };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("quick") => options.quick = true,
            Arg::Long("json") => options.json = Some(args.value()?.parse()?),
            Arg::Long("pictures") => options.pictures = Some(args.value()?.parse()?),
            Arg::Long("check") => options.check = true,
            Arg::Long("write-figures") => options.write = true,
            Arg::Long("proxy") => options.proxy = true,
            _ => return Err(format!("{}\n\n{HELP}", arg.unexpected()).into()),
        }
    }
    Ok(options)
}

/// Returns whether the run succeeded: with `--check`, whether the figures agree; otherwise even if
/// bars are missed.
fn run(options: &Options) -> Result<bool, Failure> {
    let binaries = std::env::current_exe()?
        .parent()
        .map(PathBuf::from)
        .unwrap_or_default();
    let plan = Plan {
        quick: options.quick,
        binaries,
    };
    let server = Server::start(&plan)?;
    if options.proxy {
        let (rows, points) = step("proxy", || proxy::measure(&plan, &server))?;
        return report(options, &rows, |folder, machine| {
            let figures = format!("{:#}\n", table::json(&rows, machine));
            std::fs::write(folder.join("proxy.json"), figures)?;
            picture::draw_proxy(folder, machine, &points)
        });
    }
    let allocations = step("allocations", || counted::allocations(&plan, &server))?;
    let instructions = step("instructions", || {
        counted::instructions(&plan, &server, options.check)
    })?;
    if options.check || options.write {
        return check::run(options.write, &allocations, instructions.as_ref());
    }
    let (mut rows, stamps) = step("stamps", || stamps::measure(&plan))?;
    let (more, by_threads) = step("threads", || threads::measure(&plan))?;
    rows.extend(more);
    rows.extend(step("whole calls", || whole::measure(&plan, &server))?);
    rows.extend(counted::rows(&allocations, instructions.as_ref()));
    let (more, by_callers) = step("herds", || herds::measure(&plan))?;
    rows.extend(more);
    rows.extend(step("building clients", building::measure)?);
    rows.extend(step("stores", stores::measure)?);
    rows.extend(step("ctc-core from clean", chores::measure)?);

    let figures = picture::Figures {
        stamps,
        threads: &by_threads,
        herds: &by_callers,
    };
    report(options, &rows, |folder, machine| {
        picture::draw(folder, machine, &figures)
    })
}

/// Prints the table, and writes it and its pictures to the requested files.
fn report(
    options: &Options,
    rows: &[Row],
    draw: impl FnOnce(&Path, &Value) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let machine = machine();
    println!("{}\n", table::text(rows));
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    println!(
        "{} bars met, {} not met; {machine}",
        count(Verdict::Met),
        count(Verdict::Missed)
    );
    if let Some(file) = &options.json {
        std::fs::write(file, format!("{:#}\n", table::json(rows, &machine)))?;
    }
    if let Some(folder) = &options.pictures {
        std::fs::create_dir_all(folder)?;
        draw(folder, &machine)?;
    }
    Ok(true)
}

fn step<R>(name: &str, work: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    eprint!("{name} … ");
    let start = Instant::now();
    let result = work().map_err(|error| format!("{name}: {error}"))?;
    eprintln!("{:.0} s", start.elapsed().as_secs_f64());
    Ok(result)
}

/// Describes the machine and the versions.
fn machine() -> Value {
    let first_line = |program: &str, args: &[&str]| {
        let output = Command::new(program)
            .args(args)
            .output()
            .map(|output| output.stdout)
            .unwrap_or_default();
        String::from_utf8_lossy(&output)
            .lines()
            .next()
            .unwrap_or("unknown")
            .to_owned()
    };
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "processor": model.map_or("unknown", |(_, name)| name),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "rustc": first_line("rustc", &["--version"]),
        "profile": "release, thin LTO",
        "valgrind": first_line("valgrind", &["--version"]),
    })
}
