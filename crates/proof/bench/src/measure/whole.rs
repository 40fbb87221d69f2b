//! Whole calls over loopback compared with the bare client: time here, instructions by valgrind.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use ctc_bench::Failure;
use ctc_bench::calls::PAIRS;
use ctc_bench::rounds::median;

use super::Plan;
use crate::table::Row;

/// With more noise than this, in percent, the bar means nothing.
const MOST_NOISE: f64 = 10.0;
/// Two runs of the same work differ by this much even on an idle machine.
const LEAST_NOISE: f64 = 2.0;
/// Processes for each client.
const PROCESSES: usize = 7;

/// The server on loopback, in a separate process so that its work is not in the figures.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(plan: &Plan) -> Result<Self, Failure> {
        let mut command = Command::new(plan.binary("ctc-bench-work"));
        let mut process = command.arg("serve").stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut url)?;
        }
        Ok(Self {
            process,
            url: url.trim().to_owned(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It runs until it is killed. Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Keeps the server on the clients' core while this exists. Otherwise the scheduler puts them on
/// one core or on two, and a call takes three times as long on two, which would hide everything
/// else.
struct OneCore<'a>(&'a Server);

impl<'a> OneCore<'a> {
    fn new(server: &'a Server) -> Self {
        pin(server, "0");
        Self(server)
    }
}

impl Drop for OneCore<'_> {
    fn drop(&mut self) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        pin(self.0, &format!("0-{}", cores - 1));
    }
}

/// Ignore errors: without `taskset` the figures are only noisier. The server has one thread for
/// each connection.
fn pin(server: &Server, cores: &str) {
    let mut taskset = Command::new("taskset");
    let quiet = taskset
        .args(["-acp", cores])
        .arg(server.process.id().to_string());
    let _ = quiet.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

pub(crate) fn measure(plan: &Plan, server: &Server) -> Result<Vec<Row>, Failure> {
    let _together = OneCore::new(server);
    let mut rows = Vec::new();
    for [bare, ours] in PAIRS.iter().filter(|[_, name]| !name.starts_with("stub")) {
        // A new process each time: the place of its memory changes the time by one percent.
        let (mut seconds, mut more, mut noise) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PROCESSES {
            let [bare, again, ours] = pair(plan, [bare, ours], server)?;
            seconds.push(bare);
            more.push((ours * 2.0 / (bare + again) - 1.0) * 100.0);
            noise.push((again / bare - 1.0).abs() * 100.0);
        }
        let (more, noise) = (median(more), median(noise).max(LEAST_NOISE));
        let micros = median(seconds) * 1e6;
        let (what, figure) = (
            format!("{ours}: a whole call, time"),
            format!("{more:+.1} % of {micros:.0} µs"),
        );
        rows.push(if noise > MOST_NOISE {
            Row::skipped(
                what,
                format!("{figure}, but bare against itself is {noise:.0} %: machine too busy"),
            )
        } else {
            Row::new(
                what,
                figure,
                format!("≤ {noise:.1} % (bare against itself)"),
                more <= noise,
            )
        });
    }
    Ok(rows)
}

/// Returns the seconds of a call through bare clients, through further bare clients, and through
/// ours, all in one process.
fn pair(plan: &Plan, [bare, ours]: [&str; 2], server: &Server) -> Result<[f64; 3], Failure> {
    let millis = plan.budget().time.as_millis() / PROCESSES as u128;
    let work = plan.binary("ctc-bench-work");
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(&work);
    if Command::new("taskset")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        command = Command::new(&work);
    }
    let output = command
        .args(["pair", bare, ours, &server.url, &millis.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<f64> = text
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    let figures = <[f64; 3]>::try_from(figures);
    figures.map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned().into())
}
