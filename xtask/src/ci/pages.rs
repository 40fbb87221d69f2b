//! Checks of front pages and manual pages in `cargo doc`.

use std::path::{Path, PathBuf};

use super::read;
use crate::shell::tracked;

/// In a window of 1280 pixels, rustdoc's page cuts wider blocks.
const WIDEST: usize = 85;

/// Checks that no block is wider than a page.
pub(super) fn check_widths() -> Result<(), String> {
    let mut wide = Vec::new();
    let manual = tracked("crates/*/src/manual/*.md")?;
    let clients = tracked("crates/ctc-testkit/clients/*")?;
    let fronts = tracked("crates/ctc-*/src/lib.rs")?;
    for file in manual.iter().chain(&clients).chain(&fronts) {
        let text = read(file)?;
        let page = match file.rsplit_once('.') {
            Some((_, "md")) => text,
            Some((_, "rs")) => front_page(&text),
            _ => format!("```\n{text}"),
        };
        let lines = wide_in_blocks(&page);
        wide.extend(lines.iter().map(|line| format!("{file}: {line}")));
    }
    match wide.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "lines of code blocks over {WIDEST} columns, which the page cuts:\n{}",
            wide.join("\n")
        )),
    }
}

/// Checks that no page shows the brackets of a link without a target, such as one to a crate that
/// `--no-deps` leaves out.
pub(super) fn check_brackets(crates: &[String]) -> Result<(), String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let docs = PathBuf::from(target).join("doc");
    let roots = crates.iter().map(|name| docs.join(name.replace('-', "_")));
    // A program has no pages.
    let mut folders: Vec<_> = roots.filter(|folder| has_page(folder)).collect();
    let (mut pages, mut shown) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        let page = folder.join("index.html");
        pages += 1;
        if read(&page.to_string_lossy())?.contains("[<code>") {
            shown.push(page.display().to_string());
        }
        let entries = std::fs::read_dir(&folder).map_err(|error| error.to_string())?;
        let entries = entries.flatten().map(|entry| entry.path());
        folders.extend(entries.filter(|folder| has_page(folder)));
    }
    println!("{pages} pages of crates and modules");
    match shown.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "pages with the brackets of a link without a target: use plain code, or a URL\n{}",
            shown.join("\n")
        )),
    }
}

fn has_page(folder: &Path) -> bool {
    folder.join("index.html").exists()
}

/// Returns the text of a file's `//!` lines.
fn front_page(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the lines of code blocks that are too wide.
fn wide_in_blocks(text: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut wide = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block && line.chars().count() > WIDEST && !line.starts_with("# ") {
            wide.push(line);
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_blocks_that_are_too_wide_are_found() {
        let (fits, cut) = ("x".repeat(WIDEST), "x".repeat(WIDEST + 1));
        let text = format!("{cut}\n```text\n{fits}\n{cut}\n# {cut}\n```\n{cut}\n");
        assert_eq!(wide_in_blocks(&text), [&cut]);
    }

    #[test]
    fn the_front_page_ends_with_the_code() {
        let text = "//! One\n//!\n//! Two\n\nmod a;\n//! Three\n";
        assert_eq!(front_page(text), "One\n\nTwo");
    }
}
