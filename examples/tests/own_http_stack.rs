//! The transport of the manual's page, put through the conformance suite.

#[allow(dead_code, reason = "the example's main is not called here")]
#[path = "../own_http_stack.rs"]
mod own_http_stack;

use ctc_testkit::conformance::HttpStack;
use own_http_stack::Hyper;

ctc_testkit::conformance_tests!(async, HttpStack::new(Hyper::new), strict);

/// As the page says, and README.md, in lines of code: no comments, no blank lines, no imports.
#[test]
fn it_takes_40_lines() {
    let text = include_str!("../../crates/ctc-driver/src/manual/own_transport.rs");
    let is_code = |line: &&str| !(line.is_empty() || line.starts_with("use "));
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"));
    assert_eq!(lines.filter(is_code).count(), 40);
}
