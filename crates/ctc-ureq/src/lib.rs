//! A blocking client of the CalAmp Telematics Cloud (CTC) over [`ureq`]: it logs in once and stays
//! logged in.
//!
//! ```no_run
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use ctc_ureq::{Client, Endpoint};
//!
//! let client = Client::builder()
//!     .endpoint(Endpoint::us())
//!     .app_key("the key that the vendor handed out")
//!     .credentials("ada@example.com", "her password")
//!     .build()?;
//! let mut devices = client.get("/connect/services/devices").query(&[("pg", 1)]).send()?;
//! println!("{}", devices.body_mut().read_to_string()?);
//! # Ok(())
//! # }
//! ```
//!
//! Clone the client and call from as many threads as you like: one login serves them all, a 401 is
//! answered with one new login for all, and a refused password is never tried twice. The calls are
//! then sent again, POST and PATCH apart: their caller gets the 401, since the server may have
//! acted, and the next call logs in. A POST that may be sent twice takes [`Replay::Always`].
//!
//! # Logs
//!
//! At level TRACE ureq logs every byte that it sends, secrets included, under the target
//! `ureq_proto::util`. Where you log at TRACE, leave that target out: `ureq_proto=debug` in a
//! filter.
//!
//! # TLS
//!
//! This crate chooses none: enable `rustls`, `rustls-no-provider` or `native-tls`, which are ureq's
//! own features, here or on your own `ureq` dependency. Without one an `https` endpoint cannot be
//! reached. With `rustls-no-provider` the program must install a rustls crypto provider before the
//! first call, or ureq panics.

mod body;
mod caller;
mod client;
mod error;
mod headers;
mod request;
mod transport;
mod watch;

pub use body::Body;
pub use client::{Client, ClientBuilder, http_client_builder};
pub use ctc_driver::ctc_core::{
    AppKey, Credentials, Denial, Endpoint, EndpointError, FairUse, LoginFailure, Phase, Settings,
    TokenAttachment, Unauthorized,
};
pub use ctc_driver::{
    CallError, CallOptions, Caller, ConfigError, Counts, Denied, LogoutOutcome, MemoryStore,
    Replay, SessionStore, SharedSession,
};
pub use error::{BuildError, Error, SendError};
pub use request::RequestBuilder;
pub use transport::{Outbound, OutboundCopy, UreqTransport};
pub use ureq;

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
