//! The simulator, and the proof that it sees: each sabotage breaks one guarantee in a copy of the
//! crates.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::shell::{self, End};

/// How many seeds a sabotage may take to be found.
const SEEDS: &str = "1000";

/// How long the search for a sabotage may take once it is built: many times as long as a search to
/// the last seed takes. A sabotage may make the code hang, and then no other time limit holds.
const LIMIT: Duration = Duration::from_secs(300);

/// `sim` and its arguments; `--sabotage NAME` (or `all`, or `list`) is ours, the rest the
/// simulator's.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    match args {
        [flag, name] if flag == "--sabotage" => sabotage(name),
        [flag] if flag == "--sabotage" => {
            Err("--sabotage needs a name, or `all`, or `list`".into())
        }
        args => {
            let mut command =
                shell::cargo(&["run", "--quiet", "--release", "--package", "ctc-sim", "--"]);
            command.args(args);
            shell::run(command)
        }
    }
}

/// `threads`: the driver's locks under shuttle's scheduler; `threads --sabotage` breaks each lock's
/// rule in a copy.
pub(crate) fn threads(args: &[String]) -> Result<(), String> {
    let root = workspace_root()?;
    let test = |folder: &Path| {
        let mut test = shell::cargo(&[
            "test",
            "--release",
            "--package",
            "ctc-driver",
            "--test",
            "shuttle",
        ]);
        test.current_dir(folder)
            .env("RUSTFLAGS", "--cfg shuttle -Awarnings");
        test.env("CARGO_TARGET_DIR", root.join("target/shuttle"));
        test
    };
    match args {
        [] => shell::run(test(&root)),
        [flag] if flag == "--sabotage" => {
            let copy = root.join("target/sabotage");
            for sabotage in read_all(&root.join("crates/proof/sim/sabotage/threads"))? {
                let Sabotage { name, patch, .. } = sabotage;
                let text = read(&patch)?;
                let shows = text
                    .lines()
                    .find_map(|line| line.strip_prefix("Shows as: "));
                let shows = shows.ok_or_else(|| format!("{name} does not say what it shows as"))?;
                copy_workspace(&root, &copy)?;
                copy_folder(
                    &root.join("crates/ctc-driver/tests"),
                    &copy.join("crates/ctc-driver/tests"),
                )?;
                apply(&root, &copy, &patch)?;
                let mut build = test(&copy);
                build.arg("--no-run");
                shell::run(build).map_err(|error| format!("{name}: {error}"))?;
                let mut found = false;
                let end = shell::watch(&test(&copy), LIMIT, |line| {
                    found |= line.contains(shows);
                    ControlFlow::Continue(())
                })?;
                match end {
                    End::Exited { success: false } if found => {
                        println!("{name}: shuttle finds it ({shows})");
                    }
                    End::Hung => return Err(format!("{name} was {}", hung(LIMIT))),
                    _ => return Err(format!("{name} was not found")),
                }
            }
            Ok(())
        }
        _ => Err("threads takes nothing, or --sabotage".into()),
    }
}

/// Checks that every sabotage applies to the present code and is named in the simulator's README.
/// Otherwise a change of the code would silently end a sabotage.
pub(crate) fn check_sabotages() -> Result<(), String> {
    let root = workspace_root()?;
    let folder = root.join("crates/proof/sim/sabotage");
    let mut all = read_all(&folder)?;
    all.extend(read_all(&folder.join("threads"))?);
    let readme = read(&root.join("crates/proof/sim/README.md"))?;
    let mut wrong = Vec::new();
    for Sabotage { name, patch, .. } in &all {
        if !readme.contains(&format!("`{name}`")) {
            wrong.push(format!(
                "{name} is not in the table of the simulator's README"
            ));
        }
        if !applies(&root, patch)? {
            wrong.push(format!(
                "{name} no longer applies: update it to the current code"
            ));
        }
    }
    println!("{} sabotages checked", all.len());
    match wrong[..] {
        [] => Ok(()),
        _ => Err(wrong.join("\n")),
    }
}

/// One way to break a guarantee.
struct Sabotage {
    name: String,
    patch: PathBuf,
    /// `G4`, as the first line of the patch says.
    breaks: String,
    what: String,
}

