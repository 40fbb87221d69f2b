//! Checks of the documents outside of rustdoc.
//!
//! Code in a README must be complete as the page shows it, because readers paste it. rustdoc would
//! hide lines that begin with `# `, but other pages show them. Links must lead to existing files
//! and headings.

use std::path::Path;

use super::read;
use crate::shell::{cargo, output, tracked};

/// Checks the READMEs. A documentation test of each crate compiles their blocks.
pub(super) fn check() -> Result<(), String> {
    let (mut blocks, mut hidden) = (0, Vec::new());
    for file in tracked("*README.md")? {
        let found = hidden_lines(&read(&file)?);
        blocks += found.0;
        hidden.extend(found.1.iter().map(|line| format!("{file}:{line}")));
    }
    println!("{blocks} blocks of Rust in READMEs");
    if !hidden.is_empty() {
        return Err(format!(
            "a README has lines that only rustdoc hides: write out the whole block\n{}",
            hidden.join("\n")
        ));
    }
    check_links()
}

/// Follows the links between the files of the repository, except those of the manual's pages, which
/// rustdoc checks.
fn check_links() -> Result<(), String> {
    let (mut links, mut broken) = (0, Vec::new());
    for file in tracked("*.md")?
        .iter()
        .filter(|file| !file.contains("/src/"))
    {
        let text = read(file)?;
        for target in relative_links(&text) {
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(file).parent().unwrap_or(Path::new(""));
            let path = match path {
                "" => Path::new(file).to_owned(),
                path => folder.join(path),
            };
            let has_anchor = || anchor.is_empty() || anchors(&path).iter().any(|it| it == anchor);
            if !path.exists() || !has_anchor() {
                broken.push(format!("{file}: {target}"));
            }
        }
    }
    println!("{links} links between files");
    match broken.is_empty() {
        true => Ok(()),
        false => Err(format!("links without a target:\n{}", broken.join("\n"))),
    }
}

/// Returns the targets of Markdown links that are not URLs.
fn relative_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .filter(|target| !target.contains("://") && !target.contains("::"))
}

/// Returns the anchors of a page's headings, as code hosts make them.
fn anchors(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap_or_default();
    let heading = |line: &str| {
        let title = line
            .starts_with('#')
            .then(|| line.trim_start_matches('#'))?;
        let title = title.strip_prefix(' ')?.to_lowercase();
        let kept = title
            .chars()
            .filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
        Some(kept.collect::<String>().replace(' ', "-"))
    };
    text.lines().filter_map(heading).collect()
}

/// Returns how many blocks of Rust there are, and the numbers of their lines that rustdoc hides.
fn hidden_lines(text: &str) -> (usize, Vec<usize>) {
    let (mut blocks, mut hidden) = (0, Vec::new());
    let (mut in_block, mut is_rust) = (false, false);
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            in_block = !in_block;
            // Without a language, rustdoc takes it for Rust.
            let first = language.split([',', ' ']).next().unwrap_or_default();
            let flags = [
                "",
                "rust",
                "no_run",
                "ignore",
                "should_panic",
                "compile_fail",
            ];
            is_rust = in_block && flags.contains(&first);
            blocks += usize::from(is_rust);
        } else if is_rust && (line == "#" || line.starts_with("# ")) {
            hidden.push(number);
        }
    }
    (blocks, hidden)
}

/// Checks that the examples' README shows what this example prints, except numbers.
pub(super) fn shows(example: &str) -> Result<(), String> {
    let printed = output(cargo(&["run", "--quiet", "--example", example]))?;
    print!("{printed}");
    let readme = read("examples/README.md")?;
    match without_numbers(&readme).contains(&without_numbers(&printed)) {
        true => Ok(()),
        false => Err(format!(
            "examples/README.md does not show the output of {example}: update it"
        )),
    }
}

/// Replaces ports and counts, which differ from run to run.
fn without_numbers(text: &str) -> String {
    let parts = text.split(|letter: char| letter.is_ascii_digit());
    parts
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("N")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_rustdoc_hides_are_found_only_in_rust() {
        let text = "# A title\n\n```text\n# no code\n```\n\n```rust,no_run\n# fn main() {\n\
                    let a = 1;\n    # let b = 2;\n#\n#[derive(Debug)]\nstruct C;\n# }\n```\n\
                    # Another\n\n```sh\n# a comment\n```\n\n```\n# hidden, too\n```\n";
        assert_eq!(hidden_lines(text), (2, vec![8, 10, 11, 14, 23]));
    }

    #[test]
    fn a_complete_block_has_no_hidden_lines() {
        let text = "# A title\n```rust\n#![no_std]\nfn main() {}\n```\n";
        assert_eq!(hidden_lines(text), (1, Vec::new()));
    }

    #[test]
    fn links_to_other_files_are_found() {
        let text = "[a](b.md#c), [d](https://e.example/) and [f](crate::G): ![h](i.svg)";
        assert_eq!(
            relative_links(text).collect::<Vec<_>>(),
            ["b.md#c", "i.svg"]
        );
    }

    #[test]
    fn outputs_are_compared_except_for_numbers() {
        assert_eq!(
            without_numbers("port 41277, 5 calls"),
            without_numbers("port 80, 12 calls")
        );
        assert_ne!(
            without_numbers("5 calls, 1 login"),
            without_numbers("5 calls")
        );
    }
}
