//! An async client of the CalAmp Telematics Cloud (CTC) over [`reqwest`]: it logs in once and stays
//! logged in.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use ctc_reqwest::{Client, Endpoint};
//!
//! let client = Client::builder()
//!     .endpoint(Endpoint::us())
//!     .app_key("the key that the vendor handed out")
//!     .credentials("ada@example.com", "her password")
//!     .build()?;
//! let devices = client.get("/connect/services/devices").query(&[("pg", 1)]).send().await?;
//! println!("{}", devices.text().await?);
//! # Ok(())
//! # }
//! ```
//!
//! Clone the client and call from as many tasks as you like: one login serves them all, a 401 is
//! answered with one new login for all, and a refused password is never tried twice. The calls are
//! then sent again, POST and PATCH apart: their caller gets the 401, since the server may have
//! acted, and the next call logs in. A POST that may be sent twice takes [`Replay::Always`].
//!
//! # TLS
//!
//! This crate chooses none: enable `rustls`, `rustls-no-provider` or `native-tls`, which are
//! reqwest's own features, here or on your own `reqwest` dependency. Without one an `https`
//! endpoint cannot be reached. With `rustls-no-provider` the program must install a rustls crypto
//! provider before the first client is built, or reqwest panics.

#[cfg(target_family = "wasm")]
compile_error!(
    "ctc-reqwest cannot run in a browser, where Cookie and Set-Cookie are forbidden headers: \
     use ctc-core with a server-side HTTP stack"
);

mod caller;
mod client;
mod error;
pub mod manual;
mod request;
mod transport;

pub use client::{Client, ClientBuilder, http_client_builder};
pub use ctc_driver::ctc_core::{
    AppKey, Credentials, Denial, Endpoint, EndpointError, FairUse, LoginFailure, Phase, Settings,
    TokenAttachment, Unauthorized,
};
pub use ctc_driver::{
    AsyncCaller, AsyncSessionStore, BoxFuture, CallError, CallOptions, ConfigError, Counts, Denied,
    LogoutOutcome, MemoryStore, Replay, Runtime, SharedSession, Tokio,
};
pub use error::{BuildError, Error, SendError};
pub use request::RequestBuilder;
pub use reqwest;
pub use transport::{Inbound, Outbound, OutboundCopy, ReqwestTransport};

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
