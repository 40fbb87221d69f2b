//! Every public type is either printed in the run, or cannot contain a secret.
//!
//! The types are those of the committed listings of the public API, which `cargo xtask ci api`
//! checks.

use std::collections::BTreeSet;

/// Types that are `Copy` and borrow nothing, as the compiler checks. Secrets are on the heap and
/// are wiped when dropped, so none of these can contain one.
macro_rules! without_secrets {
    ($($type:ty),* $(,)?) => {
        const WITHOUT_SECRETS: &[&str] = &[$(stringify!($type)),*];
        const _: () = {
            const fn holds_none<T: Copy + 'static>() {}
            $(holds_none::<$type>();)*
        };
    };
}
without_secrets!(
    ctc_driver::ctc_core::AuthTokenSwitch,
    ctc_driver::ctc_core::Epoch,
    ctc_driver::ctc_core::FailedLogin,
    ctc_driver::ctc_core::Generation,
    ctc_driver::ctc_core::NoResponse,
    ctc_driver::ctc_core::RejectionReason,
    ctc_driver::ctc_core::Route,
    ctc_driver::ctc_core::SendFailure,
    ctc_driver::ctc_core::TokenAttachment,
    ctc_driver::ctc_core::TokenOverview,
    ctc_driver::Counts,
    ctc_driver::Failure<'static>,
    ctc_driver::LeaseTerms,
    ctc_driver::NotSent,
    ctc_driver::Replay,
    ctc_driver::RequestTimeout,
    ctc_driver::TimedOut,
    ctc_tower::Bodies<Vec<u8>>,
);

/// An alias of a boxed future of `std`, which prints nothing.
const FUTURE: &str = "ctc_driver::BoxFuture";

/// Not checked: its server is the other side, and its journal shows requests with their secrets on
/// purpose.
const OTHER_SIDE: &str = "ctc-testkit.txt";

/// Returns a type's name as in the listings: with the crate's path, without parameters.
fn listed_name(name: &str, adapter: &str) -> String {
    let name = name.split('<').next().unwrap_or_default().trim();
    let name = name
        .strip_prefix("ctc_driver::")
        .filter(|rest| rest.starts_with("ctc_core::"))
        .unwrap_or(name);
    let name = name.strip_prefix("super::").unwrap_or(name);
    name.strip_prefix("adapter::")
        .map_or_else(|| name.to_owned(), |rest| format!("{adapter}::{rest}"))
}

/// Returns the types that a run has printed.
pub(crate) fn shown(printed: &str, adapter: &str) -> BTreeSet<String> {
    let names = printed
        .lines()
        .filter_map(|line| line.strip_prefix("shown "));
    names.map(|name| listed_name(name, adapter)).collect()
}

fn listed() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/api");
    let mut types = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        if file.file_name() == OTHER_SIDE {
            continue;
        }
        let listing = std::fs::read_to_string(file.path()).unwrap();
        for line in listing.lines() {
            let item = line.trim_start_matches("#[non_exhaustive] ");
            let kinds = ["pub struct ", "pub enum ", "pub union ", "pub type "];
            let Some(path) = kinds.iter().find_map(|kind| item.strip_prefix(kind)) else {
                continue;
            };
            let path = path
                .split(['<', '(', ' ', ':'])
                .filter(|part| !part.is_empty())
                .take(3);
            let path: Vec<_> = path.collect();
            // A type inside a type is an associated type, which names another.
            let associated = item.starts_with("pub type ") && !is_alias(item);
            let name = path[..2].join("::");
            if !associated && name != FUTURE {
                types.insert(name);
            }
        }
    }
    assert!(types.len() > 60, "the listings are not read: {types:?}");
    types
}

/// Whether this is `pub type crate::Alias = …`, not `pub type crate::Type::Associated = …`.
fn is_alias(item: &str) -> bool {
    let path = item
        .trim_start_matches("pub type ")
        .split([' ', '<'])
        .next()
        .unwrap_or_default();
    path.starts_with("ctc_") && path.split("::").count() == 2 && !item.contains(">::")
}

/// Returns the types that are neither printed nor in the list.
pub(crate) fn undecided(shown: &BTreeSet<String>) -> Vec<String> {
    let listed = listed();
    let without: BTreeSet<_> = WITHOUT_SECRETS
        .iter()
        .map(|name| listed_name(name, ""))
        .collect();
    let missing = listed
        .iter()
        .filter(|name| !shown.contains(*name) && !without.contains(*name));
    let missing = missing
        .map(|name| format!("{name} is new: show it in the life, or say that it holds no secret"));
    let gone = shown.union(&without).filter(|name| !listed.contains(*name));
    let gone = gone.map(|name| format!("{name} is not in xtask/api: misspelt here, or gone"));
    let twice = shown
        .intersection(&without)
        .map(|name| format!("{name} is shown and said to hold no secret"));
    missing.chain(gone).chain(twice).collect()
}
