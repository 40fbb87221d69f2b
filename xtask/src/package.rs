//! `cargo xtask package`: each published crate, built from its packaged archive alone.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::shell::{cargo, output, read_all_lines};

/// Cargo's messages about one crate.
struct Archive {
    name: String,
    /// `66 files, 371.3KiB (96.6KiB compressed)`.
    contents: String,
    /// The time from its line to the next crate's. `None` if cargo did not build it.
    built_in: Option<Duration>,
}

/// Packages the crates together, because they need each other and none is published yet. Cargo
/// takes dependencies from their archives too, not from the workspace.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("package takes no arguments".into());
    }
    let crates = crate::ci::crates()?;
    let mut command = cargo(&["package", "--allow-dirty", "--locked"]);
    for name in &crates {
        command.args(["--package", name]);
    }
    let mut archives: Vec<Archive> = Vec::new();
    let (mut packaging, mut building): (String, Option<(String, Instant)>) = Default::default();
    let end = |archives: &mut Vec<Archive>, building: &mut Option<(String, Instant)>| {
        if let Some((name, start)) = building.take() {
            let archive = archives.iter_mut().find(|archive| archive.name == name);
            if let Some(archive) = archive {
                archive.built_in = Some(start.elapsed());
            }
        }
    };
    let succeeded = read_all_lines(command, |line| {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("Packaging"), Some(name)) => packaging = name.to_owned(),
            (Some("Packaged"), _) => archives.push(Archive {
                name: packaging.clone(),
                contents: line.trim().trim_start_matches("Packaged ").to_owned(),
                built_in: None,
            }),
            (Some("Verifying"), Some(name)) => {
                end(&mut archives, &mut building);
                building = Some((name.to_owned(), Instant::now()));
            }
            (Some("Finished"), _) => end(&mut archives, &mut building),
            _ => {}
        }
    })?;
    print!("\n{}", table(&archives));
    let version = output(cargo(&["--version"]))?;
    println!("{} crates, {}", archives.len(), version.trim());
    match succeeded && archives.iter().all(|archive| archive.built_in.is_some()) {
        true => Ok(()),
        false => Err("a crate does not build from its archive alone".into()),
    }
}

fn table(archives: &[Archive]) -> String {
    let mut text = format!("{:<18}{:<46}built in\n", "crate", "archive");
    for archive in archives {
        let built_in = match archive.built_in {
            Some(took) => format!("{:>4} s", took.as_secs()),
            None => "not built".to_owned(),
        };
        let _ = writeln!(
            text,
            "{:<18}{:<46}{built_in}",
            archive.name, archive.contents
        );
    }
    text
}
