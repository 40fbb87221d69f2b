//! Whether every crate can be published as it is.

use super::{Outcome, crates, plain};
use crate::shell::{cargo, output};

/// What docs and licences need in each package, beside the code.
const NEEDED: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// The code: a library's or a program's.
const CODE: &[&str] = &["src/lib.rs", "src/main.rs"];

pub(super) fn run() -> Result<Outcome, String> {
    for package in crates()? {
        let files = output(cargo(&[
            "package",
            "--package",
            &package,
            "--list",
            "--allow-dirty",
        ]))?;
        let missing: Vec<_> = NEEDED
            .iter()
            .filter(|needed| files.lines().all(|file| file != **needed))
            .copied()
            .collect();
        if files.lines().all(|file| !CODE.contains(&file)) {
            return Err(format!(
                "the package {package} has neither of {}",
                CODE.join(", ")
            ));
        }
        if !missing.is_empty() {
            return Err(format!(
                "the package {package} lacks {}",
                missing.join(", ")
            ));
        }
    }
    // Together, since none of them is published yet and each needs its neighbours. Their code is
    // built by other steps, so it is not built once more from the archives.
    plain(&[
        "package",
        "--quiet",
        "--workspace",
        "--no-verify",
        "--allow-dirty",
    ])
}
