//! `cargo xtask ci`: every check, step by step.

use crate::shell::{cargo, output, responses, run as run_command};
use crate::{bench, fleet, sim, soak, test, vendor};

mod api;
mod cycles;
mod features;
mod lines;
mod package;
mod pages;
mod progress;
mod readme;
mod table;
mod toolchains;
mod tools;

pub(crate) use api::write as write_api;
use progress::{Outcome, Step};

const STEPS: &[Step] = &[
    Step {
        name: "format",
        what: "cargo fmt",
        run: || plain(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "lines",
        what: "no line of Rust over 100 columns, comments included",
        run: lines::check,
    },
    Step {
        name: "cycles",
        what: "no import cycle between the files of a crate",
        run: cycles::check,
    },
    Step {
        name: "sabotages",
        what: "every sabotage of the simulator applies to the current code",
        run: || sim::check_sabotages().map(|()| Outcome::Done),
    },
    Step {
        name: "clippy",
        what: "clippy without warnings, among them std items newer than the stated Rust version",
        run: || {
            plain(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ])
        },
    },
    Step {
        name: "docs",
        what: "rustdoc without warnings, wide blocks or stray brackets; complete READMEs, links",
        run: docs,
    },
    Step {
        name: "test",
        what: "every test, with the code blocks of the READMEs and the manual",
        run: tests,
    },
    Step {
        name: "sim",
        what: "2,000 simulated worlds without a broken guarantee",
        run: || simulate(&["--seeds", "2000"]),
    },
    Step {
        name: "exhaust",
        what: "every order of events in four small worlds, six deep",
        run: || simulate(&["--exhaust", "--depth", "6"]),
    },
    Step {
        name: "threads",
        what: "the session's locks under shuttle's scheduler",
        run: || sim::threads(&[]).map(|()| Outcome::Done),
    },
    Step {
        name: "table",
        what: "every test in FAILURE-CASES.md exists",
        run: table::check,
    },
    Step {
        name: "features",
        what: "each feature separately, and a program without TLS",
        run: features::run,
    },
    Step {
        name: "msrv",
        what: "every crate with its oldest supported Rust version",
        run: toolchains::msrv,
    },
    Step {
        name: "minimal",
        what: "every crate with its oldest supported dependencies",
        run: toolchains::minimal_versions,
    },
    Step {
        name: "policy",
        what: "licenses, bans, sources, advisories: deny.toml",
        run: tools::policy,
    },
    Step {
        name: "unused",
        what: "no unused dependency",
        run: tools::unused,
    },
    Step {
        name: "api",
        what: "the public API is as listed in xtask/api, with types of allowed crates only",
        run: api::check,
    },
    Step {
        name: "package",
        what: "every crate can be packaged, with license and README",
        run: package::run,
    },
    Step {
        name: "semver",
        what: "cargo-semver-checks against the latest release of each crate",
        run: tools::semver,
    },
    Step {
        name: "vendor",
        what: "the vendor's Python client against our server",
        run: || vendor::run().map(|()| Outcome::Done),
    },
    Step {
        name: "examples",
        what: "the examples succeed and print what their README shows",
        run: examples,
    },
    Step {
        name: "fleet",
        what: "twenty processes, one session, one login",
        run: fleets,
    },
    Step {
        name: "soak",
        what: "half a minute of load on both clients, with faults, without a leak",
        run: soaked,
    },
    Step {
        name: "bench",
        what: "instructions and allocations, against the committed figures",
        run: || Ok(bench::check()?.map_or(Outcome::Done, Outcome::Partial)),
    },
    Step {
        name: "platforms",
        what: "ctc-core for wasm32-unknown-unknown; all crates for Windows and macOS",
        run: toolchains::platforms,
    },
];

/// Runs all steps, or the named ones; with `--keep-going`, also after a step that failed.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if args == ["list"] {
        STEPS
            .iter()
            .for_each(|step| println!("{:10} {}", step.name, step.what));
        return Ok(());
    }
    let (steps, keep_going) = asked(args)?;
    let table = progress::run_all(&steps, keep_going);
    println!("\n{table}");
    match table.failed()[..] {
        [] => Ok(()),
        [one] => Err(format!("step {one} failed")),
        ref several => Err(format!("steps {} failed", several.join(", "))),
    }
}

/// Returns the named steps, in the order of the list, and whether to keep going.
fn asked(args: &[String]) -> Result<(Vec<&'static Step>, bool), String> {
    let (flags, names): (Vec<_>, Vec<_>) = args.iter().partition(|arg| arg.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|flag| **flag != "--keep-going") {
        return Err(format!("no option {unknown}: the only one is --keep-going"));
    }
    let is_step = |name: &String| STEPS.iter().any(|step| step.name == *name);
    if let Some(unknown) = names.iter().find(|name| !is_step(name)) {
        return Err(format!(
            "no step named {unknown}: see `cargo xtask ci list`"
        ));
    }
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| *name == step.name);
    Ok((STEPS.iter().filter(wanted).collect(), !flags.is_empty()))
}

