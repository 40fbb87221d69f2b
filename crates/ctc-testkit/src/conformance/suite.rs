//! The suite, its report and its test macro.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    asynchronous::Asynchronous,
    blocking::Blocking,
    case::Case,
    cases::CASES,
    client::AnyStack,
    failure::{Failure, Stop},
    stack::{AsyncStack, BlockingStack},
    stage::Stage,
};

/// The suite, set up for one stack.
pub struct Suite {
    stack: Box<dyn AnyStack>,
}

impl Suite {
    /// The suite for an async stack.
    pub fn asynchronous(stack: impl AsyncStack) -> Self {
        Self {
            stack: Box::new(Asynchronous(Arc::new(stack))),
        }
    }

    /// The suite for a blocking stack.
    pub fn blocking(stack: impl BlockingStack) -> Self {
        Self {
            stack: Box::new(Blocking(Arc::new(stack))),
        }
    }

    /// Every case, by name.
    pub fn cases() -> &'static [Case] {
        CASES
    }

    /// Runs every case, one after the other.
    pub fn run(&self) -> Report {
        Report {
            lines: CASES.iter().map(|case| self.line(case)).collect(),
        }
    }

    /// Runs the case of this name. A name that there is not gives an empty report, which does not
    /// pass.
    pub fn run_case(&self, name: &str) -> Report {
        Report {
            lines: CASES
                .iter()
                .filter(|case| case.name == name)
                .map(|case| self.line(case))
                .collect(),
        }
    }

    fn line(&self, case: &Case) -> Line {
        let start = Instant::now();
        let stage = Stage::new(&*self.stack);
        let outcome = match (case.run)(&stage) {
            Ok(()) => Outcome::Passed,
            Err(Stop::Skipped(reason)) => Outcome::Skipped(reason),
            Err(Stop::Failed(mut failure)) => {
                stage.show_journals(&mut failure);
                Outcome::Failed(*failure)
            }
        };
        Line {
            case: *case,
            outcome,
            took: start.elapsed(),
        }
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("async", &self.stack.is_async())
            .finish_non_exhaustive()
    }
}

/// How a case ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// As it should.
    Passed,
    /// The stack says that it cannot do what the case is about.
    Skipped(&'static str),
    /// Otherwise.
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

/// How the cases ended, one line each when printed.
#[derive(Clone, Debug)]
#[must_use = "a report that nobody asserts on proves nothing"]
pub struct Report {
    /// One for each case that was run.
    pub lines: Vec<Line>,
}

impl Report {
    /// Whether cases were run and none failed. Skipped ones do not count.
    pub fn passed(&self) -> bool {
        !self.lines.is_empty() && self.failures().next().is_none()
    }

    /// The cases that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(|line| matches!(line.outcome, Outcome::Failed(_)))
    }

    /// The cases that were skipped.
    pub fn skipped(&self) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(|line| matches!(line.outcome, Outcome::Skipped(_)))
    }

    /// Panics with the report unless it [`passed`](Self::passed). Skipped cases are named on the
    /// standard error output, past a test harness that captures it.
    ///
    /// # Panics
    /// As said: this is the assertion of a test.
    #[track_caller]
    pub fn assert_passed(&self) {
        use std::io::Write;
        for line in self.skipped() {
            // In one piece, since tests run side by side. There is nobody to tell when it cannot be
            // written.
            let _ = std::io::stderr().write_all(format!("conformance: {line}").as_bytes());
        }
        assert!(
            self.passed(),
            "the stack does not conform ({} cases run):\n{self}",
            self.lines.len()
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| line.fmt(f))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { name, covers, .. } = self.case;
        let took = self.took.as_millis();
        match &self.outcome {
            Outcome::Passed => writeln!(f, "passed  {took:>5} ms  {name}  {covers}"),
            Outcome::Skipped(reason) => {
                writeln!(f, "SKIPPED {took:>5} ms  {name}  {covers}: {reason}")
            }
            Outcome::Failed(failure) => {
                writeln!(f, "FAILED  {took:>5} ms  {name}  {covers}: {failure}")
            }
        }
    }
}
