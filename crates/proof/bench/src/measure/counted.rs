//! Figures that do not depend on the machine's load: instructions by valgrind, allocations by a
//! counting allocator.

use std::collections::BTreeMap;
use std::process::Command;

use ctc_bench::Failure;
use ctc_bench::calls::{JOINED, PAIRS};
use serde_json::Value;

use super::Plan;
use super::whole::Server;
use crate::table::Row;

/// The bars.
const SESSION_INSTRUCTIONS: f64 = 900.0;
const WHOLE_INSTRUCTIONS: f64 = 1.0; // per cent more
const WAITER_BYTES: f64 = 512.0;
const ASYNC_ALLOCATIONS: f64 = 3.0;
const SESSION_BYTES: f64 = 8.0 * 1024.0;

/// The same work on each session: they must cost the same, which shows that a call reads no clock.
const SESSIONS: &[&str] = &[
    "session",
    "session while renewing",
    "session with renewal armed",
];
const SAME: f64 = 1.0; // instruction

/// How many batches, and how many calls, valgrind runs.
const BATCHES: usize = 50;
const CALLS: (usize, usize) = (200, 800);
/// Enough to detect 3%.
const FEWER_CALLS: (usize, usize) = (50, 150);

/// Figures by name, as they are committed.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Allocations and bytes, as `ctc-bench-count` prints them.
pub(crate) fn allocations(plan: &Plan, server: &Server) -> Result<Figures, Failure> {
    let output = Command::new(plan.binary("ctc-bench-count"))
        .arg(&server.url)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let all: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout)?;
    Ok(all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_f64()?)))
        .collect())
}

/// Instructions, or `None` without valgrind.
pub(crate) fn instructions(
    plan: &Plan,
    server: &Server,
    rough: bool,
) -> Result<Option<Figures>, Failure> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Ok(None);
    }
    let mut figures = Figures::new();
    for work in ["limit"].iter().chain(SESSIONS) {
        let counted = callgrind(plan, work, BATCHES, "", true)?;
        figures.insert(
            (*work).to_owned(),
            counted / (BATCHES * ctc_bench::scene::BATCH) as f64,
        );
    }
    let calls = if rough { FEWER_CALLS } else { CALLS };
    let joined = JOINED.iter().map(|[bare, _]| bare);
    for name in PAIRS.iter().flatten().chain(joined) {
        let few = callgrind(plan, name, calls.0, &server.url, false)?;
        let many = callgrind(plan, name, calls.1, &server.url, false)?;
        figures.insert(
            (*name).to_owned(),
            (many - few) / (calls.1 - calls.0) as f64,
        );
    }
    Ok(Some(figures))
}

fn callgrind(
    plan: &Plan,
    work: &str,
    times: usize,
    url: &str,
    stamps: bool,
) -> Result<f64, Failure> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    if stamps {
        command.arg("--toggle-collect=*stamp_all*");
    }
    let output = command
        .arg(plan.binary("ctc-bench-work"))
        .args([work, &times.to_string(), url])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .map(|(_, number)| number.trim());
    let counted = collected
        .and_then(|number| number.parse().ok())
        .filter(|number| *number > 0.0);
    counted.ok_or_else(|| format!("valgrind counted nothing for {work}: {text}").into())
}

pub(crate) fn rows(allocations: &Figures, instructions: Option<&Figures>) -> Vec<Row> {
    let mut rows = Vec::new();
    let count = |name: &str| allocations.get(name).copied().unwrap_or(f64::NAN);
    rows.push(Row::new(
        "session work, allocations",
        format!("{}", count("session")),
        "0",
        count("session") == 0.0,
    ));
    for [bare, ours] in PAIRS {
        let more = count(ours) - count(bare);
        let (what, figure) = (
            format!("{ours}: allocations more than bare"),
            format!("{more:.2} (of {:.0})", count(bare)),
        );
        let most = if ours.starts_with("ureq") {
            0.0
        } else {
            ASYNC_ALLOCATIONS
        };
        rows.push(if ours.starts_with("stub") {
            Row::shown(what, figure)
        } else {
            // Less than one allocation in twenty calls is the HTTP client's own housekeeping.
            Row::new(what, figure, format!("≤ {most}"), more < most + 0.05)
        });
    }
    for name in [
        "waiter on a stub",
        "waiter on reqwest",
        "waiter on reqwest, by its builder",
    ] {
        rows.push(Row::new(
            format!("memory: {name}, beside its request"),
            format!("{:.0} bytes", count(name)),
            format!("≤ {WAITER_BYTES} bytes"),
            count(name) <= WAITER_BYTES,
        ));
    }
    rows.push(Row::shown(
        "  of which: the future itself / on the heap",
        format!(
            "{:.0} / {:.0} bytes",
            count("waiter future"),
            count("waiter heap")
        ),
    ));
    rows.push(Row::new(
        "memory: a session without its HTTP client",
        format!("{:.0} bytes", count("session memory")),
        format!("≤ {SESSION_BYTES} bytes"),
        count("session memory") <= SESSION_BYTES,
    ));
    for [(bare, _), (ours, _)] in ctc_bench::build::PAIRS {
        rows.push(Row::shown(
            format!("{ours}: bytes allocated, of the bare one"),
            format!("{:.2} ×", count(ours) / count(bare)),
        ));
    }
    rows.push(Row::shown(
        "a login, allocations: no store / memory / file",
        format!(
            "{:.0} / {:.0} / {:.0}",
            count("login"),
            count("login with store"),
            count("login with file store")
        ),
    ));
    for (name, with, without) in [
        ("memory store", "stub async with store", "stub async"),
        (
            "file store",
            "stub blocking with file store",
            "stub blocking",
        ),
    ] {
        rows.push(Row::new(
            format!("a call with a {name}: allocations more than without"),
            format!("{:.2}", count(with) - count(without)),
            "0",
            count(with) == count(without),
        ));
    }
    let Some(figures) = instructions else {
        rows.push(Row::skipped("instructions", "valgrind is not installed"));
        return rows;
    };
    let figure = |name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
    rows.push(Row::shown(
        "limit L, instructions",
        format!("{:.0}", figure("limit")),
    ));
    for name in SESSIONS {
        rows.push(Row::new(
            format!("{name}, instructions"),
            format!("{:.0}", figure(name)),
            format!("≤ {SESSION_INSTRUCTIONS}"),
            figure(name) <= SESSION_INSTRUCTIONS,
        ));
    }
    let more = figure("session with renewal armed") - figure("session");
    rows.push(Row::new(
        "renewal armed: instructions more than without",
        format!("{more:.1}"),
        format!("≤ {SAME}"),
        more <= SAME,
    ));
    for [bare, ours] in PAIRS {
        let (bare, more) = (figure(bare), figure(ours) - figure(bare));
        let (what, percent) = (
            format!("{ours}: instructions more than bare"),
            more / bare * 100.0,
        );
        let shown = format!("{more:.0} of {bare:.0} ({percent:+.1} %)");
        rows.push(if ours.starts_with("stub") {
            Row::shown(what, shown)
        } else {
            Row::new(
                what,
                shown,
                format!("≤ {WHOLE_INSTRUCTIONS} %"),
                percent <= WHOLE_INSTRUCTIONS,
            )
        });
    }
    for [bare, ours] in JOINED {
        let (bare, more) = (figure(bare), figure(ours) - figure(bare));
        rows.push(Row::shown(
            format!("  {ours}, against one that reads its origin once as well"),
            format!("{more:.0} of {bare:.0} ({:+.1} %)", more / bare * 100.0),
        ));
    }
    rows
}
