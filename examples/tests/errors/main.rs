//! Every error that a user can meet, through both adapters, as one text: what the manual shows is
//! what is said.
//!
//! After a change of a message: `CTC_BLESS=1 cargo test -p ctc-examples --test errors`, then read
//! the difference.
#![cfg(target_os = "linux")] // the words of the system's own errors are in it
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

/// The manual's copy is the committed one.
const SNAPSHOT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/ctc-driver/src/manual/errors.txt"
);

/// What went wrong, and what was said.
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

/// An error and what it came of.
fn text(error: &dyn Error) -> String {
    let mut text = format!("{error}\n");
    let mut link = error.source();
    while let Some(source) = link {
        let _ = writeln!(text, "  caused by: {source}");
        link = source.source();
    }
    text
}

/// Ports and pauses differ from run to run.
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

/// One text of both reports, told once where they agree.
fn side_by_side(reqwest: &Report, ureq: &Report) -> String {
    let mut text = String::new();
    for (what, said) in &reqwest.0 {
        if said.is_empty() {
            let _ = write!(text, "== {what} ==\n\n");
            continue;
        }
        let _ = writeln!(text, "{what}");
        match ureq.0.iter().find(|(other, _)| other == what) {
            Some((_, other)) if other == said => indent(&mut text, "", said),
            Some((_, other)) => {
                indent(&mut text, "reqwest: ", said);
                indent(&mut text, "ureq:    ", other);
            }
            None => indent(&mut text, "reqwest: ", said),
        }
        text.push('\n');
    }
    text
}

fn indent(text: &mut String, who: &str, said: &str) {
    for (number, line) in said.lines().flat_map(wrapped).enumerate() {
        let margin = if number == 0 {
            who.to_owned()
        } else {
            " ".repeat(who.len())
        };
        let _ = writeln!(text, "    {margin}{line}");
    }
}

/// The line in pieces that fit a page, the later ones set in a little further.
fn wrapped(line: &str) -> Vec<String> {
    const WIDTH: usize = 96;
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
