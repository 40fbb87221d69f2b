//! Shares one CTC session between threads and tasks, over any HTTP stack.
//!
//! [`ctc_core`] decides; this crate waits, locks and drives. Most programs use it by way of
//! `ctc-reqwest` or `ctc-ureq`. An HTTP stack of your own needs one `impl` of [`AsyncTransport`] or
//! [`Transport`], and gets everything that the shipped ones have.
//!
//! - [`SharedSession`]: the session behind a lock, its current pass published for calls to take
//!   without one.
//! - [`AsyncDriver`] and [`Driver`]: one call from leave to answer, each loop in one place.
//! - [`SessionStore`] and [`AsyncSessionStore`]: what keeps a session beyond a process.
//! - [`Caller`] and [`AsyncCaller`]: what a library asks for that works with every client, whole
//!   bodies in and out.
//!
//! ```
//! use ctc_core::{AppKey, Credentials, Endpoint, FormBody, Session, Settings};
//! use ctc_driver::{CallOptions, Driver, SharedSession, Transport, TransportError};
//! use http::{Request, Response};
//!
//! /// An HTTP stack of one's own; this one answers by itself.
//! struct MyStack;
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("the line is dead")]
//! struct MyError;
//! impl TransportError for MyError {}
//!
//! impl Transport for MyStack {
//!     type Request = Request<Vec<u8>>;
//!     type Response = Response<Vec<u8>>;
//!     type Error = MyError;
//!
//!     fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, MyError> {
//!         assert_eq!(request.headers()["cookie"], "authToken=AAAA");
//!         Ok(Response::new(b"[]".to_vec()))
//!     }
//!
//!     fn send_login(&self, _: Request<FormBody>, _: std::time::Duration) -> Result<Response<()>, MyError> {
//!         Ok(Response::builder().header("set-cookie", "authToken=AAAA").body(()).unwrap())
//!     }
//! }
//!
//! let credentials = Credentials::new("ada@example.com", "s3cret!s3cret!")?;
//! let session = Session::new(Endpoint::eu(), AppKey::new("my-key")?, credentials, Settings::default())?;
//! let driver = Driver::new(SharedSession::new(session), MyStack, None);
//! let request = Request::get("https://connect.calamp.co.uk/connect/services/devices").body(vec![])?;
//! let answer = driver.execute(request, &CallOptions::default())?;
//! assert_eq!(answer.body(), b"[]");
//! assert_eq!(driver.session().counts().logins, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod async_driver;
mod caller;
mod clock;
mod config;
mod counters;
mod driver;
mod error;
mod events;
mod login;
mod logout;
pub mod manual;
mod options;
mod pending;
mod ports;
mod saving;
#[cfg_attr(not(test), expect(dead_code, reason = "no store is wired to it yet"))]
#[expect(unused_imports, reason = "no store is wired to it yet")]
mod sealing;
mod sent_request;
mod sharded;
mod shared;
mod store;
mod sync;

pub use async_driver::AsyncDriver;
pub use caller::{AsyncCaller, Caller};
pub use clock::{Clock, SystemClock};
pub use config::{ConfigError, SessionConfig};
pub use counters::Counts;
pub use ctc_core;
pub use driver::Driver;
#[doc(hidden)]
pub use error::no_response;
pub use error::{CallError, Denied};
pub use events::{Observer, SessionEvent};
pub use logout::LogoutOutcome;
pub use options::{CallOptions, Replay};
pub use ports::{AsyncTransport, Incoming, Outgoing, ReplayCopy, Transport, TransportError};
pub use shared::SharedSession;
#[cfg(feature = "unblock")]
pub use store::Unblock;
pub use store::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, MemoryStore, SessionStore, StoreError,
    StoreLease,
};

/// What the shipped adapters share with each other: no part of the stable surface.
#[doc(hidden)]
pub mod adapter {
    pub use crate::caller::{mark_cookies_sensitive, prepare, whole};
}

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
