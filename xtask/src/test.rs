//! `cargo xtask test`: every test, and their sum.

use crate::shell::{cargo, read_lines, responses};

/// Runs the tests of every crate and example, documentation included; `args` go to `cargo test`.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    command.args(args);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let succeeded = read_lines(command, |line| {
        println!("{line}");
        if let Some(result) = line.strip_prefix("test result: ") {
            passed += number_before(result, " passed");
            failed += number_before(result, " failed");
            skipped += number_before(result, " ignored");
        }
    })?;
    if !responses("redis-server", &["--version"]) {
        println!(
            "\nLEFT OUT: all tests that need a real Redis (ctc-store-redis, ctc-examples `stores`)."
        );
        println!(
            "To run them: `apt-get install redis-server` (Debian), `brew install redis` (macOS)."
        );
    }
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    match (succeeded, failed, passed) {
        (true, 0, 1..) => Ok(()),
        (true, 0, 0) => Err("no test ran".to_owned()),
        _ => Err("tests failed; see above".to_owned()),
    }
}

fn number_before(line: &str, word: &str) -> u32 {
    let before = line.split(word).next().unwrap_or_default();
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
