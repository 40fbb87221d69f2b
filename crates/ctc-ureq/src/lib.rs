//! A blocking client of the CalAmp Telematics Cloud (CTC) over [`ureq`](https://docs.rs/ureq): it
//! logs in once and stays logged in.
//!
//! ```no_run
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use ctc_ureq::{Client, Endpoint};
//!
//! let client = Client::builder()
//!     .endpoint(Endpoint::us())
//!     .app_key("the key that the vendor issued to you")
//!     .credentials("ada@example.com", "her password")
//!     .build()?;
//! let devices = client.get("/connect/services/devices");
//! let mut devices = devices.query(&[("pg", 1)]).send()?;
//! println!("{}", devices.body_mut().read_to_string()?);
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::from_env`] reads the same from environment variables. For a program on tokio,
//! `ctc-reqwest` has a client with the same names.
//!
//! # One session for all callers
//!
//! Clone the client and call from as many threads as you like: one login serves them all. When the
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
//! # fn run(client: ctc_ureq::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use ctc_ureq::Replay;
//!
//! // A POST that may be sent twice, with a time limit for this call.
//! let call = client.post("/path/of/your/call").json(&["a", "b"]);
//! let call = call.replay(Replay::Always).timeout(Duration::from_secs(10));
//! println!("{}", call.send()?.status());
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::execute`] sends an `http::Request`. A library that should work with every client takes
//! any [`Caller`] instead of this one.
//!
//! # Handling errors
//!
//! A status is never an error: every response is delivered, whatever its status.
//!
//! ```no_run
//! # fn run(client: ctc_ureq::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use ctc_ureq::{Error, Unauthorized};
//!
//! match client.get("/connect/services/devices").send() {
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
//! | set proxies or certificates | [`ClientBuilder::http_config`], with [`http_client_builder`] |
//! | log in early, renew, log out | [`Client::login`], [`Client::renew`], [`Client::logout`] |
//! | see what the session does | [`Client::session`]: phase, counts, an observer |
//!
//! # Programs that fork
//!
//! Build the client after the fork, one in each process. A child inherits the connections that its
//! parent keeps open. If both use one, each may read responses to the other's calls, and this crate
//! does not notice. To share one session, and so one login, among processes, give them a store:
//! [`ClientBuilder::store`]. Starting another program ([`Command`](std::process::Command)) is not
//! such a fork.
//!
//! # Logs
//!
//! At level TRACE ureq logs every byte that it sends, secrets included, under the target
//! `ureq_proto::util`. If you log at TRACE, exclude that target: `ureq_proto=debug` in a filter.
//!
//! # TLS
//!
//! Enable one of these features. Without one an `https` endpoint cannot be reached, and the first
//! call says so.
//!
//! | feature | TLS library | what your program has to do |
//! | --- | --- | --- |
//! | `rustls` | rustls with ring, or the crypto provider that the program installs | nothing |
//! | `rustls-no-provider` | rustls | install a crypto provider before the first call |
//! | `native-tls` | the operating system's, on Linux OpenSSL | nothing |
//! | several | rustls | as for `rustls`, if that is one of them |
//!
//! Whatever this crate and others in the program enable, the client trusts the certificates that
//! the operating system trusts. For other certificates, or to choose between two libraries, use
//! [`ClientBuilder::http_config`]. A feature on your own `ureq` dependency applies only to an agent
//! of your own ([`ClientBuilder::http_client`]).
//!
//! # Uploads
//!
//! A body of 1 MiB or more, and any stream, is announced (`Expect: 100-continue`): a server that
//! rejects the token can say so before the body is sent, and the 401 is not lost. A server that
//! ignores the announcement gets the body a second later; the setting `timeout_await_100` of the
//! HTTP client changes that time.
//!
//! # Whether a request was sent
//!
//! A login that certainly was not sent is not charged to the login budget, and a call that was not
//! sent fails with [`SendError::NotSent`]. The stage that was reached decides: if no byte of the
//! request was written (the name, the route, a proxy's tunnel or TLS failed), it was not sent. With
//! an agent of your own, only ureq's errors show the stage, and in doubt the request counts as
//! sent.
//!
//! # The manual
//!
//! `cargo doc --open` in a clone of the repository, then [`ctc_driver::manual`]: its first page is
//! the table of contents.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod builder;
mod caller;
mod client;
mod error;
mod headers;
mod request;
mod response;
mod tls;
mod transport;
mod watch;

pub use body::Body;
pub use builder::{ClientBuilder, http_client_builder};
pub use client::Client;
pub use ctc_driver;
pub use ctc_driver::ctc_core::{
    AppKey, Credentials, Denial, EarlyRenewal, Endpoint, EndpointError, FairUse, Login,
    LoginFailure, OAuth, OAuthError, Phase, RejectionReason, Settings, TokenAttachment,
    Unauthorized,
};
pub use ctc_driver::{
    BodyError, CallError, CallFailure, CallOptions, Caller, Clock, ConfigError, Counts,
    CredentialsCommand, CredentialsEnv, CredentialsError, CredentialsFile, CredentialsSource,
    Denied, Failure, LoginLimiter, LogoutOutcome, MemoryStore, NotSent, Replay, SessionStore,
    SharedSession, StreamingCaller, TimedOut,
};
pub use error::{BuildError, Error, SendError};
pub use request::RequestBuilder;
pub use response::ResponseExt;
pub use transport::{Outbound, OutboundCopy, UreqTransport};
pub use ureq;

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
