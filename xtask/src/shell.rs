//! Running other programs.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::sync::mpsc;

/// Returns the `cargo` that started this process.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // With this variable set, some subcommands believe that `cargo run` started them.
    command.args(args).env_remove("CARGO_PKG_NAME");
    command
}

/// Returns `cargo` of another toolchain.
pub(crate) fn cargo_of(toolchain: &str, args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]).args(args);
    command
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTDOC");
    command
}

/// Returns whether rustup has this toolchain.
pub(crate) fn has_toolchain(toolchain: &str) -> bool {
    responses("rustup", &["run", toolchain, "rustc", "--version"])
}

/// Returns whether this cargo subcommand is installed.
pub(crate) fn has_subcommand(name: &str) -> bool {
    let mut command = cargo(&[name, "--version"]);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a command and returns its standard output.
pub(crate) fn output(mut command: Command) -> Result<String, String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", shown(&command)))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{} failed ({})", shown(&command), output.status)),
    }
}

/// Returns the existing files that match a pattern of git, such as `*.rs`.
pub(crate) fn tracked(pattern: &str) -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        pattern,
    ]);
    let files = output(git)?;
    let there = files
        .lines()
        .filter(|file| std::path::Path::new(file).is_file());
    Ok(there.map(str::to_owned).collect())
}

/// Runs a command, with the standard output and error of this process.
pub(crate) fn run(mut command: Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("{}: {error}", shown(&command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed ({status})", shown(&command)))
    }
}

/// Runs a command, passes on both its outputs, and calls `see` with each line. Returns whether the
/// command succeeded.
pub(crate) fn read_all_lines(
    mut command: Command,
    mut see: impl FnMut(&str),
) -> Result<bool, String> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", shown(&command)))?;
    let (sender, lines) = mpsc::channel();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let errors = sender.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let lines = stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines());
            lines.for_each(|line| drop(sender.send((line, false))));
        });
        scope.spawn(move || {
            let lines = stderr
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines());
            lines.for_each(|line| drop(errors.send((line, true))));
        });
        for (line, is_error) in lines {
            let line = line.map_err(|error| error.to_string())?;
            if is_error {
                eprintln!("{line}");
            } else {
                println!("{line}");
            }
            see(&line);
        }
        Ok::<_, String>(())
    })?;
    Ok(child.wait().map_err(|error| error.to_string())?.success())
}

/// Runs it, shows each line of its standard output to `see`, and says whether it succeeded. Ends it
/// once `see` returns `Break`.
pub(crate) fn read_lines(
    mut command: Command,
    mut see: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<bool, String> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", shown(&command)))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            if see(&line.map_err(|error| error.to_string())?).is_break() {
                child.kill().map_err(|error| error.to_string())?;
                break;
            }
        }
    }
    Ok(child.wait().map_err(|error| error.to_string())?.success())
}

/// Returns whether this program exists and responds.
pub(crate) fn responses(program: &str, args: &[&str]) -> bool {
    let quiet = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
