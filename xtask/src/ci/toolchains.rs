//! Steps that need another toolchain than the current one.

use std::path::Path;

use super::{Outcome, crates, partial, plain, read, skipped};
use crate::shell::{cargo, cargo_of, has_toolchain, output, run};

/// Checks every published crate with the Rust version of the workspace's manifest.
pub(super) fn msrv() -> Result<Outcome, String> {
    let manifest = read("Cargo.toml")?;
    let stated = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let stated = stated
        .ok_or("Cargo.toml states no rust-version")?
        .trim_matches('"');
    if !has_toolchain(stated) {
        return Ok(skipped(&format!(
            "Rust {stated} is not installed: rustup toolchain install {stated}"
        )));
    }
    let mut command = cargo_of(stated, &["check", "--quiet", "--workspace", "--locked"]);
    command.env("CARGO_TARGET_DIR", "target/msrv");
    run(command).map(|()| Outcome::Done)
}

/// Checks the code for other platforms. This needs no linker for them, but building TLS needs a C
/// compiler for them, so the test server and the command are left out.
pub(super) fn platforms() -> Result<Outcome, String> {
    let mut everything = crates()?;
    everything.retain(|package| !["ctc-cli", "ctc-testkit"].contains(&package.as_str()));
    let core = ["ctc-core".to_owned()];
    let checks: [(&str, &[String]); 3] = [
        ("wasm32-unknown-unknown", &core),
        ("x86_64-pc-windows-gnu", &everything),
        ("x86_64-apple-darwin", &everything),
    ];
    let mut missing = Vec::new();
    for (target, packages) in &checks {
        if !has_std(target) {
            missing.push(*target);
            continue;
        }
        let mut args = vec!["check", "--quiet", "--locked", "--target", target];
        args.extend(packages.iter().flat_map(|package| ["--package", package]));
        plain(&args)?;
    }
    if missing.is_empty() {
        return Ok(Outcome::Done);
    }
    let why = format!("not installed: rustup target add {}", missing.join(" "));
    Ok(if missing.len() == checks.len() {
        skipped(&why)
    } else {
        partial(&why)
    })
}

fn has_std(target: &str) -> bool {
    let mut rustc = std::process::Command::new("rustc");
    rustc.args(["--target", target, "--print", "target-libdir"]);
    let folder = output(rustc);
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// Checks everything with the lowest versions that the manifests allow, in a copy, because this
/// needs another lock file.
pub(super) fn minimal_versions() -> Result<Outcome, String> {
    const COPY: &str = "target/minimal-versions/copy";
    if !has_toolchain("nightly") {
        return Ok(skipped(
            "it needs a nightly cargo: rustup toolchain install nightly --profile minimal",
        ));
    }
    let mut git = std::process::Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    // Remove the copy of an earlier run: it may have files that no longer exist.
    let _ = std::fs::remove_dir_all(COPY);
    let Ok(files) = output(git) else {
        return Ok(skipped("it needs git, to know which files to copy"));
    };
    for file in files
        .lines()
        .filter(|file| *file != "Cargo.lock" && Path::new(file).is_file())
    {
        let copy = Path::new(COPY).join(file);
        let folder = copy.parent().ok_or("a file without a folder")?;
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::copy(file, &copy))
            .map_err(|error| format!("{}: {error}", copy.display()))?;
    }
    // Resolve with nightly, check with the current toolchain.
    let mut resolve = cargo_of(
        "nightly",
        &["update", "--quiet", "-Z", "direct-minimal-versions"],
    );
    run_in(&mut resolve, COPY);
    run(resolve)?;
    let mut check = cargo(&["check", "--quiet", "--workspace", "--locked"]);
    run_in(&mut check, COPY);
    run(check).map(|()| Outcome::Done)
}

fn run_in(command: &mut std::process::Command, folder: &str) {
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", "../target");
}
