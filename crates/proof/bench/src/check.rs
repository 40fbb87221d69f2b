//! `--check`: compares instructions and allocations with the committed figures.

use std::collections::BTreeMap;
use std::path::Path;

use ctc_bench::Failure;
use serde::{Deserialize, Serialize};

use crate::machine;
use crate::measure::counted::Figures;

/// How far a figure may exceed the committed one, in percent.
const TOLERANCE: f64 = 3.0;
/// For bytes and counts below this, a percentage would be too fine.
const FINEST: f64 = 0.05;

#[derive(Serialize, Deserialize)]
struct Committed {
    /// Instructions are compared only if this is the same compiler.
    rustc: String,
    allocations: Figures,
    instructions: Figures,
}

/// Returns whether no figure got worse or, with `write`, whether the figures were written.
pub(crate) fn run(
    write: bool,
    allocations: &Figures,
    instructions: Option<&Figures>,
) -> Result<bool, Failure> {
    let file = Path::new("crates/proof/bench/figures.json");
    let rustc = machine()["rustc"].as_str().unwrap_or_default().to_owned();
    if write {
        let instructions = instructions.ok_or("valgrind is not installed")?.clone();
        let all = Committed {
            rustc,
            allocations: allocations.clone(),
            instructions,
        };
        std::fs::write(file, format!("{}\n", serde_json::to_string_pretty(&all)?))?;
        println!("written: {}", file.display());
        return Ok(true);
    }
    let committed: Committed = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let mut fine = compare("allocations", allocations, &committed.allocations, &|_| {
        None
    });
    match instructions {
        None => println!("instructions: skipped, as valgrind is not installed"),
        Some(_) if rustc != committed.rustc => {
            println!(
                "instructions: skipped, as the figures are for {} and this is {rustc}",
                committed.rustc
            );
        }
        Some(figures) => {
            fine &= compare("instructions", figures, &committed.instructions, &yardstick);
        }
    }
    println!(
        "{}",
        if fine {
            "nothing got worse"
        } else {
            "worse than committed: see above"
        }
    );
    Ok(fine)
}

/// The figures of the same work without this library. Processors and C libraries differ in what it
/// takes, so it is not compared, but is the measure of our own figures.
fn yardstick(name: &str) -> Option<String> {
    match name.split_once(", ") {
        _ if name.starts_with("session") => Some("limit".to_owned()),
        Some((client, headers)) => Some(format!("{client} bare, {headers}")),
        None => Some(format!("{name} bare")),
    }
}

fn compare(
    kind: &str,
    now: &Figures,
    committed: &BTreeMap<String, f64>,
    yardstick: &dyn Fn(&str) -> Option<String>,
) -> bool {
    let mut fine = true;
    for (name, before) in committed {
        let drift = |name: String| Some(now.get(&name)? / committed.get(&name)?);
        let drift = yardstick(name).map(|name| drift(name).unwrap_or(1.0));
        let is_ours = drift.is_none() || !(name.contains(" bare") || name == "limit");
        let before = &(before * drift.unwrap_or(1.0));
        let Some(now) = now.get(name) else {
            println!("{kind}: {name} is measured no longer; run with --write-figures");
            fine = false;
            continue;
        };
        let percent = (now - before) / before.max(FINEST) * 100.0;
        let worse = is_ours && percent > TOLERANCE && now - before > FINEST;
        fine &= !worse;
        let word = if worse { "WORSE" } else { "" };
        println!(
            "{}",
            format!("{kind:13} {name:40} {before:10.2} -> {now:10.2} {percent:+6.1} % {word}")
                .trim_end()
        );
    }
    fine
}
