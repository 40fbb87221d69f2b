//! Checks each feature of each crate separately.

use super::{Outcome, crates, plain, read};

/// Features that only enable one of the HTTP client, and build C code for minutes.
const LEFT_OUT: &[&str] = &["brotli", "zstd"];

/// The rows of the adapters' TLS tables, also with features that another crate of the program may
/// enable (`noise`). For each, both adapters make a real https call.
const TLS: &[&str] = &[
    "rustls",
    "rustls-no-provider",
    "native-tls",
    "native-tls,noise",
    "native-tls,rustls-no-provider",
    "native-tls,rustls,rustls-no-provider,noise",
];

pub(super) fn run() -> Result<Outcome, String> {
    for package in crates()? {
        let features = features_of(&package)?;
        let (left_out, checked): (Vec<_>, Vec<_>) = features
            .iter()
            .map(String::as_str)
            .partition(|feature| LEFT_OUT.contains(feature));
        let skipped = if left_out.is_empty() {
            String::new()
        } else {
            format!(" (not {})", left_out.join(", "))
        };
        println!("{package}: none, {}{skipped}", checked.join(", "));
        for feature in [""].into_iter().chain(checked) {
            let args = [
                "check",
                "--quiet",
                "--package",
                &package,
                "--no-default-features",
                "--features",
            ];
            plain(&[&args[..], &[feature]].concat())?;
        }
    }
    // The cookie jar that this feature enables must not change what is sent.
    test("ctc-ureq", "cookies", &["--test", "conformance"])?;
    test("ctc-driver", "metrics", &["--test", "metrics"])?;
    for set in TLS {
        println!("an https call with {set}");
        test("ctc-tls", &format!("alone,{set}"), &[])?;
    }
    test("ctc-no-tls", "alone", &[])
}

fn test(package: &str, features: &str, more: &[&str]) -> Result<Outcome, String> {
    let args = [
        "test",
        "--quiet",
        "--package",
        package,
        "--features",
        features,
    ];
    plain(&[&args[..], more].concat())
}

/// Returns the names in the manifest's `[features]`.
fn features_of(package: &str) -> Result<Vec<String>, String> {
    let manifest = read(&format!("crates/{package}/Cargo.toml"))?;
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[features]")
        .skip(1);
    let section = lines.take_while(|line| !line.starts_with('['));
    let names = section
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = ["));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}
