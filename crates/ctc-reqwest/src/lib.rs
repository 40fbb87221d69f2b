//! An async client of the CalAmp Telematics Cloud (CTC) over [`reqwest`](https://docs.rs/reqwest):
//! it logs in once and stays logged in.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use ctc_reqwest::{Client, Endpoint};
//!
//! let client = Client::builder()
//!     .endpoint(Endpoint::us())
//!     .app_key("the key that the vendor issued to you")
//!     .credentials("ada@example.com", "her password")
//!     .build()?;
//! let devices = client.get("/connect/services/devices");
//! let devices = devices.query(&[("pg", 1)]).send().await?;
//! println!("{}", devices.text().await?);
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::from_env`] reads the same from environment variables. For a program without tokio,
//! `ctc-ureq` has a client with the same names.
//!
//! # One session for all callers
//!
//! Clone the client and call from as many tasks as you like: one login serves them all. When the
//! server rejects the token, one new login serves all of them, and their calls are replayed. POST,
//! PATCH and CONNECT are not replayed unless you allow it ([`Replay::Always`]): the server may have
//! acted, so the caller gets the 401, and the next call logs in.
//!
//! Logins have a budget, and after a failed login there is a backoff. After a rejected password no
//! login is made until the credentials change ([`set_credentials`](SharedSession::set_credentials))
//! or you reset the session ([`reset`](SharedSession::reset)).
//!
//! # Making calls
//!
//! A call takes a path, such as `/connect/services/devices`, or an absolute URL on the endpoint,
//! such as a `next` link. Key and token are never sent anywhere else.
//!
//! ```no_run
//! # async fn run(client: ctc_reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use ctc_reqwest::Replay;
//!
//! // A POST that may be sent twice, with a time limit for this call.
//! let call = client.post("/path/of/your/call").json(&["a", "b"]);
//! let call = call.replay(Replay::Always).timeout(Duration::from_secs(10));
//! println!("{}", call.send().await?.status());
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::execute`] sends a `reqwest::Request`. A library that should work with every client
//! takes any [`AsyncCaller`] instead of this one.
//!
//! # Handling errors
//!
//! A status is never an error: every response is delivered, whatever its status.
//!
//! ```no_run
//! # async fn run(client: ctc_reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use ctc_reqwest::{Error, Unauthorized};
//!
//! match client.get("/connect/services/devices").send().await {
//!     Ok(response) => {
//!         // A 401 that the session could not recover from says why.
//!         if let Some(why) = response.extensions().get::<Unauthorized>() {
//!             eprintln!("{why}");
//!         }
//!     }
//!     // Nothing was sent. `None` if waiting does not help.
//!     Err(Error::Denied(denied)) => {
//!         eprintln!("{denied}: {:?}", denied.retry_after());
//!     }
//!     Err(other) => return Err(other.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Error::Denied`] means that nothing was sent. A call that was sent and got a 401, and for which
//! no login can be made then, gets that 401, with [`Unauthorized::NoLogin`] in its extensions. The
//! page [`errors`](ctc_driver::manual::errors) of the manual lists every error, its text and what
//! to do.
//!
//! # Setting it up
//!
//! | to | use |
//! | --- | --- |
//! | use the OAuth login | [`ClientBuilder::login`] |
//! | share the session with other processes | [`ClientBuilder::store`]: in a file or in Redis |
//! | take a password that changes from a file or a vault | [`ClientBuilder::credentials_source`] |
//! | let calls wait while no login may be made | [`ClientBuilder::max_wait`] |
//! | limit a call with its wait for another caller's login | [`ClientBuilder::call_timeout`] |
//! | limit the time of each request | [`ClientBuilder::timeout`] |
//! | change the login budget, the backoff, the logout path | [`ClientBuilder::settings`] |
//! | set proxies or certificates | [`ClientBuilder::http_client`], with [`http_client_builder`] |
//! | choose the runtime of logins | [`ClientBuilder::runtime`] |
//! | log in early, renew, log out | [`Client::login`], [`Client::renew`], [`Client::logout`] |
//! | see what the session does | [`Client::session`]: phase, counts, an observer |
//!
//! # Runtimes
//!
//! The first call that needs a login spawns it as a task of its own, on the tokio runtime of that
//! call; this call and all others wait for it. The login ends and is saved even if all of them are
//! dropped. If your program has several runtimes, or one that is not always running
//! (`current_thread`, between two `block_on`), choose the runtime of logins:
//! [`ClientBuilder::runtime`] with [`Tokio::on`]. A [`Runtime`] of your own is two methods; reqwest
//! itself needs tokio for calls.
//!
//! # TLS
//!
//! Enable one of these features. Without one an `https` endpoint cannot be reached, and the first
//! call says so.
//!
//! | feature | TLS library | what your program has to do |
//! | --- | --- | --- |
//! | `rustls` | rustls with aws-lc, or the crypto provider that the program installs | nothing |
//! | `rustls-no-provider` | rustls | install a crypto provider before the client is built |
//! | `native-tls` | the operating system's, on Linux OpenSSL | nothing |
//! | several | rustls | as for `rustls`, if that is one of them |
//!
//! Whatever this crate and others in the program enable, the client trusts the certificates that
//! the operating system trusts. For anything else, use an HTTP client of your own:
//! [`ClientBuilder::http_client`]. With TLS features on your own `reqwest` dependency only, reqwest
//! chooses among them.
//!
//! # Uploads
//!
//! A server that rejects the token of a large upload may respond before it has read the body, and
//! close the connection. reqwest usually sees that response while it sends. Sometimes it sees the
//! broken connection first: then the call fails with [`Error::Send`], and the session does not
//! notice that the token was rejected. A program that makes only large uploads should make a small
//! call first, which shows whether the token is still valid.
//!
//! # Whether a request was sent
//!
//! A login that certainly was not sent is not charged to the login budget: the name did not
//! resolve, there was no route or socket, or the proxy's tunnel or TLS failed. Once reqwest has a
//! connection, the login counts as sent. So does a login that takes longer than
//! [`login_timeout`](ClientBuilder::login_timeout) in total, however far it got.
//!
//! # The manual
//!
//! `cargo doc --open` in a clone of the repository, then [`ctc_driver::manual`]: its first page is
//! the table of contents. The page [`migrating`](manual::migrating) is for programs with login code
//! of their own.

#![cfg_attr(docsrs, feature(doc_cfg))]

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
pub use ctc_driver;
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
