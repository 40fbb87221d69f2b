//! The example's transport, put through the conformance suite.

#[allow(dead_code, reason = "the example's main is not called here")]
#[path = "../own_http_stack.rs"]
mod own_http_stack;

use ctc_testkit::conformance::HttpStack;
use own_http_stack::HyperTransport;

ctc_testkit::conformance_tests!(async, HttpStack::new(HyperTransport::new), strict);
