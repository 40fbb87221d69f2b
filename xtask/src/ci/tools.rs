//! Steps that run another tool, and are skipped if it is not installed.

use std::process::Command;

use super::{Outcome, libraries, partial, plain, skipped};
use crate::shell::{cargo, has_subcommand, output, responses, run};

/// Checks licenses, bans and sources, and advisories if their database can be fetched.
pub(super) fn policy() -> Result<Outcome, String> {
    if !has_subcommand("deny") {
        return Ok(skipped(
            "cargo-deny is not installed: cargo install --locked cargo-deny",
        ));
    }
    // Without this level, each duplicate is a warning with a tree. deny.toml decides which of them
    // fail.
    plain(&[
        "deny",
        "--log-level",
        "error",
        "check",
        "licenses",
        "bans",
        "sources",
    ])?;
    if !responses("cargo", &["deny", "--log-level", "off", "fetch", "db"]) {
        return Ok(partial(
            "without advisories: their database cannot be fetched",
        ));
    }
    plain(&[
        "deny",
        "--log-level",
        "error",
        "check",
        "--disable-fetch",
        "advisories",
    ])
}

pub(super) fn unused() -> Result<Outcome, String> {
    if !has_subcommand("machete") {
        return Ok(skipped(
            "cargo-machete is not installed: cargo install --locked cargo-machete",
        ));
    }
    plain(&["machete"])
}

/// Compares each library with its latest release, which RELEASING.md tags as `<crate>-v<version>`.
pub(super) fn semver() -> Result<Outcome, String> {
    if !has_subcommand("semver-checks") {
        return Ok(skipped(
            "cargo-semver-checks is not installed: cargo install --locked cargo-semver-checks",
        ));
    }
    let (mut compared, mut unreleased) = (0, Vec::new());
    for name in libraries()? {
        let mut git = Command::new("git");
        git.args(["tag", "--list", "--sort=-version:refname"]);
        git.arg(format!("{name}-v*"));
        match output(git)?.lines().next() {
            Some(tag) => {
                compared += 1;
                let options = ["semver-checks", "--package", &name, "--baseline-rev", tag];
                run(cargo(&options))?;
            }
            None => unreleased.push(name),
        }
    }
    Ok(match (compared, unreleased.is_empty()) {
        (_, true) => Outcome::Done,
        (0, false) => skipped("no crate has a release to compare with"),
        (_, false) => partial(&format!("without a release: {}", unreleased.join(", "))),
    })
}
