//! No import cycle between the files of one crate.
//!
//! File A imports from file B of the same crate if it names an item that B defines, in a `use` or
//! anywhere in its code, macros included. A name that a module only re-exports (`pub use`, `use`)
//! counts as an import from the file that defines it. These do not count: `mod b;`, a `pub use` of
//! the module's own content, code that is compiled for tests only, the body of a `macro_rules!`,
//! and documentation.
//!
//! A module and the modules inside it count as one: it may use them, and they may use what it has
//! for all of them. A cycle that leaves the module is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::Outcome;
use crate::shell::{cargo, output, tracked};

mod imports;
mod modules;

use imports::{Import, imports};
use modules::Crate;

/// Checks every target of every package in the repository.
pub(super) fn check() -> Result<Outcome, String> {
    let (mut files, mut cycles) = (BTreeSet::new(), BTreeSet::new());
    for root in roots()? {
        let tree = Crate::read(Path::new(&root), &|path| std::fs::read_to_string(path).ok())?;
        files.extend(tree.files.iter().cloned());
        cycles.extend(cycles_of(&tree));
    }
    println!("{} files checked", files.len());
    if cycles.is_empty() {
        return Ok(Outcome::Done);
    }
    let cycles: Vec<_> = cycles.into_iter().collect();
    Err(format!(
        "{} import cycles:\n\n{}",
        cycles.len(),
        cycles.join("\n\n")
    ))
}

