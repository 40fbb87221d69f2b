//! The conformance suite for each stack, with the claims of its author.

use ctc_driver::FnTransport;
use ctc_testkit::conformance::{HttpStack, Suite};

use crate::{attohttpc, libcurl, smol_hyper, trusting};

#[test]
fn attohttpc_conforms() {
    let stack = HttpStack::new(|| FnTransport::blocking(attohttpc::send));
    assert_conforms(&Suite::blocking(
        stack.keeps_connections(false).streams(false),
    ));
}

#[test]
fn curl_conforms() {
    let stack = HttpStack::new(|| FnTransport::blocking(libcurl::send));
    assert_conforms(&Suite::blocking(
        stack.keeps_connections(false).streams(false),
    ));
}

#[test]
fn hyper_on_smol_conforms() {
    let stack = HttpStack::new(|| smol_hyper::transport(trusting(None)))
        .trusting(|certificate| smol_hyper::transport(trusting(Some(certificate.der))))
        .runtime(|| smol_hyper::Smol);
    assert_conforms(&Suite::asynchronous(
        stack.keeps_connections(false).streams(false),
    ));
}

/// Each passes every *must*. The one *should* that fails is the price of whole bodies.
fn assert_conforms(suite: &Suite) {
    let report = suite.run();
    report.assert_passed();
    let short: Vec<_> = report.shortfalls().map(|line| line.case.name).collect();
    assert_eq!(short, ["login_needs_no_body"], "{report}");
}
