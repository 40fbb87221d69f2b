//! Checks that the tests in the table of failure cases exist.

use std::collections::HashSet;
use std::path::Path;

use super::{Outcome, read};

const TABLE: &str = "crates/ctc-testkit/FAILURE-CASES.md";

/// Where the conformance suites list their cases, and how each list begins. It ends with its
/// closing bracket.
const LISTS: [(&str, &str); 2] = [
    (
        "crates/ctc-testkit/src/conformance/cases/mod.rs",
        "cases! {",
    ),
    (
        "crates/ctc-testkit/src/store_conformance/mod.rs",
        "const CASES: ",
    ),
];

/// The macro that makes two tests of each function in it.
const MAKES_TESTS: &str = "on_both_stores! {";

/// Checks that each name in backticks that looks like a test is one, below `crates` or `examples`.
pub(super) fn check() -> Result<Outcome, String> {
    let mut tests = HashSet::new();
    for folder in ["crates", "examples"] {
        collect(Path::new(folder), &mut tests)?;
    }
    for (file, begins) in LISTS {
        listed(&read(file)?, begins, &mut tests);
    }
    let table = read(TABLE)?;
    let rows = table.lines().filter(|line| line.starts_with('|'));
    let names = rows.flat_map(|line| line.split('`').skip(1).step_by(2));
    let named: Vec<_> = names.filter(|name| name.matches('_').count() > 1).collect();
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !tests.contains(**name))
        .copied()
        .collect();
    if named.is_empty() || !missing.is_empty() {
        return Err(format!(
            "{TABLE} names tests that do not exist: {}",
            missing.join(", ")
        ));
    }
    println!("{} tests named, all of them exist", named.len());
    Ok(Outcome::Done)
}

fn collect(folder: &Path, tests: &mut HashSet<String>) -> Result<(), String> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, tests)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            in_file(&read(&path.to_string_lossy())?, tests);
        }
    }
    Ok(())
}

/// Collects functions with `#[test]` or a similar attribute, and those in [`MAKES_TESTS`].
fn in_file(text: &str, tests: &mut HashSet<String>) {
    let (mut marked, mut in_macro) = (false, false);
    for line in text.lines() {
        in_macro = line.starts_with(MAKES_TESTS) || in_macro && line != "}";
        let code = line.trim_start();
        if let Some(name) = function(code) {
            if marked || in_macro && line.starts_with("    fn ") {
                tests.insert(name.to_owned());
            }
            marked = false;
        } else if let Some(attribute) = code.strip_prefix("#[") {
            let path = attribute.split(['(', ']', ' ']).next().unwrap_or_default();
            marked |= path.rsplit("::").next() == Some("test");
        } else {
            // Comments, and further lines of a long attribute, may be between the two.
            marked &= !code.starts_with("mod ") && !code.starts_with('}');
        }
    }
}

/// Returns the name of the function that begins in this line.
fn function(code: &str) -> Option<&str> {
    let (before, rest) = code.split_once("fn ")?;
    let modifiers = ["", "pub", "pub(crate)", "pub(super)", "async", "const"];
    before
        .split(' ')
        .all(|word| modifiers.contains(&word))
        .then(|| rest.split(['(', '<']).next())?
}

/// Collects every word of a list.
fn listed(text: &str, begins: &str, tests: &mut HashSet<String>) {
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with(begins))
        .skip(1);
    let lines = lines.take_while(|line| !["}", "];"].contains(line));
    let words = lines
        .flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_'));
    tests.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_count() {
        let mut tests = HashSet::new();
        in_file(
            "#[test]
fn one_that_is() {}

/// A helper.
fn no_test_at_all() {}

    /// In a module.
    #[tokio::test(flavor = \"multi_thread\")]
    #[ignore = \"slow\"]
    async fn one_of_tokio() {
        fn a_helper_within() {}
    }

#[cfg(test)]
pub(crate) fn only_for_tests() {}

on_both_stores! {
    fn one_of_the_macro(stage: &mut Stage) {
        fn a_helper_in_there() {}
    }
}

fn after_the_macro() {}
",
            &mut tests,
        );
        let list = "fn before_the_list() {}
cases! {
    login {
        one_of_the_list \"T39\",
    }
}
";
        listed(list, "cases! {", &mut tests);
        let mut tests: Vec<_> = tests
            .iter()
            .map(String::as_str)
            .filter(|name| name.contains('_'))
            .collect();
        tests.sort_unstable();
        assert_eq!(
            tests,
            [
                "one_of_the_list",
                "one_of_the_macro",
                "one_of_tokio",
                "one_that_is"
            ]
        );
    }
}
