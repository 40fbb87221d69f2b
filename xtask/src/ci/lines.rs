//! No line of Rust is longer than 100 columns, comments included, which rustfmt does not wrap.

use super::{Outcome, read};
use crate::shell::tracked;

/// The value in rustfmt.toml.
const WIDEST: usize = 100;

pub(super) fn check() -> Result<Outcome, String> {
    let (mut files, mut long) = (0, Vec::new());
    for file in tracked("*.rs")? {
        files += 1;
        let text = read(&file)?;
        let lines = too_long(&text);
        long.extend(lines.map(|(line, width)| format!("{file}:{line}: {width} columns")));
    }
    println!("{files} files checked");
    if long.is_empty() {
        return Ok(Outcome::Done);
    }
    Err(format!(
        "{} lines over {WIDEST} columns:\n{}",
        long.len(),
        long.join("\n")
    ))
}

/// Returns the number and the width, in characters, of each line that is too long.
fn too_long(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let widths = text.lines().map(|line| line.chars().count());
    (1..).zip(widths).filter(|(_, width)| *width > WIDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_over_the_limit_are_named() {
        let text = format!(
            "fn short() {{}}\n{}\n\n{}\n",
            "x".repeat(101),
            "x".repeat(100)
        );
        assert_eq!(too_long(&text).collect::<Vec<_>>(), [(2, 101)]);
    }

    #[test]
    fn characters_count_not_bytes() {
        let arrows = "─".repeat(100);
        assert_eq!(too_long(&arrows).count(), 0);
        assert_eq!(
            too_long(&format!("{arrows}→")).collect::<Vec<_>>(),
            [(1, 101)]
        );
    }
}