fn tests() -> Result<Outcome, String> {
    let sum = test::run(&[])?;
    Ok(sum.left_out().map_or(Outcome::Done, Outcome::Partial))
}

fn simulate(args: &[&str]) -> Result<Outcome, String> {
    let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
    sim::run(&args).map(|()| Outcome::Done)
}

fn plain(args: &[&str]) -> Result<Outcome, String> {
    run_command(cargo(args)).map(|()| Outcome::Done)
}

fn skipped(why: &str) -> Outcome {
    Outcome::Skipped(why.to_owned())
}

fn partial(why: &str) -> Outcome {
    Outcome::Partial(why.to_owned())
}

/// Returns the packages below `crates` that are published.
pub(crate) fn crates() -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir("crates").map_err(|error| format!("crates: {error}"))?;
    let mut names = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // `proof` contains what is not published.
        if name != "proof" {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Returns the published packages that are libraries.
fn libraries() -> Result<Vec<String>, String> {
    let mut names = crates()?;
    names.retain(|name| std::path::Path::new(&format!("crates/{name}/src/lib.rs")).is_file());
    Ok(names)
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn docs() -> Result<Outcome, String> {
    readme::check()?;
    pages::check_widths()?;
    // rustdoc links only to pages that exist, so make first those that others link to. One job at a
    // time, because cargo removes a crate's pages while it makes them again for other features.
    for which in ["-pctc-core", "-pctc-driver", "--workspace"] {
        let mut command = cargo(&["doc", which, "--no-deps", "--locked", "--jobs=1"]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        run_command(command)?;
    }
    pages::check_brackets(&crates()?)?;
    Ok(Outcome::Done)
}

fn soaked() -> Result<Outcome, String> {
    soak::run(&["--minutes", "0.5"].map(str::to_owned))?;
    Ok(match cfg!(target_os = "linux") {
        true => Outcome::Done,
        false => partial("without threads, sockets and files: only Linux counts them"),
    })
}

fn fleets() -> Result<Outcome, String> {
    for store in ["file", "redis"] {
        if store == "redis" && !responses("redis-server", &["--version"]) {
            return Ok(partial(
                "only the file store; for Redis: apt-get install redis-server",
            ));
        }
        fleet::run(&["--store", store, "--processes", "20"].map(str::to_owned))?;
    }
    Ok(Outcome::Done)
}

fn examples() -> Result<Outcome, String> {
    for example in ["own_http_stack", "many_accounts"] {
        plain(&["run", "--quiet", "--example", example])?;
    }
    for example in ["quickstart", "sdk_async"] {
        readme::shows(example)?;
    }
    // The second login is a day after the first.
    let oauth = output(cargo(&["run", "--quiet", "--example", "oauth"]))?;
    let last = oauth.lines().last().unwrap_or_default();
    println!("{last}");
    if !(last.contains(" 2 logins, ") && last.ends_with(" 0 violations")) {
        return Err("the example oauth should end with 2 logins and 0 violations".to_owned());
    }
    for example in ["quickstart", "blocking"] {
        plain(&["run", "--quiet", "--example", example])?;
        let refused = run_command(cargo(&[
            "run",
            "--quiet",
            "--example",
            example,
            "--",
            "wrong-password",
        ]));
        if refused.is_ok() {
            return Err(format!(
                "{example} should exit with 1 after a wrong password"
            ));
        }
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> Result<(Vec<&'static str>, bool), String> {
        let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
        let (steps, keep_going) = asked(&args)?;
        Ok((steps.iter().map(|step| step.name).collect(), keep_going))
    }

    #[test]
    fn steps_are_chosen_by_name_and_run_in_their_order() {
        assert_eq!(
            names(&["test", "format"]),
            Ok((vec!["format", "test"], false))
        );
        assert_eq!(names(&["--keep-going", "docs"]), Ok((vec!["docs"], true)));
        let (all, keep_going) = names(&["--keep-going"]).unwrap();
        assert_eq!((all.len(), keep_going), (STEPS.len(), true));
    }

    #[test]
    fn an_unknown_step_or_option_is_an_error() {
        assert!(names(&["tset"]).unwrap_err().contains("tset"));
        assert!(
            names(&["--keepgoing"])
                .unwrap_err()
                .contains("--keep-going")
        );
    }
}
