//! Running other programs.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

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

/// How a program that was watched ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exited {
        success: bool,
    },
    /// `see` wanted no more of it.
    Stopped,
    /// It took longer than its limit.
    Hung,
}

/// Runs a program and shows each line of its standard output to `see`. Ends it once `see` returns
/// `Break`, or after `limit`. Nothing that it started outlives this call, or this process.
pub(crate) fn watch(
    command: &Command,
    limit: Duration,
    mut see: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<End, String> {
    let deadline = Instant::now() + limit;
    let mut child = supervised(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", shown(command)))?;
    let (lifeline, stdout) = (child.stdin.take(), child.stdout.take());
    let (sender, lines) = mpsc::channel();
    std::thread::scope(|scope| {
        // Ends when no process has the pipe any more: only then is nothing left of the program.
        scope.spawn(move || {
            let lines = stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines());
            lines.for_each(|line| drop(sender.send(line)));
        });
        let end = loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Ok(line)) if see(&line).is_break() => break Ok(End::Stopped),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => break Err(error.to_string()),
                Err(RecvTimeoutError::Timeout) => break Ok(End::Hung),
                Err(RecvTimeoutError::Disconnected) => break exit_of(&mut child, deadline),
            }
        };
        drop(lifeline);
        // Where `supervised` does nothing.
        let _ = child.kill();
        let _ = child.wait();
        end
    })
}

/// Waits for the exit of a program that has closed its output.
fn exit_of(child: &mut Child, deadline: Instant) -> Result<End, String> {
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            let success = status.success();
            return Ok(End::Exited { success });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(End::Hung)
}

/// The command in a process group of its own, which is killed when the command's standard input is
/// closed: by this process, or by the system when this process ends, whatever it ends by.
#[cfg(unix)]
fn supervised(command: &Command) -> Command {
    use std::os::unix::process::CommandExt;

    const SCRIPT: &str = "exec 3<&0; (cat <&3; kill -KILL 0) >/dev/null 2>&1 & \
                          exec \"$@\" 3<&- </dev/null";
    let mut shell = Command::new("sh");
    shell
        .args(["-c", SCRIPT, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .process_group(0);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell
}

#[cfg(not(unix))]
fn supervised(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    copy
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn watched(script: &str, limit: Duration, stop: &str) -> Result<(End, Vec<String>), String> {
        let mut seen = Vec::new();
        let end = watch(&shell(script), limit, |line| {
            seen.push(line.to_owned());
            match line == stop {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        Ok((end?, seen))
    }

    #[test]
    fn a_program_that_ends_is_seen_to_its_last_line() {
        let (end, seen) = watched("echo a; echo b; exit 3", LONG, "none").unwrap();
        assert_eq!(end, End::Exited { success: false });
        assert_eq!(seen, ["a", "b"]);
        let (end, _) = watched("read line || exit 0", LONG, "none").unwrap();
        assert_eq!(
            end,
            End::Exited { success: true },
            "it reads nothing of ours"
        );
    }

    /// The output of the children is read to its end, which comes when they all are gone.
    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let began = Instant::now();
        for (script, end, lines) in [
            ("sleep 30 & echo a; wait", End::Hung, 1),
            ("sleep 30 & exec >&-; wait", End::Hung, 0),
            ("sleep 30 & echo stop; wait", End::Stopped, 1),
        ] {
            let (ended, seen) = watched(script, SOON, "stop").unwrap();
            assert_eq!((ended, seen.len()), (end, lines), "{script}");
        }
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_program_has_the_environment_and_the_folder_of_its_command() {
        let mut command = shell("echo \"$A$HOME$PWD\"");
        command.env("A", "b").env_remove("HOME").current_dir("/");
        let mut seen = String::new();
        let end = watch(&command, LONG, |line| {
            line.clone_into(&mut seen);
            ControlFlow::Continue(())
        });
        assert_eq!(end, Ok(End::Exited { success: true }));
        assert_eq!(seen, "b/");
    }
}
