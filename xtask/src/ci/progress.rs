//! Runs steps one after the other and collects the table of their outcomes.

use std::fmt;
use std::time::{Duration, Instant};

use crate::heartbeat;

/// One check.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) run: fn() -> Result<Outcome, String>,
}

/// The outcome of a step that did not fail. The texts say what was skipped and why, and how to
/// install what is missing.
pub(super) enum Outcome {
    Done,
    /// It passed, but a part of it was skipped.
    Partial(String),
    Skipped(String),
}

/// All requested steps, in their order, and their outcomes.
pub(super) struct Table<'a>(Vec<(&'a Step, Row)>);

enum Row {
    Ended(Outcome, Duration),
    Failed(String, Duration),
    NotRun,
}

/// Runs the steps until one fails, or all of them.
pub(super) fn run_all<'a>(steps: &[&'a Step], keep_going: bool) -> Table<'a> {
    let mut rows = Vec::new();
    let mut stopped = false;
    for (step, number) in steps.iter().copied().zip(1..) {
        if stopped {
            rows.push((step, Row::NotRun));
            continue;
        }
        println!(
            "\n== {number} of {}: {}: {}",
            steps.len(),
            step.name,
            step.what
        );
        let start = Instant::now();
        let result = heartbeat::during(step.name, step.run);
        let took = start.elapsed();
        stopped = result.is_err() && !keep_going;
        let row = match result {
            Ok(outcome) => Row::Ended(outcome, took),
            Err(error) => {
                println!("{error}");
                Row::Failed(error, took)
            }
        };
        println!("== {}: {row}", step.name);
        rows.push((step, row));
    }
    Table(rows)
}

impl Table<'_> {
    /// The names of the steps that failed.
    pub(super) fn failed(&self) -> Vec<&'static str> {
        let failed = self
            .0
            .iter()
            .filter(|(_, row)| matches!(row, Row::Failed(..)));
        failed.map(|(step, _)| step.name).collect()
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(step, row)| writeln!(f, "{:10} {row}", step.name))
    }
}

/// One line, with the first line of the text.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, took, text) = match self {
            Self::Ended(Outcome::Done, took) => ("ok", took, ""),
            Self::Ended(Outcome::Partial(text), took) => ("partial", took, text.as_str()),
            Self::Ended(Outcome::Skipped(text), took) => ("skipped", took, text.as_str()),
            Self::Failed(text, took) => ("FAILED", took, text.as_str()),
            Self::NotRun => return f.write_str("not run"),
        };
        let text = text.lines().next().unwrap_or_default();
        let line = format!("{word:8} {:4} s  {text}", took.as_secs());
        f.write_str(line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 5] = [
        step("fine", || Ok(Outcome::Done)),
        step("half", || {
            Ok(Outcome::Partial("redis: not installed".to_owned()))
        }),
        step("bad", || Err("it broke\nin two lines".to_owned())),
        step("absent", || Ok(Outcome::Skipped("no tool".to_owned()))),
        step("worse", || Err("it broke, too".to_owned())),
    ];

    const fn step(name: &'static str, run: fn() -> Result<Outcome, String>) -> Step {
        Step {
            name,
            what: "a test",
            run,
        }
    }

    fn table(keep_going: bool) -> (String, Vec<&'static str>) {
        let steps: Vec<_> = STEPS.iter().collect();
        let table = run_all(&steps, keep_going);
        (table.to_string(), table.failed())
    }

    #[test]
    fn the_table_is_complete_after_a_failure() {
        let (text, failed) = table(false);
        assert_eq!(
            text,
            "fine       ok          0 s\n\
             half       partial     0 s  redis: not installed\n\
             bad        FAILED      0 s  it broke\n\
             absent     not run\n\
             worse      not run\n"
        );
        assert_eq!(failed, ["bad"]);
    }

    #[test]
    fn keep_going_runs_the_steps_after_a_failure() {
        let (text, failed) = table(true);
        assert_eq!(
            text,
            "fine       ok          0 s\n\
             half       partial     0 s  redis: not installed\n\
             bad        FAILED      0 s  it broke\n\
             absent     skipped     0 s  no tool\n\
             worse      FAILED      0 s  it broke, too\n"
        );
        assert_eq!(failed, ["bad", "worse"]);
    }
}