/// Returns the root file of each target, relative to the repository if it is inside.
fn roots() -> Result<BTreeSet<String>, String> {
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let mut roots = BTreeSet::new();
    for manifest in tracked("*Cargo.toml")? {
        let metadata: Command = cargo(&[
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--manifest-path",
            &manifest,
        ]);
        let metadata = output(metadata)?;
        let paths = metadata.split(r#""src_path":""#).skip(1);
        for path in paths.filter_map(|rest| rest.split('"').next()) {
            let path = path.replace(r"\\", r"\");
            let path = Path::new(&path);
            let path = path.strip_prefix(&here).unwrap_or(path);
            roots.insert(path.to_string_lossy().into_owned());
        }
    }
    Ok(roots)
}

/// The imported names, by the two files.
type Edges = BTreeMap<(usize, usize), BTreeSet<String>>;

/// Returns the cycles of one crate, each as text: its files, and what they import from each other.
fn cycles_of(tree: &Crate) -> Vec<String> {
    let mut edges = Edges::new();
    for Import { from, to, name } in imports(tree) {
        edges.entry((from, to)).or_default().insert(name);
    }
    let mut cycles = Vec::new();
    find(tree, &edges, &mut cycles);
    cycles
}

fn find(tree: &Crate, edges: &Edges, cycles: &mut Vec<String>) {
    for circle in circles(edges) {
        let mut own = edges.clone();
        own.retain(|(from, to), _| circle.contains(from) && circle.contains(to));
        let holds_all = |file: &&usize| circle.iter().all(|other| tree.holds(**file, *other));
        if let Some(parent) = circle.iter().find(holds_all) {
            own.retain(|(from, _), _| from != parent);
            find(tree, &own, cycles);
            continue;
        }
        let mut text = format!("{} files:", circle.len());
        for ((from, to), names) in &own {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let (from, to) = (&tree.files[*from], &tree.files[*to]);
            text += &format!("\n  {from} -> {to}: {}", names.join(", "));
        }
        cycles.push(text);
    }
}

/// Returns the sets of two or more files that reach each other.
fn circles(edges: &Edges) -> BTreeSet<BTreeSet<usize>> {
    let files: BTreeSet<_> = edges.keys().map(|(from, _)| *from).collect();
    let reach: BTreeMap<_, _> = files
        .iter()
        .map(|file| (*file, reachable(*file, edges)))
        .collect();
    let circle = |file: &usize| -> BTreeSet<usize> {
        let back = |other: &&usize| reach.get(other).is_some_and(|reach| reach.contains(file));
        reach[file].iter().filter(back).copied().collect()
    };
    files
        .iter()
        .map(circle)
        .filter(|circle| circle.len() > 1)
        .collect()
}

fn reachable(start: usize, edges: &Edges) -> BTreeSet<usize> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(file) = next.pop() {
        for (_, to) in edges.keys().filter(|(from, _)| *from == file) {
            if seen.insert(*to) {
                next.push(*to);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the cycles of a crate with these files, the root first.
    fn cycles(files: &[(&str, &str)]) -> Vec<String> {
        let read = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        };
        cycles_of(&Crate::read(Path::new(files[0].0), &read).unwrap())
    }

    #[test]
    fn two_files_that_import_each_other_are_a_cycle() {
        let found = cycles(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::B; pub struct A(B);"),
            ("src/b.rs", "pub struct B; fn f(_: super::a::A) {}"),
        ]);
        let expected = "2 files:\n  src/a.rs -> src/b.rs: B\n  src/b.rs -> src/a.rs: A".to_owned();
        assert_eq!(found, [expected]);
    }

    #[test]
    fn imports_that_point_down_are_not_a_cycle() {
        let found = cycles(&[
            ("src/lib.rs", "mod a; mod b; mod c; pub use a::A;"),
            ("src/a.rs", "use crate::{b::B, c::C}; pub struct A(B, C);"),
            ("src/b.rs", "use super::c; pub struct B(c::C);"),
            (
                "src/c.rs",
                "pub struct C; pub enum A {} fn f(_: self::A) {}",
            ),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_cycle_over_three_files_is_found() {
        let found = cycles(&[
            ("src/main.rs", "mod a; mod b; mod c; fn main() {}"),
            ("src/a.rs", "fn f() { crate::b::go(); }"),
            ("src/b.rs", "pub fn go() { println!(\"{}\", crate::c::N); }"),
            (
                "src/c.rs",
                "use super::a; pub const N: u8 = 1; fn f() { a::f(); }",
            ),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("3 files:"), "{found:?}");
    }

    #[test]
    fn a_reexported_name_counts_where_it_is_defined() {
        let found = cycles(&[
            ("src/lib.rs", "mod x;"),
            (
                "src/x/mod.rs",
                "mod one; mod two; pub use one::*; pub use self::two::Two as Deux;",
            ),
            ("src/x/one.rs", "use super::Deux; pub struct One(Deux);"),
            ("src/x/two.rs", "pub struct Two; fn f(_: crate::x::One) {}"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("src/x/two.rs -> src/x/one.rs: One"),
            "{found:?}"
        );
    }

    #[test]
    fn a_reexport_is_not_a_use() {
        let files = |parent| {
            [
                ("src/lib.rs", "mod x; mod y;"),
                ("src/x.rs", parent),
                ("src/x/kid.rs", "pub struct Kid(crate::y::Y);"),
                ("src/y.rs", "pub struct Y; fn f() -> u8 { crate::x::N }"),
            ]
        };
        let found = cycles(&files("mod kid; pub use kid::Kid; pub const N: u8 = 1;"));
        assert!(found.is_empty(), "{found:?}");
        let found = cycles(&files(
            "mod kid; pub use kid::Kid; pub const N: u8 = 1; type K = Kid;",
        ));
        assert!(found[0].starts_with("3 files:"), "{found:?}");
    }

    #[test]
    fn a_module_and_the_modules_inside_it_count_as_one() {
        let parent = "mod kid; pub use kid::Kid; pub struct Shared; fn f() { kid::go(); }";
        let child = "use super::Shared; pub struct Kid(Shared); pub fn go() {}";
        let found = cycles(&[
            ("src/lib.rs", "mod x;"),
            ("src/x.rs", parent),
            ("src/x/kid.rs", child),
        ]);
        assert!(found.is_empty(), "{found:?}");
        // The same with a parent that is used through another child.
        let found = cycles(&[
            ("src/lib.rs", "mod x;"),
            (
                "src/x.rs",
                "mod kid; mod aunt; pub struct Shared; fn f() { kid::go(); }",
            ),
            ("src/x/kid.rs", "pub fn go() { super::aunt::go(); }"),
            (
                "src/x/aunt.rs",
                "pub fn go() -> super::Shared { super::Shared }",
            ),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_cycle_that_leaves_the_module_is_found() {
        let child = "use super::Shared; pub struct Kid(Shared); pub fn go() {}";
        let found = cycles(&[
            ("src/lib.rs", "mod x; mod y;"),
            (
                "src/x.rs",
                "mod kid; pub use kid::Kid; pub struct Shared(crate::y::Y);",
            ),
            ("src/x/kid.rs", child),
            ("src/y.rs", "pub struct Y(crate::x::Kid);"),
        ]);
        assert!(
            found.iter().any(|cycle| cycle.starts_with("3 files:")),
            "{found:?}"
        );
    }

    #[test]
    fn paths_in_attributes_count_and_tests_do_not() {
        let a = "#[derive(Serialize)] struct A { #[serde(with = \"crate::b::text\")] n: u8 }";
        let b = "pub mod text {} #[cfg(test)] mod tests { use crate::a::A; }";
        let files = |b| {
            [
                ("src/lib.rs", "mod a; mod b;"),
                ("src/a.rs", a),
                ("src/b.rs", b),
            ]
        };
        assert!(cycles(&files(b)).is_empty());
        let found = cycles(&files("pub mod text {} fn f(_: crate::a::A) {}"));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let read = |path: &Path| (path == Path::new("lib.rs")).then(|| "mod gone;".to_owned());
        let error = Crate::read(Path::new("lib.rs"), &read).err();
        assert!(error.is_some_and(|error| error.contains("gone")));
    }
}
