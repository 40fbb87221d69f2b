//! Checks that every crate can be published.

use super::{Outcome, crates, plain};
use crate::shell::{cargo, output};

/// Files that each package needs besides the code.
const NEEDED: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// The root file of a library or a program.
const ROOTS: &[&str] = &["src/lib.rs", "src/main.rs"];

pub(super) fn run() -> Result<Outcome, String> {
    for package in crates()? {
        let files = output(cargo(&[
            "package",
            "--package",
            &package,
            "--list",
            "--allow-dirty",
        ]))?;
        let has = |name: &&str| files.lines().any(|file| file == *name);
        let mut missing: Vec<_> = NEEDED
            .iter()
            .filter(|needed| !has(needed))
            .copied()
            .collect();
        if !ROOTS.iter().any(has) {
            missing.extend(ROOTS);
        }
        if !missing.is_empty() {
            return Err(format!(
                "the package {package} lacks {}",
                missing.join(", ")
            ));
        }
    }
    // Together, because none of them is published yet and they need each other. Other steps build
    // their code, so do not build it again from the archives.
    plain(&[
        "package",
        "--quiet",
        "--workspace",
        "--no-verify",
        "--allow-dirty",
    ])
}
