//! `cargo xtask sim` runs this: many seeds with a summary, or one seed with its trace.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool"
)]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use ctc_sim::{Report, Tally, exhaust, run, with_log_search};

const HELP: &str = "\
ctc-sim [--seeds N] [--from N] [--threads N] [--keep-going]
                                many worlds (default 10000, from 0)
ctc-sim --seed N                one world, with its trace
ctc-sim --exhaust [--depth N]   every order of events of small worlds
";

/// This many seeds reach every fault, unless the simulator is wrong.
const SURE: u64 = 2000;

struct Asked {
    seeds: u64,
    from: u64,
    threads: usize,
    one: Option<u64>,
    keep_going: bool,
    exhaust: bool,
    depth: Option<usize>,
}

fn main() -> ExitCode {
    let asked = match read_args(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(error) => {
            eprint!("{error}\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    let violations = match asked.one {
        Some(seed) => one(seed),
        None if asked.exhaust => every_order(asked.depth),
        None => many(&asked),
    };
    if violations == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read_args(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked {
        seeds: 10_000,
        from: 0,
        threads: 2,
        one: None,
        keep_going: false,
        exhaust: false,
        depth: None,
    };
    while let Some(arg) = args.next() {
        let mut number = || {
            let text = args.next().unwrap_or_default();
            text.replace('_', "")
                .parse::<u64>()
                .map_err(|_| format!("{arg} needs a number"))
        };
        match arg.as_str() {
            "--seeds" => asked.seeds = number()?,
            "--from" => asked.from = number()?,
            "--seed" => asked.one = Some(number()?),
            "--threads" => asked.threads = usize::try_from(number()?).unwrap_or(1).max(1),
            "--exhaust" => asked.exhaust = true,
            "--depth" => asked.depth = usize::try_from(number()?).ok(),
            "--keep-going" => asked.keep_going = true,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(asked)
}

fn one(seed: u64) -> usize {
    let report = with_log_search(|| run(seed, true));
    for line in &report.trace {
        println!("{line}");
    }
    print_table(&report.tally);
    println!(
        "seed {seed}, {} violations",
        usize::from(report.violation.is_some())
    );
    usize::from(report.violation.is_some())
}

fn many(asked: &Asked) -> usize {
    std::panic::set_hook(Box::new(|_| {})); // a panic is a violation, and printed as one
    let began = Instant::now();
    let (next, stop) = (AtomicU64::new(asked.from), AtomicBool::new(false));
    let found = Mutex::new((Tally::default(), Vec::<Report>::new()));
    let end = asked.from + asked.seeds;
    // At least ten lines, so that a reader sees progress on a terminal and in a log.
    let often = asked.seeds.div_ceil(10).clamp(1, 1000);
    let work = || {
        with_log_search(|| {
            let mut tally = Tally::default();
            let mut bad = Vec::new();
            while !stop.load(Relaxed) {
                let seed = next.fetch_add(1, Relaxed);
                if seed >= end {
                    break;
                }
                let report = run(seed, false);
                tally.add(&report.tally);
                if let Some(violation) = &report.violation {
                    // Printed at once, for a reader that does not wait for the other worlds.
                    println!(
                        "seed {seed}: {}: {}",
                        violation.guarantee.text(),
                        violation.text
                    );
                    bad.push(report);
                    stop.store(!asked.keep_going, Relaxed);
                }
                if (seed - asked.from + 1).is_multiple_of(often) {
                    let speed = began.elapsed().as_secs_f64();
                    eprintln!(
                        "{:>8} of {} seeds, {speed:.1} s",
                        seed - asked.from + 1,
                        asked.seeds
                    );
                }
            }
            if let Ok(mut found) = found.lock() {
                found.0.add(&tally);
                found.1.extend(bad);
            }
        });
    };
    std::thread::scope(|scope| {
        for _ in 0..asked.threads {
            scope.spawn(work);
        }
    });
    let (tally, mut bad) = found.into_inner().unwrap_or_default();
    bad.sort_by_key(|report| report.seed);
    print_table(&tally);
    if let Some(first) = bad.first() {
        println!(
            "\nthe last steps of seed {} (`--seed {}` shows all):",
            first.seed, first.seed
        );
        let trace = with_log_search(|| run(first.seed, true)).trace;
        for line in &trace[trace.len().saturating_sub(40)..] {
            println!("{line}");
        }
    }
    let done = next.load(Relaxed).min(end) - asked.from;
    println!(
        "\n{:.1} s on {} threads",
        began.elapsed().as_secs_f64(),
        asked.threads
    );
    let never = if asked.seeds < SURE {
        Vec::new()
    } else {
        tally.never()
    };
    for name in never.iter().filter(|_| bad.is_empty()) {
        println!("never reached: {name}");
    }
    println!("{done} seeds, {} violations", bad.len());
    // After a violation, fewer seeds were run.
    if bad.is_empty() {
        never.len()
    } else {
        bad.len()
    }
}

fn every_order(depth: Option<usize>) -> usize {
    let mut violations = 0;
    let progress = |world: &str, depth: usize, states: usize| {
        eprintln!("{world}: depth {depth} done, {states} states");
    };
    for searched in exhaust(depth, progress) {
        println!(
            "{}: every order of events to depth {}: {} states, {} transitions",
            searched.world, searched.depth, searched.states, searched.transitions
        );
        if let Some(violation) = &searched.violation {
            println!("{violation}");
            violations += 1;
        }
    }
    println!("{violations} violations");
    violations
}

fn print_table(tally: &Tally) {
    for (name, number) in tally.rows() {
        println!("{name:<26}{number:>14}");
    }
}
