//! The conformance suite: what every transport must do to carry a CTC session, over real sockets.
//!
//! It drives [`ctc_driver`] over the transport and a [`Server`](crate::Server), injects faults, and
//! checks what the server saw as well as what the caller got. The shipped adapters pass it; so
//! should yours.
//!
//! # Testing your own transport
//!
//! If it takes an `http::Request` whose body can be made from a `Vec<u8>`, blocking or async, write
//! one line in a file below `tests/`:
//!
//! ```
//! use ctc_testkit::conformance::HttpStack;
//! # use ctc_driver::{LoginRequest, LoginResponse, Transport};
//! # use http::{Request, Response};
//! # struct MyTransport;
//! # impl Transport for MyTransport {
//! #     type Request = Request<Vec<u8>>;
//! #     type Response = Response<Vec<u8>>;
//! #     type Error = std::io::Error;
//! #     fn send(&self, _: Request<Vec<u8>>) -> std::io::Result<Response<Vec<u8>>> {
//! #         Err(std::io::ErrorKind::Unsupported.into())
//! #     }
//! #     fn send_login(&self, _: LoginRequest) -> std::io::Result<LoginResponse> {
//! #         Err(std::io::ErrorKind::Unsupported.into())
//! #     }
//! # }
//!
//! ctc_testkit::conformance_tests!(blocking, HttpStack::new(|| MyTransport)); // a #[test] per case
//! ```
//!
//! or run all cases in one test: `Suite::blocking(HttpStack::new(||
//! MyTransport)).run().assert_passed()`. For any other transport, implement [`AsyncStack`] or
//! [`BlockingStack`], which say how to make a transport and a request and how to read a body.
//!
//! # The ladder
//!
//! The cases are in the order in which a new transport gets there: a login's response, the login,
//! calls, responses, redirects, a token that ends, many callers, failures, logout, OAuth, sources
//! of credentials, secrets, dropped calls. Start with the lowest [rung](Case::rung) that fails: the
//! [`Report`] names it, what was expected and seen, and what to do next.
//!
//! ```text
//! rung 1 of 13, a login's response: 0 of 1 passed
//!   FAILED must login_response_arrives, 4 ms: your stack gave 1 of 3 `Set-Cookie` lines of a …
//!     expected: ["JSESSIONID=BBBB; Path=/connect", "authToken=AAAA; Path=/connect; …
//!     seen:     ["JSESSIONID=BBBB; Path=/connect"]
//!     do:       return all headers of the response, every line of a name that occurs …
//! 88 cases not tried: all depend on the first rung
//! next: login_response_arrives: return all headers of the response, every line of …
//! ```
//!
//! - A *must* ([`Level`]) that fails also fails the suite. A *should* that fails is reported, and
//!   fails the suite only if that is [strict](Suite::strict).
//! - You state what your stack can do: [`keeps_connections`](HttpStack::keeps_connections),
//!   [`streams`](HttpStack::streams), [`sends_in_parallel`](HttpStack::sends_in_parallel),
//!   [TLS](HttpStack::trusting). A case that needs anything else is skipped, and named on standard
//!   error. If the stack claims too much, a case fails and says which claim is wrong.

mod advice;
mod asynchronous;
mod blocking;
mod capability;
mod case;
mod cases;
mod client;
mod failure;
mod http_stack;
mod macros;
mod report;
mod runtime;
mod script;
mod stack;
mod stage;
mod suite;

pub use capability::Capability;
pub use case::{Case, Level};
pub use ctc_driver::Runtime;
pub use failure::Failure;
pub use http_stack::HttpStack;
pub use report::{Line, Outcome, Report};
pub use stack::{AsyncStack, BlockingStack, BoxError, Certificate, Payload};
pub use suite::Suite;
