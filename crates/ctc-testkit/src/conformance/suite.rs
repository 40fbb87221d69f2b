//! The suite, set up for one stack.

use std::{fmt, sync::Arc, time::Instant};

use super::{
    asynchronous::Asynchronous,
    blocking::Blocking,
    case::Case,
    cases::CASES,
    client::AnyStack,
    failure::Stop,
    report::{Line, Outcome, Report},
    stack::{AsyncStack, BlockingStack},
    stage::Stage,
};

/// The suite, set up for one stack.
pub struct Suite {
    stack: Box<dyn AnyStack>,
    strict: bool,
}

impl Suite {
    /// The suite for an async stack.
    pub fn asynchronous(stack: impl AsyncStack) -> Self {
        Self {
            stack: Box::new(Asynchronous(Arc::new(stack))),
            strict: false,
        }
    }

    /// The suite for a blocking stack.
    pub fn blocking(stack: impl BlockingStack) -> Self {
        Self {
            stack: Box::new(Blocking(Arc::new(stack))),
            strict: false,
        }
    }

    /// Makes a *should* that fails fail the suite, too: for published adapters.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Returns all cases, in the order of the ladder.
    pub fn cases() -> &'static [Case] {
        CASES
    }

    /// Runs all cases, one after the other. If the first rung fails, the others are not tried.
    pub fn run(&self) -> Report {
        let mut lines: Vec<Line> = Vec::with_capacity(CASES.len());
        for case in CASES {
            let first_rung_broke = lines
                .iter()
                .any(|line| line.has_failed() && line.case.rung == CASES[0].rung);
            if first_rung_broke && case.rung != CASES[0].rung {
                break;
            }
            lines.push(self.line(case));
        }
        let not_tried = CASES.len() - lines.len();
        self.report(lines, not_tried)
    }

    /// Runs the case with this name. An unknown name gives an empty report, which does not pass.
    pub fn run_case(&self, name: &str) -> Report {
        let named = CASES.iter().filter(|case| case.name == name);
        self.report(named.map(|case| self.line(case)).collect(), 0)
    }

    fn report(&self, lines: Vec<Line>, not_tried: usize) -> Report {
        Report {
            lines,
            not_tried,
            strict: self.strict,
        }
    }

    fn line(&self, case: &Case) -> Line {
        let start = Instant::now();
        let lacks = case.needs.iter().find(|need| !self.stack.claims(**need));
        let stage = Stage::new(&*self.stack);
        let ended = match lacks {
            Some(lacks) => Err(Stop::Skipped(lacks.missing())),
            None => (case.run)(&stage),
        };
        let outcome = match ended {
            Ok(()) => Outcome::Passed,
            Err(Stop::Skipped(reason)) => Outcome::Skipped(reason),
            Err(Stop::Failed(mut failure)) => {
                failure.advice = case.advice();
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
            .field("strict", &self.strict)
            .finish_non_exhaustive()
    }
}
