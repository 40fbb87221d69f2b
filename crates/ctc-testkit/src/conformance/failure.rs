//! The failure of a case.

use std::{error::Error, fmt, panic::Location};

use crate::{Entry, Server};

/// How many requests of each server a failure shows.
const SHOWN: usize = 12;

/// What was expected of a stack, what was seen instead, and what the servers received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What was checked.
    pub what: String,
    /// The expected value.
    pub expected: String,
    /// The value that was seen.
    pub seen: String,
    /// The line of the suite with the check.
    pub place: String,
    /// What to do about it.
    pub advice: String,
    /// The last requests that the servers of this case received, one per line.
    pub journal: Vec<String>,
}

/// Why a case ends early.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(Box<Failure>),
    /// The stack cannot do what the case is about.
    Skipped(&'static str),
}

pub(super) type Checked<T = ()> = Result<T, Stop>;

/// Fails unless `seen` is as expected.
#[expect(
    clippy::needless_pass_by_value,
    reason = "reads better where it is called, mostly with literals"
)]
#[track_caller]
pub(super) fn equal<T: PartialEq + fmt::Debug>(
    what: impl fmt::Display,
    seen: T,
    expected: T,
) -> Checked {
    if seen == expected {
        Ok(())
    } else {
        fail(what, format!("{expected:?}"), format!("{seen:?}"))
    }
}

/// Fails unless `holds`; `seen` is what was seen instead.
#[track_caller]
pub(super) fn that(what: impl fmt::Display, holds: bool, seen: impl fmt::Debug) -> Checked {
    if holds {
        Ok(())
    } else {
        fail(what, "to hold".into(), format!("{seen:?}"))
    }
}

#[track_caller]
pub(super) fn fail<T>(what: impl fmt::Display, expected: String, seen: String) -> Checked<T> {
    let place = Location::caller();
    Err(Stop::Failed(Box::new(Failure {
        what: what.to_string(),
        expected,
        seen,
        place: format!("{}:{}", place.file(), place.line()),
        advice: String::new(),
        journal: Vec::new(),
    })))
}

impl Failure {
    pub(super) fn show_journal(&mut self, server: &Server) {
        let journal = server.journal();
        self.journal.push(format!(
            "{} saw {} requests, at the end:",
            server.url(),
            journal.len()
        ));
        let from = journal.len().saturating_sub(SHOWN);
        self.journal.extend(journal[from..].iter().map(line));
    }
}

fn line(entry: &Entry) -> String {
    let status = entry
        .status
        .map_or_else(|| "no response".to_owned(), |status| status.to_string());
    let query = if entry.query.is_empty() {
        String::new()
    } else {
        format!("?{}", entry.query)
    };
    let Entry {
        seq,
        connection,
        method,
        path,
        body_len,
        ..
    } = entry;
    let cookies = entry.header("cookie").join(" | ");
    let mut text =
        format!("  #{seq} on connection {connection}: {method} {path}{query} ({body_len} bytes)");
    if !cookies.is_empty() {
        text.push_str(&format!(" with cookie {cookies}"));
    }
    text.push_str(&format!(" -> {status}"));
    if let Some(violation) = entry.violation {
        text.push_str(&format!(", VIOLATION {violation:?}"));
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        writeln!(f, "  expected: {}", self.expected)?;
        writeln!(f, "  seen:     {}", self.seen)?;
        writeln!(f, "  do:       {}", self.advice)?;
        write!(f, "  checked at {}", self.place)?;
        self.journal
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl Error for Failure {}
