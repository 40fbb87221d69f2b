//! Whole calls over loopback against the bare client: time here, instructions by valgrind.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use ctc_bench::Failure;
use ctc_bench::calls::{Calls, PAIRS, client};

use super::Plan;
use crate::rounds::{time, undisturbed};
use crate::table::Row;

/// With more noise than this, in per cent, the bar says nothing.
const MOST_NOISE: f64 = 10.0;
/// Two runs of the same thing differ by this much even on a machine that is idle.
const LEAST_NOISE: f64 = 2.0;
/// Calls in a turn.
const CALLS: usize = 50;

/// The server on loopback, in a process of its own so that nothing it does is in the figures.
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
        Ok(Self { process, url: url.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It runs until it is killed; both fail only when it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Keeps server and client on one core while it lives. Left to itself the scheduler puts them on one core or on two,
/// and a call takes three times as long on two: that would be all there is to see.
struct OneCore {
    processes: [u32; 2],
    all_cores: usize,
}

impl OneCore {
    /// Without `taskset` the figures are as noisy as they are.
    fn new(server: &Server) -> Self {
        let all_cores = std::thread::available_parallelism().map_or(1, usize::from);
        let together = Self { processes: [std::process::id(), server.process.id()], all_cores };
        together.pin("0");
        together
    }

    fn pin(&self, cores: &str) {
        for process in &self.processes {
            let mut taskset = Command::new("taskset");
            // A server has threads, one for each connection; this program's first thread makes the calls.
            let all = if *process == std::process::id() { "-cp" } else { "-acp" };
            let quiet =
                taskset.args([all, cores, &process.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
            let _ = quiet.status();
        }
    }
}

impl Drop for OneCore {
    fn drop(&mut self) {
        self.pin(&format!("0-{}", self.all_cores - 1));
    }
}

pub(crate) fn measure(plan: &Plan, server: &Server) -> Result<Vec<Row>, Failure> {
    let _together = OneCore::new(server);
    let mut rows = Vec::new();
    for [bare_name, name] in PAIRS.iter().filter(|[_, name]| !name.starts_with("stub")) {
        let (bare, bare_again) = (client(bare_name, &server.url)?, client(bare_name, &server.url)?);
        let ours = client(name, &server.url)?;
        let (mut bares, mut agains, mut all_ours) = (Vec::new(), Vec::new(), Vec::new());
        let mut turn = 0;
        plan.budget().run(|| -> Result<(), Failure> {
            let run = |client: &dyn Calls| time(|| (0..CALLS).try_for_each(|_| client.call()));
            // Each stands first, in the middle and last in turn.
            for place in 0..3 {
                match (turn + place) % 3 {
                    0 => bares.push(run(&*bare)?),
                    1 => all_ours.push(run(&*ours)?),
                    _ => agains.push(run(&*bare_again)?),
                }
            }
            turn += 1;
            Ok(())
        })?;
        let (bare, again, ours) = (undisturbed(bares), undisturbed(agains), undisturbed(all_ours));
        let (more, noise) =
            ((ours / bare.min(again) - 1.0) * 100.0, ((again / bare - 1.0).abs() * 100.0).max(LEAST_NOISE));
        let micros = bare.min(again) / CALLS as f64 * 1e6;
        let (what, figure) =
            (format!("{name}: a whole call, time"), format!("{more:+.1} % of {micros:.0} µs"));
        rows.push(if noise > MOST_NOISE {
            Row::skipped(what, format!("{figure}, but bare against itself is {noise:.0} %: machine too busy"))
        } else {
            Row::new(what, figure, format!("≤ {noise:.1} % (bare against itself)"), more <= noise)
        });
    }
    Ok(rows)
}
