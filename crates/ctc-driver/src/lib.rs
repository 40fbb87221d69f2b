//! Shares one CTC session between threads and tasks, over any HTTP client.
//!
//! [`ctc_core`] makes the decisions; this crate waits, locks and makes calls. Most programs use it
//! through `ctc-reqwest`, `ctc-ureq` or `ctc-tower`. For another HTTP client, implement
//! [`AsyncTransport`] or [`Transport`]: it gets everything that the shipped ones have.
//!
//! - [`SharedSession`]: the session behind a lock. While it is open, calls take no lock.
//! - [`AsyncDriver`] and [`Driver`]: make one call, from stamp to response.
//! - [`Transport`] and [`AsyncTransport`]: the HTTP client. Logins go to it as a [`LoginRequest`]
//!   and come back as a [`LoginResponse`]. With [`FnTransport`] a closure is one.
//! - [`Runtime`]: where an asynchronous login runs, as a task of its own. The feature `tokio` has
//!   one for tokio.
//! - [`CredentialsSource`] and [`AsyncCredentialsSource`]: where the password comes from, if it
//!   changes.
//! - [`SessionStore`] and [`AsyncSessionStore`]: keep a session beyond a process.
//! - [`Caller`] and [`AsyncCaller`]: for [libraries](manual::libraries) that work with every
//!   client, with whole bodies in and out. [`StreamingCaller`] and [`AsyncStreamingCaller`] also
//!   hand out bodies as they come, where the HTTP client can. An application that does not want to
//!   be generic holds a [`BoxCaller`], [`BoxAsyncCaller`], [`BoxStreamingCaller`] or
//!   [`BoxAsyncStreamingCaller`].
//! - [`CallFailure`]: the common trait of the errors of all clients.
//!
//! A call that cannot be made now fails with [`Denied`], and nothing of it was sent. A call that
//! was sent and got a 401 gets that response, with the reason
//! ([`Unauthorized`](ctc_core::Unauthorized)) in its extensions, unless a new token lets it be
//! replayed.
//!
//! # The manual
//!
//! [`manual`] is the table of contents, with the pages of all crates: choosing a transport or a
//! store, every error, settings, security, testing. `cargo doc --open` in a clone of the repository
//! shows it.
//!
//! # A transport of your own
//!
//! ```
//! use ctc_core::{AppKey, Credentials, Endpoint, Session, Settings};
//! use ctc_driver::{
//!     CallOptions, Driver, LoginRequest, LoginResponse, SharedSession, Transport,
//!     TransportError,
//! };
//! use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
//!
//! /// An HTTP client of your own. This one invents its responses.
//! struct MyTransport;
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("the network is down")]
//! struct MyError;
//! impl TransportError for MyError {}
//!
//! impl Transport for MyTransport {
//!     type Request = Request<Vec<u8>>;
//!     type Response = Response<Vec<u8>>;
//!     type Error = MyError;
//!
//!     fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, MyError> {
//!         assert_eq!(request.headers()["cookie"], "authToken=AAAA");
//!         Ok(Response::new(b"[]".to_vec()))
//!     }
//!
//!     fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, MyError> {
//!         let mut headers = HeaderMap::new();
//!         headers.insert("set-cookie", HeaderValue::from_static("authToken=AAAA"));
//!         Ok(LoginResponse::new(StatusCode::OK, headers))
//!     }
//! }
//!
//! let credentials = Credentials::new("ada@example.com", "s3cret!s3cret!")?;
//! let key = AppKey::new("my-key")?;
//! let session = Session::new(Endpoint::eu(), key, credentials, Settings::default())?;
//! let driver = Driver::new(SharedSession::new(session), MyTransport, None);
//! let request = Request::get("/connect/services/devices").body(vec![])?;
//! let response = driver.execute(request, &CallOptions::default())?;
//! assert_eq!(response.body(), b"[]");
//! assert_eq!(driver.session().counts().logins, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
pub mod __adapter;
mod async_driver;
mod boxed;
mod caller;
mod clock;
mod closure;
mod config;
mod credentials;
mod driver;
mod error;
mod events;
mod failure;
mod limiter;
mod login;
pub mod manual;
mod options;
mod ports;
mod sealing;
mod session;
mod stores;
mod streaming;
mod threads;
mod timer;

pub use async_driver::AsyncDriver;
pub use boxed::{
    BoxAsyncCaller, BoxAsyncStreamingCaller, BoxCaller, BoxStreamingCaller, BoxTransportError,
};
pub use caller::{AsyncCaller, Caller};
pub use clock::{Clock, SystemClock};
pub use closure::FnTransport;
pub use config::{ConfigError, SessionConfig};
pub use credentials::{CredentialsCommand, CredentialsEnv, CredentialsFile};
pub use ctc_core;
pub use driver::Driver;
pub use error::{CallError, Denied, TimedOut};
pub use events::SessionEvent;
pub use failure::{CallFailure, Failure};
pub use limiter::LoginLimiter;
pub use login::LogoutOutcome;
pub use options::{CallOptions, Replay};
#[cfg(feature = "tokio")]
pub use ports::Tokio;
pub use ports::{
    AsyncCredentialsSource, AsyncSessionStore, AsyncStoreLease, AsyncTransport, BodyError,
    BoxFuture, CredentialsError, CredentialsSource, Incoming, LeaseTerms, LoginRequest,
    LoginResponse, NotSent, Outgoing, ReplayCopy, RequestTimeout, Runtime, SessionStore,
    StoreError, StoreLease, StoreSecret, Transport, TransportError, discard_body, read_body,
    read_from, read_login,
};
pub use session::counters::Counts;
pub use session::{Observer, SharedSession};
pub use stores::MemoryStore;
#[cfg(feature = "unblock")]
pub use stores::Unblock;
pub use streaming::{AsyncStreamingCaller, BodyStream, StreamingCaller};

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
