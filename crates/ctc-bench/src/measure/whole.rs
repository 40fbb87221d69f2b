//! Whole calls over loopback against the bare client: time here, instructions by valgrind.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use ctc_bench::Failure;
use ctc_bench::calls::{PAIRS, client};

use super::Plan;
use crate::rounds::{median, time};
use crate::table::Row;

/// With more noise than this, in per cent, the bar says nothing.
const MOST_NOISE: f64 = 10.0;
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

pub(crate) fn measure(plan: &Plan, server: &Server) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for [bare_name, name] in PAIRS.iter().filter(|[_, name]| !name.starts_with("stub")) {
        let (bare, bare_again) = (client(bare_name, &server.url)?, client(bare_name, &server.url)?);
        let ours = client(name, &server.url)?;
        let (mut ratios, mut noises, mut micros) = (Vec::new(), Vec::new(), Vec::new());
        let mut turn = 0;
        plan.budget().run(|| -> Result<(), Failure> {
            let run =
                |client: &dyn ctc_bench::calls::Calls| time(|| (0..CALLS).try_for_each(|_| client.call()));
            // Ours stands in the middle, and the bare ones change places.
            let (first, last) = if turn % 2 == 0 { (&bare, &bare_again) } else { (&bare_again, &bare) };
            turn += 1;
            let (a, x, b) = (run(&**first)?, run(&*ours)?, run(&**last)?);
            ratios.push(2.0 * x / (a + b));
            noises.push((b / a - 1.0).abs());
            micros.push((a + b) / 2.0 / CALLS as f64 * 1e6);
            Ok(())
        })?;
        let (more, noise) = ((median(ratios) - 1.0) * 100.0, median(noises) * 100.0);
        let (what, figure) =
            (format!("{name}: a whole call, time"), format!("{more:+.1} % of {:.0} µs", median(micros)));
        rows.push(if noise > MOST_NOISE {
            Row::skipped(what, format!("{figure}, but bare against itself is {noise:.0} %: machine too busy"))
        } else {
            Row::new(what, figure, format!("≤ {noise:.1} % (bare against itself)"), more <= noise)
        });
    }
    Ok(rows)
}
