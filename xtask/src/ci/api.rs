//! The public API of each crate: its listing, which a change must update, and the foreign types in
//! it.

use std::collections::BTreeSet;

use super::{Outcome, libraries, partial, read};
use crate::shell::{cargo_of, has_subcommand, has_toolchain, output};

/// Crates whose types may be in a public API, besides `std` and this project's own.
const ALLOWED: &[(&str, &[&str])] = &[
    ("ctc-core", &["bytes", "http", "serde_core"]),
    ("ctc-driver", &["bytes", "http", "http_body"]),
    ("ctc-reqwest", &["http", "reqwest", "serde_core"]),
    ("ctc-store-file", &[]),
    ("ctc-store-redis", &["redis"]),
    ("ctc-testkit", &["http", "serde_core"]),
    (
        "ctc-tower",
        &[
            "bytes",
            "http",
            "http_body",
            "tower",
            "tower_layer",
            "tower_service",
        ],
    ),
    ("ctc-ureq", &["bytes", "http", "serde_core", "ureq"]),
];

pub(super) fn check() -> Result<Outcome, String> {
    for package in libraries()? {
        only_allowed_types(&package)?;
    }
    if let Some(missing) = missing_tool() {
        return Ok(partial(&format!(
            "only the types in the listings: {missing}"
        )));
    }
    for package in libraries()? {
        let (listed, found) = (read(&path(&package))?, listing(&package)?);
        if let Some(difference) = difference(&listed, &found) {
            return Err(format!(
                "the public API of {package} differs from {}: if that is intended, run \
                 `cargo xtask api`\n\
                 {difference}",
                path(&package)
            ));
        }
    }
    Ok(Outcome::Done)
}

/// Rewrites all listings.
pub(crate) fn write() -> Result<(), String> {
    if let Some(missing) = missing_tool() {
        return Err(missing.to_owned());
    }
    for package in libraries()? {
        let listing = listing(&package)?;
        std::fs::write(path(&package), listing)
            .map_err(|error| format!("{}: {error}", path(&package)))?;
        only_allowed_types(&package)?;
    }
    Ok(())
}

fn missing_tool() -> Option<&'static str> {
    if !has_toolchain("nightly") {
        Some("a nightly rustdoc is needed: rustup toolchain install nightly --profile minimal")
    } else if !has_subcommand("public-api") {
        Some("cargo-public-api is not installed: cargo install --locked cargo-public-api")
    } else {
        None
    }
}

fn path(package: &str) -> String {
    format!("xtask/api/{package}.txt")
}

fn listing(package: &str) -> Result<String, String> {
    let mut args = vec!["public-api", "-sss", "--package", package];
    if package == "ctc-testkit" {
        args.extend(["--features", "conformance"]);
    }
    let mut command = cargo_of("nightly", &args);
    command.env("CARGO_TARGET_DIR", "target/public-api");
    output(command)
}

fn difference(listed: &str, found: &str) -> Option<String> {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) =
        (listed.lines().collect(), found.lines().collect());
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    let new = after.difference(&before).map(|line| format!("+ {line}"));
    let lines: Vec<_> = gone.chain(new).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn only_allowed_types(package: &str) -> Result<(), String> {
    let allowed = ALLOWED
        .iter()
        .find(|(name, _)| *name == package)
        .map_or(&[][..], |(_, allowed)| *allowed);
    let listing = read(&path(package))?;
    for line in listing.lines() {
        for root in roots(line) {
            let own = root.starts_with("ctc_") || matches!(root, "std" | "core" | "alloc");
            if !own && !allowed.contains(&root) {
                return Err(format!(
                    "{package} exposes a type of {root}, which is not allowed:\n{line}"
                ));
            }
        }
    }
    Ok(())
}

/// Returns the first segment of each path in a line: a crate's name, if it is in lower case.
fn roots(line: &str) -> impl Iterator<Item = &str> {
    let paths =
        line.split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | ':')));
    paths
        .filter_map(|path| path.split_once("::").map(|(root, _)| root))
        .filter(|root| root.starts_with(|first: char| first.is_ascii_lowercase()))
}
