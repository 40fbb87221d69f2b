//! The report of a run of the suite: rung by rung, what failed, and what to do next.

use std::{fmt, io::Write, time::Duration};

use super::{
    advice,
    case::{Case, Level},
    cases::CASES,
    failure::Failure,
};

/// How a case ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It passed.
    Passed,
    /// The stack does not claim what the case needs.
    Skipped(&'static str),
    /// It failed.
    Failed(Failure),
}

/// One case of a [`Report`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Line {
    /// The case.
    pub case: Case,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// The outcome of each case. `Display` shows the ladder: each rung, what failed or was skipped
/// there, and what to do next. `{:#}` also names the cases that passed.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a report that nobody asserts on proves nothing"]
pub struct Report {
    /// One for each case that was run.
    pub lines: Vec<Line>,
    /// How many cases were not run because the first rung failed.
    pub not_tried: usize,
    /// Whether a *should* that fails fails the suite ([`Suite::strict`](super::Suite::strict)).
    pub strict: bool,
}

impl Line {
    /// Returns whether the case failed, whatever its level.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }

    fn is_skipped(&self) -> bool {
        matches!(self.outcome, Outcome::Skipped(_))
    }
}

impl Report {
    /// Returns whether cases were run and none [failed](Self::failures). Skipped cases do not
    /// count.
    pub fn passed(&self) -> bool {
        !self.lines.is_empty() && self.failures().next().is_none()
    }

    /// Returns the failed cases that fail the suite: each *must*, and if the suite is strict each
    /// *should*.
    pub fn failures(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| self.counts(line))
    }

    /// Returns the failed cases that do not fail the suite, each of them a *should*.
    pub fn shortfalls(&self) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(|line| line.has_failed() && !self.counts(line))
    }

    /// Returns the cases that were skipped.
    pub fn skipped(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.is_skipped())
    }

    fn counts(&self, line: &Line) -> bool {
        line.has_failed() && (self.strict || line.case.level == Level::Must)
    }

    /// Panics with the report unless it [`passed`](Self::passed). Prints skipped cases, and
    /// failures that do not count, on standard error, past a test harness that captures it.
    ///
    /// # Panics
    /// Panics if the suite failed, as the assertion of a test.
    #[track_caller]
    pub fn assert_passed(&self) {
        for line in self.skipped().chain(self.shortfalls()) {
            // In one piece, because tests run in parallel. Ignore the error: it could not be
            // printed either.
            let _ = std::io::stderr().write_all(format!("conformance: {line}").as_bytes());
        }
        assert!(self.passed(), "the stack does not conform:\n{self}");
    }
}

/// Returns the rungs of the ladder, from the lowest to the highest.
fn rungs() -> Vec<&'static str> {
    let mut rungs: Vec<_> = CASES.iter().map(|case| case.rung).collect();
    rungs.dedup();
    rungs
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rungs = rungs();
        for (below, rung) in rungs.iter().enumerate() {
            let lines = || self.lines.iter().filter(|line| line.case.rung == *rung);
            if lines().next().is_none() {
                continue;
            }
            write!(f, "rung {} of {}, ", below + 1, rungs.len())?;
            write!(f, "{}: ", advice::of_rung(rung).0)?;
            let passed = lines().filter(|line| matches!(line.outcome, Outcome::Passed));
            write!(f, "{} of {} passed", passed.count(), lines().count())?;
            let skipped = lines().filter(|line| line.is_skipped()).count();
            if skipped > 0 {
                write!(f, ", {skipped} skipped")?;
            }
            writeln!(f)?;
            for line in lines() {
                if f.alternate() || !matches!(line.outcome, Outcome::Passed) {
                    write!(f, "  {line}")?;
                }
            }
        }
        if self.not_tried > 0 {
            writeln!(
                f,
                "{} cases not tried: all depend on the first rung",
                self.not_tried
            )?;
        }
        let next = self.failures().next().or_else(|| self.shortfalls().next());
        match next {
            Some(line) => writeln!(f, "next: {}: {}", line.case.name, line.case.advice()),
            None if self.lines.is_empty() => writeln!(f, "no case was run"),
            None => writeln!(f, "the stack conforms"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case {
            name,
            covers,
            level,
            ..
        } = self.case;
        let took = self.took.as_millis();
        match &self.outcome {
            Outcome::Passed => write!(f, "passed")?,
            Outcome::Skipped(_) => write!(f, "skipped")?,
            Outcome::Failed(_) => write!(f, "FAILED")?,
        }
        write!(f, " {level} {name}")?;
        if !covers.is_empty() {
            write!(f, " ({covers})")?;
        }
        match &self.outcome {
            Outcome::Passed => writeln!(f, ", {took} ms"),
            Outcome::Skipped(reason) => writeln!(f, ": {reason}"),
            Outcome::Failed(failure) => {
                writeln!(
                    f,
                    ", {took} ms: {}",
                    failure.to_string().replace('\n', "\n  ")
                )
            }
        }
    }
}