fn sabotage(name: &str) -> Result<(), String> {
    let root = workspace_root()?;
    let all = read_all(&root.join("crates/proof/sim/sabotage"))?;
    if name == "list" {
        for sabotage in &all {
            println!(
                "{:<18}{:<5}{}",
                sabotage.name, sabotage.breaks, sabotage.what
            );
        }
        return Ok(());
    }
    let chosen: Vec<_> = all
        .iter()
        .filter(|sabotage| name == "all" || sabotage.name == name)
        .collect();
    if chosen.is_empty() {
        return Err(format!("no sabotage named {name}: see `--sabotage list`"));
    }
    let (mut rows, mut missed) = (Vec::new(), 0);
    for sabotage in &chosen {
        eprintln!("{}: building", sabotage.name);
        let (found, row) = try_one(&root, sabotage)?;
        missed += usize::from(!found);
        println!("{row}");
        rows.push(row);
    }
    if rows.len() > 1 {
        println!(
            "\n{:<18}{:<8}{:<10}the simulator says",
            "sabotage", "breaks", "seed"
        );
        rows.iter().for_each(|row| println!("{row}"));
    }
    println!(
        "{} sabotages, {missed} not found within {SEEDS} seeds",
        rows.len()
    );
    if missed == 0 {
        Ok(())
    } else {
        Err("a sabotage was not found".into())
    }
}

/// Builds the copy with the patch and looks for a violation of the guarantee that it breaks.
fn try_one(root: &Path, sabotage: &Sabotage) -> Result<(bool, String), String> {
    let copy = root.join("target/sabotage");
    copy_workspace(root, &copy)?;
    apply(root, &copy, &sabotage.patch)?;
    let cargo = |verb| {
        let mut cargo = shell::cargo(&[verb, "--quiet", "--release", "--package", "ctc-sim"]);
        // The patched code is not meant to be free of warnings, and differs in a few lines.
        cargo
            .env("CARGO_TARGET_DIR", copy.join("target"))
            .env("RUSTFLAGS", "-Awarnings")
            .env("CARGO_INCREMENTAL", "1");
        cargo.current_dir(&copy);
        cargo
    };
    shell::run(cargo("build")).map_err(|error| format!("{}: {error}", sabotage.name))?;
    let mut simulator = cargo("run");
    simulator.args(["--", "--seeds", SEEDS, "--keep-going"]);
    let (seed, what) = match search(&simulator, &sabotage.breaks, LIMIT)? {
        Search::Found { seed, what } => (Some(seed), what),
        Search::Missed => (None, "NOT FOUND".to_owned()),
        Search::Hung => (None, hung(LIMIT)),
        Search::Ended => {
            let name = &sabotage.name;
            return Err(format!("{name}: the simulator did not run to its end"));
        }
    };
    let found = seed.is_some();
    let seed = seed.unwrap_or_else(|| "none".to_owned());
    let what: String = what.chars().take(150).collect();
    let Sabotage { name, breaks, .. } = sabotage;
    Ok((found, format!("{name:<18}{breaks:<8}{seed:<10}{what}")))
}

fn hung(limit: Duration) -> String {
    format!("not found: hung for {} s", limit.as_secs())
}

/// What a run of the simulator says about a sabotage.
#[derive(Debug, PartialEq, Eq)]
enum Search {
    Found { seed: String, what: String },
    Missed,
    Hung,
    Ended,
}

/// Looks for the first violation of the guarantee that is broken.
fn search(simulator: &Command, breaks: &str, limit: Duration) -> Result<Search, String> {
    let (mut first, mut finished) = (None, false);
    let end = shell::watch(simulator, limit, |line| {
        let named = line
            .split_once(": ")
            .filter(|(seed, _)| seed.starts_with("seed "));
        if let Some((seed, what)) =
            named.filter(|(_, what)| what.starts_with(&format!("{breaks} ")))
        {
            let seed = seed.trim_start_matches("seed ").to_owned();
            first = Some((seed, what.to_owned()));
            // That is enough. A broken driver may hang the simulator in another world.
            return ControlFlow::Break(());
        }
        finished |= line.ends_with(" violations");
        ControlFlow::Continue(())
    })?;
    Ok(match (first, end) {
        (Some((seed, what)), _) => Search::Found { seed, what },
        (None, End::Hung) => Search::Hung,
        (None, _) if finished => Search::Missed,
        (None, _) => Search::Ended,
    })
}

