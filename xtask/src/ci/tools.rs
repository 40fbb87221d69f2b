//! Steps that are another tool's work, skipped where it is not installed.

use super::{Outcome, partial, plain, skipped};
use crate::shell::{has_subcommand, responses};

/// Licences, bans and sources always; advisories where their database can be had.
pub(super) fn policy() -> Result<Outcome, String> {
    if !has_subcommand("deny") {
        return Ok(skipped(
            "cargo-deny is not installed: cargo install --locked cargo-deny",
        ));
    }
    // Duplicates are a warning each, with a tree: here they are only counted against.
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
            "without advisories: their database is out of reach",
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
