//! What building `ctc-core` costs: dependencies, and the time of a clean build.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Instant;

use ctc_bench::Failure;

use crate::table::Row;

const CRATES: usize = 30;
const SECONDS: f64 = 15.0;

pub(crate) fn measure() -> Result<Vec<Row>, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = [
        "tree",
        "--package",
        "ctc-core",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let output = Command::new(&cargo).args(tree).output()?;
    let text = String::from_utf8(output.stdout)?;
    let crates: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split(" (").next())
        .collect();
    let target = std::env::temp_dir().join(format!("ctc-bench-{}", std::process::id()));
    let start = Instant::now();
    let mut build = Command::new(&cargo);
    build
        .args(["build", "--quiet", "--package", "ctc-core", "--target-dir"])
        .arg(&target);
    let built = build.stdout(Stdio::null()).status();
    let seconds = start.elapsed().as_secs_f64();
    // Ignore the error: a folder that is left behind only takes space.
    let _ = std::fs::remove_dir_all(&target);
    if !built?.success() {
        return Err("ctc-core did not build".into());
    }
    let dependencies = crates.len().saturating_sub(1);
    Ok(vec![
        Row::new(
            "ctc-core, dependencies",
            dependencies.to_string(),
            format!("≤ {CRATES}"),
            dependencies <= CRATES,
        ),
        Row::new(
            "ctc-core, built from clean",
            format!("{seconds:.1} s"),
            format!("≤ {SECONDS} s"),
            seconds <= SECONDS,
        ),
    ])
}