fn apply(root: &Path, copy: &Path, patch: &Path) -> Result<(), String> {
    let mut git = git_apply(copy, patch);
    // The copy lies inside the repository: without the ceiling, git would look at that instead.
    git.env("GIT_CEILING_DIRECTORIES", root.join("target"));
    shell::run(git).map_err(|error| format!("{} no longer applies: {error}", patch.display()))
}

fn applies(root: &Path, patch: &Path) -> Result<bool, String> {
    let mut git = git_apply(root, patch);
    // It says, for each patch, how far the code has moved.
    git.arg("--check").stderr(Stdio::null());
    let status = git.status().map_err(|error| format!("git: {error}"))?;
    Ok(status.success())
}

/// One line of context on either side must be as it was, so that a patch outlives edits nearby.
fn git_apply(folder: &Path, patch: &Path) -> Command {
    let mut git = Command::new("git");
    git.args(["apply", "-C1", "--whitespace=nowarn"]).arg(patch);
    git.current_dir(folder);
    git
}

fn read_all(folder: &Path) -> Result<Vec<Sabotage>, String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let patch = entry.map_err(|error| error.to_string())?.path();
        if patch
            .extension()
            .is_none_or(|extension| extension != "patch")
        {
            continue;
        }
        let text = read(&patch)?;
        let name = patch
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let first = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("Breaks "));
        let Some((breaks, what)) = first.and_then(|line| line.split_once(": ")) else {
            return Err(format!(
                "{} does not begin with `Breaks G<n>: …`",
                patch.display()
            ));
        };
        all.push(Sabotage {
            name,
            breaks: breaks.to_owned(),
            what: what.to_owned(),
            patch: patch.clone(),
        });
    }
    all.sort_by(|a, b| (&a.breaks, &a.name).cmp(&(&b.breaks, &b.name)));
    Ok(all)
}

/// The crates that the simulator needs, as a workspace of their own. Only what differs is written,
/// so that cargo builds only what changed.
fn copy_workspace(root: &Path, copy: &Path) -> Result<(), String> {
    let manifest = read(&root.join("Cargo.toml"))?;
    let members = |line: &str| match line.starts_with("members = [") {
        true => "members = [\"crates/ctc-*\", \"crates/proof/*\"]\n".to_owned(),
        false => format!("{line}\n"),
    };
    write(
        &copy.join("Cargo.toml"),
        &manifest.lines().map(members).collect::<String>(),
    )?;
    write(&copy.join("Cargo.lock"), &read(&root.join("Cargo.lock"))?)?;
    for folder in ["ctc-core", "ctc-driver", "proof/sim"] {
        let from = root.join("crates").join(folder);
        let to = copy.join("crates").join(folder);
        for file in ["Cargo.toml", "README.md"] {
            if from.join(file).exists() {
                write(&to.join(file), &read(&from.join(file))?)?;
            }
        }
        copy_folder(&from.join("src"), &to.join("src"))?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    for entry in fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            write(&target, &read(&path)?)?;
        }
    }
    Ok(())
}

fn workspace_root() -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .map(Path::to_owned)
        .ok_or_else(|| "no workspace".to_owned())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let error = |error: std::io::Error| format!("{}: {error}", path.display());
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(error)?;
    fs::write(path, text).map_err(error)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn searched(script: &str) -> Result<Search, String> {
        let mut simulator = Command::new("sh");
        simulator.args(["-c", script]);
        search(&simulator, "G4", Duration::from_secs(1))
    }

    #[test]
    fn a_search_ends_with_the_first_violation_of_the_broken_guarantee() {
        let script = "echo 'seed 3: G7 nothing hangs: x'; echo 'seed 5: G4 no report: y'; sleep 30";
        let (seed, what) = ("5".to_owned(), "G4 no report: y".to_owned());
        assert_eq!(searched(script), Ok(Search::Found { seed, what }));
    }

    #[test]
    fn a_search_without_that_violation_says_how_it_ended() {
        assert_eq!(
            searched("echo '9 seeds, 1 violations'; exit 1"),
            Ok(Search::Missed)
        );
        assert_eq!(searched("echo 'seed 3: G7 x'; exit 1"), Ok(Search::Ended));
        assert_eq!(
            searched("echo 'seed 3: G7 x'; sleep 30 & wait"),
            Ok(Search::Hung)
        );
        assert_eq!(hung(LIMIT), "not found: hung for 300 s");
    }
}
