//! Provokes every error through both adapters, and compares the texts with those in the manual.
//!
//! After a change of a message, run `CTC_BLESS=1 cargo test -p ctc-examples --test errors` and read
//! the difference.
#![cfg(target_os = "linux")] // some texts contain the operating system's errors
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers are tests too"
)]

mod asynchronous;
mod blocking;
mod store;

use std::error::Error;
use std::fmt::Write;

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME};

/// The texts in the manual.
const SNAPSHOT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/ctc-driver/src/manual/error_texts.md"
);

/// What was done wrong, and the error's text; an empty text marks a heading.
#[derive(Default)]
struct Report(Vec<(&'static str, String)>);

impl Report {
    fn tell(&mut self, what: &'static str, error: &dyn Error) {
        self.say(what, &text(error));
    }

    fn say(&mut self, what: &'static str, text: &str) {
        self.0.push((what, neutral(text)));
    }

    fn heading(&mut self, heading: &'static str) {
        self.0.push((heading, String::new()));
    }
}

/// An error and its sources.
fn text(error: &dyn Error) -> String {
    let mut text = format!("{error}\n");
    let mut link = error.source();
    while let Some(source) = link {
        let _ = writeln!(text, "  caused by: {source}");
        link = source.source();
    }
    text
}

/// Replaces ports and waiting times, which differ from run to run.
fn neutral(text: &str) -> String {
    let mut neutral = text.to_owned();
    for (before, stands_for) in [
        ("127.0.0.1:", "PORT"),
        ("localhost:", "PORT"),
        ("try again in ", "N"),
    ] {
        let mut parts = neutral.split(before);
        let first = parts.next().unwrap_or_default().to_owned();
        neutral = parts.fold(first, |text, part| {
            format!(
                "{text}{before}{stands_for}{}",
                part.trim_start_matches(|digit: char| digit.is_ascii_digit())
            )
        });
    }
    neutral
}

/// Returns both reports as Markdown, with one text where they agree.
fn side_by_side(reqwest: &Report, ureq: &Report) -> String {
    let mut text = String::new();
    for (what, said) in &reqwest.0 {
        if said.is_empty() {
            let _ = write!(text, "# {what}\n\n");
            continue;
        }
        let (first, rest) = what.split_at(1);
        let _ = write!(text, "## {}{rest}\n\n```text\n", first.to_uppercase());
        match ureq.0.iter().find(|(other, _)| other == what) {
            Some((_, other)) if other == said => indent(&mut text, "", said),
            Some((_, other)) => {
                indent(&mut text, "reqwest: ", said);
                indent(&mut text, "ureq:    ", other);
            }
            None => indent(&mut text, "reqwest: ", said),
        }
        text.push_str("```\n\n");
    }
    text.truncate(text.trim_end().len() + 1);
    text
}

fn indent(text: &mut String, who: &str, said: &str) {
    for (number, line) in said.lines().flat_map(wrapped).enumerate() {
        let margin = if number == 0 {
            who.to_owned()
        } else {
            " ".repeat(who.len())
        };
        let _ = writeln!(text, "{margin}{line}");
    }
}

/// Wraps a line that a page would cut, and indents the later pieces.
fn wrapped(line: &str) -> Vec<String> {
    /// Leaves room for the adapter's name in a block of 80 columns.
    const WIDTH: usize = 71;
    let margin = line.len() - line.trim_start().len() + 2;
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = lines.last_mut().unwrap();
        if last.len() + word.trim_end().len() <= WIDTH || last.trim().is_empty() {
            last.push_str(word);
        } else {
            lines.push(format!("{}{word}", " ".repeat(margin)));
        }
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[test]
fn each_error_says_what_happened_and_what_to_do() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut reqwest, mut ureq) = (Report::default(), Report::default());
    asynchronous::walk::everything(&mut reqwest);
    blocking::walk::everything(&mut ureq);
    let text = side_by_side(&reqwest, &ureq);
    for secret in [
        DEFAULT_USERNAME,
        DEFAULT_PASSWORD,
        DEFAULT_APP_KEY,
        "s3cret",
        "authToken=",
    ] {
        assert!(!text.contains(secret), "a secret is in:\n{text}");
    }
    if std::env::var_os("CTC_BLESS").is_some() {
        std::fs::write(SNAPSHOT, &text).unwrap();
    }
    let kept = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    let first = text.lines().zip(kept.lines()).find(|(new, old)| new != old);
    assert!(
        text == kept,
        "not as in {SNAPSHOT}; first difference: {first:?}\n{text}"
    );
}
