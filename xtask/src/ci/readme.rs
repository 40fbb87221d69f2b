//! Code in a README is whole as its page shows it: rustdoc would hide lines that begin with `# `,
//! but a README is read elsewhere, and its blocks are pasted from there.

use super::read;
use crate::shell::{cargo, output, tracked};

/// That each block also compiles is a documentation test of its crate.
pub(super) fn check() -> Result<(), String> {
    let (mut blocks, mut hidden) = (0, Vec::new());
    for file in tracked("*README.md")? {
        let found = hidden_lines(&read(&file)?);
        blocks += found.0;
        hidden.extend(found.1.iter().map(|line| format!("{file}:{line}")));
    }
    println!("{blocks} blocks of Rust in READMEs");
    match hidden.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "lines that only rustdoc hides, in a README: write the block out whole\n{}",
            hidden.join("\n")
        )),
    }
}

/// How many blocks of Rust there are, and the numbers of the lines in them that rustdoc hides.
fn hidden_lines(text: &str) -> (usize, Vec<usize>) {
    let (mut blocks, mut hidden) = (0, Vec::new());
    let (mut in_block, mut is_rust) = (false, false);
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            in_block = !in_block;
            // Without a language it is Rust to rustdoc.
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

/// The README shows what this example prints, numbers apart.
pub(super) fn shows(example: &str) -> Result<(), String> {
    let printed = output(cargo(&["run", "--quiet", "--example", example]))?;
    print!("{printed}");
    let readme = read("README.md")?;
    match without_numbers(&readme).contains(&without_numbers(&printed)) {
        true => Ok(()),
        false => Err(format!("README.md shows another output of {example}")),
    }
}

/// Ports and counts differ from run to run.
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
    fn lines_that_rustdoc_hides_are_found_in_rust_alone() {
        let text = "# A title\n\n```text\n# no code\n```\n\n```rust,no_run\n# fn main() {\n\
                    let a = 1;\n    # let b = 2;\n#\n#[derive(Debug)]\nstruct C;\n# }\n```\n\
                    # Another\n\n```sh\n# a comment\n```\n\n```\n# hidden, too\n```\n";
        assert_eq!(hidden_lines(text), (2, vec![8, 10, 11, 14, 23]));
    }

    #[test]
    fn a_block_that_is_whole_has_none() {
        let text = "# A title\n```rust\n#![no_std]\nfn main() {}\n```\n";
        assert_eq!(hidden_lines(text), (1, Vec::new()));
    }

    #[test]
    fn outputs_are_compared_but_for_their_numbers() {
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
