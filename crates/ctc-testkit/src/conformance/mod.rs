//! The conformance suite: what every transport must do to carry a CTC session, over real sockets.
//!
//! It drives [`ctc_driver`] over the transport and a [`Server`](crate::Server), injects faults, and
//! checks what the server saw as well as what the caller got. The shipped adapters pass it; so
//! should yours.
//!
//! # Testing your own transport
//!
//! Say how to make your transport, a request and a body: [`AsyncStack`], or [`BlockingStack`].
//! Then, in a file below `tests/`:
//!
//! ```
//! use ctc_driver::{Transport, TransportError, ctc_core::Unauthorized};
//! use ctc_testkit::conformance::{BlockingStack, BoxError, Payload};
//! # use ctc_driver::{LoginRequest, LoginResponse};
//! # use http::{HeaderMap, Method, Request, Response};
//! # struct MyTransport;
//! # #[derive(Debug, thiserror::Error)]
//! # #[error("not today")]
//! # struct MyError;
//! # impl TransportError for MyError {}
//! # impl Transport for MyTransport {
//! #     type Request = Request<Vec<u8>>;
//! #     type Response = Response<Vec<u8>>;
//! #     type Error = MyError;
//! #     fn send(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, MyError> { Err(MyError) }
//! #     fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, MyError> { Err(MyError) }
//! # }
//! #[derive(Default)]
//! struct MyStack;
//!
//! impl BlockingStack for MyStack {
//!     type Transport = MyTransport;
//!
//!     fn transport(&self) -> MyTransport {
//!         MyTransport
//!     }
//!
//!     fn request(
//!         &self,
//!         method: Method,
//!         url: &str,
//!         headers: HeaderMap,
//!         payload: Payload,
//!     ) -> Option<Request<Vec<u8>>> {
//!         let body = match payload {
//!             Payload::Empty => Vec::new(),
//!             Payload::Bytes(bytes) => bytes,
//!             Payload::Stream(_) => return None, // skips the cases about streams, and says so
//!         };
//!         let mut request = Request::builder().method(method).uri(url).body(body).ok()?;
//!         *request.headers_mut() = headers;
//!         Some(request)
//!     }
//!
//!     fn read(&self, response: Response<Vec<u8>>) -> Result<Vec<u8>, BoxError> {
//!         Ok(response.into_body())
//!     }
//!
//!     fn unauthorized(&self, response: &Response<Vec<u8>>) -> Option<Unauthorized> {
//!         response.extensions().get().cloned()
//!     }
//! }
//!
//! ctc_testkit::conformance_tests!(blocking, MyStack::default()); // one #[test] for each case
//! ```
//!
//! or all of it at once: `Suite::blocking(MyStack).run().assert_passed()`. A case that the stack
//! says it cannot run is skipped, and named on standard error.

mod asynchronous;
mod blocking;
mod case;
mod cases;
mod client;
mod failure;
mod macros;
mod runtime;
mod script;
mod stack;
mod stage;
mod suite;

pub use case::Case;
pub use ctc_driver::Runtime;
pub use failure::Failure;
pub use stack::{AsyncStack, BlockingStack, BoxError, Certificate, Payload};
pub use suite::{Line, Outcome, Report, Suite};
