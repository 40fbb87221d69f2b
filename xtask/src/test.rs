//! `cargo xtask test`: runs every test, and prints the sums and what was skipped.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal;

use crate::shell::{cargo, read_all_lines};

/// How a test reports on standard error that it was skipped: `LEFT OUT: what: why`.
const MARK: &str = "LEFT OUT: ";

/// The results of a run of the tests.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// How many tests were skipped, by reason. The test harness counts them as passed.
    left_out: BTreeMap<String, usize>,
}

/// Runs the tests of every crate and example, documentation included; `args` are for `cargo test`.
pub(crate) fn run(args: &[String]) -> Result<Sum, String> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    command.args(args);
    // The output passes through this program; keep its colors.
    if std::io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut sum = Sum::default();
    let succeeded = read_all_lines(command, |line| sum.read(line))?;
    println!("\n{sum}");
    match (succeeded, sum.failed, sum.passed) {
        (true, 0, 1..) => Ok(sum),
        (true, 0, 0) => Err("no test ran".to_owned()),
        _ => Err("tests failed; see above".to_owned()),
    }
}

impl Sum {
    fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
            self.ignored += number_before(result, " ignored");
        // The harness may have begun the line.
        } else if let Some((_, test)) = line.split_once(MARK) {
            let why = test.split_once(": ").map_or(test, |(_, why)| why);
            *self.left_out.entry(why.to_owned()).or_default() += 1;
        }
    }

    /// Returns what was skipped, in one line; `None` if nothing was.
    pub(crate) fn left_out(&self) -> Option<String> {
        let ignored = (self.ignored > 0).then(|| format!("{} (marked ignored)", self.ignored));
        let others = self
            .left_out
            .iter()
            .map(|(why, count)| format!("{count} ({why})"));
        let all: Vec<_> = others.chain(ignored).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// The last line contains only the sums, so that other tools can read it.
impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = self.left_out.values().sum();
        if let Some(text) = self.left_out() {
            writeln!(f, "left out: {text}")?;
        }
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed.saturating_sub(left_out),
            self.failed,
            self.ignored + left_out
        )
    }
}

fn number_before(line: &str, word: &str) -> usize {
    let before = line.split(word).next().unwrap_or_default();
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(lines: &[&str]) -> Sum {
        let mut sum = Sum::default();
        lines.iter().for_each(|line| sum.read(line));
        sum
    }

    #[test]
    fn all_results_are_added_up() {
        let sum = sum(&[
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "test test result: not this one",
            "test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out",
        ]);
        assert_eq!(
            sum.to_string(),
            "left out: 1 (marked ignored)\n13 passed, 2 failed, 1 skipped"
        );
    }

    #[test]
    fn a_left_out_test_counts_as_skipped_not_passed() {
        let sum = sum(&[
            "LEFT OUT: expiry: redis-server is not installed: `apt-get install redis-server`",
            "test a ... LEFT OUT: a folder of another user: only root can make one",
            "LEFT OUT: heartbeats: redis-server is not installed: `apt-get install redis-server`",
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
        ]);
        assert_eq!(
            sum.to_string(),
            "left out: 1 (only root can make one), 2 (redis-server is not installed: \
             `apt-get install redis-server`)\n2 passed, 0 failed, 3 skipped"
        );
    }

    #[test]
    fn nothing_left_out_is_one_line() {
        let sum = sum(&["test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured"]);
        assert_eq!(sum.left_out(), None);
        assert_eq!(sum.to_string(), "5 passed, 0 failed, 0 skipped");
    }
}
