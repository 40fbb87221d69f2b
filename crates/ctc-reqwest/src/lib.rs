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
//! Clone the client and call from as many tasks as you like: one login serves them all. When the
//! server rejects the token, one new login serves all of them, and their calls are replayed. POST,
//! PATCH and CONNECT are not replayed unless you allow it ([`Replay::Always`]): the server may have
//! acted, so the caller gets the 401, and the next call logs in. After a rejected password no login
//! is made until the credentials change (`set_credentials`) or you reset the session (`reset`).
//!
//! [`Error::Denied`] means that nothing was sent. A call that was sent and got a 401, and for which
//! no login can be made then, gets that 401, with [`Unauthorized::NoLogin`] in its extensions.
//!
//! # Runtimes
//!
//! The first call that needs a login spawns it as a task of its own, on the tokio runtime of that
//! call; this call and all others wait for it. The login ends and is saved even if all of them are
//! dropped. If your program has several runtimes, or one that is not
//! always being run (`current_thread`, between two `block_on`), name the one for logins:
//! [`ClientBuilder::runtime`] with [`Tokio::on`]. A [`Runtime`] of your own is two methods; reqwest
//! itself needs tokio for calls.
//!
//! # TLS
//!
//! Enable one of these features. Without one an `https` endpoint cannot be reached, and the first
//! call says so.
//!
//! | feature | TLS library | what your program has to do |
//! |---|---|---|
//! | `rustls` | rustls with aws-lc, or the crypto provider that the program installs | nothing |
//! | `rustls-no-provider` | rustls | install a crypto provider before the client is built |
//! | `native-tls` | the operating system's, on Linux OpenSSL | nothing |
//! | several | rustls | as for `rustls`, if that is one of them |
//!
//! Whatever is enabled, by this crate or by others in the program, the certificates that the
//! operating system trusts are trusted. Anything else is set up with an HTTP client of your own:
//! [`ClientBuilder::http_client`]. With TLS features on your own `reqwest` dependency only, reqwest
//! chooses among them.
//!
//! # Uploads
//!
//! A server that rejects the token of a large upload may respond before it has read the body, and
//! close the connection. reqwest usually finds that response while it sends. Sometimes it finds the
//! broken connection first: then the call fails with [`Error::Send`], and the session does not
//! learn of the 401. A program that makes only large uploads should make a small call first, which
//! shows whether the token is still valid.
//!
//! # Whether a request was sent
//!
//! A login that certainly was not sent is not charged to the login budget: the name did not
//! resolve, there was no route or socket, or the proxy's tunnel or TLS failed. Once reqwest has a
//! connection, the login counts as sent. So does a login that takes longer than
//! [`login_timeout`](ClientBuilder::login_timeout) in total, however far it got.

#[cfg(target_family = "wasm")]
compile_error!(
    "ctc-reqwest cannot run in a browser, where Cookie and Set-Cookie are forbidden headers: \
     use ctc-core with a server-side HTTP stack"
);

mod builder;
mod caller;
mod client;
mod error;
pub mod manual;
mod request;
mod transport;

pub use builder::{ClientBuilder, http_client_builder};
pub use client::Client;
pub use ctc_driver::ctc_core::{
    AppKey, Credentials, Denial, EarlyRenewal, Endpoint, EndpointError, FairUse, Login,
    LoginFailure, OAuth, OAuthError, Phase, RejectionReason, Settings, TokenAttachment,
    Unauthorized,
};
pub use ctc_driver::{
    AsyncCaller, AsyncCredentialsSource, AsyncSessionStore, AsyncStreamingCaller, BodyError,
    BodyStream, BoxFuture, CallError, CallFailure, CallOptions, Clock, ConfigError, Counts,
    CredentialsCommand, CredentialsEnv, CredentialsError, CredentialsFile, CredentialsSource,
    Denied, Failure, LoginLimiter, LogoutOutcome, MemoryStore, NotSent, Replay, Runtime,
    SharedSession, TimedOut, Tokio,
};
pub use error::{BuildError, Error, SendError};
pub use request::RequestBuilder;
pub use reqwest;
pub use transport::{Inbound, Outbound, OutboundCopy, ReqwestTransport};

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
