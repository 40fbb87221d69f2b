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
//! Clone the client and call from as many threads as you like: one login serves them all. When the
//! server rejects the token, one new login serves all of them, and their calls are replayed. POST,
//! PATCH and CONNECT are not replayed unless you allow it ([`Replay::Always`]): the server may have
//! acted, so the caller gets the 401, and the next call logs in. After a rejected password no login
//! is made until the credentials change (`set_credentials`) or you reset the session (`reset`).
//!
//! [`Error::Denied`] means that nothing was sent. A call that was sent and got a 401, and for which
//! no login can be made then, gets that 401, with [`Unauthorized::NoLogin`] in its extensions.
//!
//! # Programs that fork
//!
//! Build the client after the fork, one in each process. A child inherits the connections that its
//! parent keeps open. If both use one, each may read responses to the other's calls, and nothing in
//! here notices. Processes that are to share one session, and so one login, share a store instead:
//! [`ClientBuilder::store`]. Starting another program
//! ([`Command`](std::process::Command)) is no such fork.
//!
//! # Logs
//!
//! At level TRACE ureq logs every byte that it sends, secrets included, under the target
//! `ureq_proto::util`. Where you log at TRACE, leave that target out: `ureq_proto=debug` in a
//! filter.
//!
//! # TLS
//!
//! Enable one of these features. Without one an `https` endpoint cannot be reached, and the first
//! call says so.
//!
//! | feature | TLS library | what your program has to do |
//! |---|---|---|
//! | `rustls` | rustls with ring, or the crypto provider that the program installs | nothing |
//! | `rustls-no-provider` | rustls | install a crypto provider before the first call |
//! | `native-tls` | the operating system's, on Linux OpenSSL | nothing |
//! | several | rustls | as for `rustls`, if that is one of them |
//!
//! Whatever is enabled, by this crate or by others in the program, the certificates that the
//! operating system trusts are trusted. Anything else is set up with
//! [`ClientBuilder::http_config`]: other certificates, or the other library where there are two.
//! A feature on your own `ureq` dependency is for an agent of your own
//! ([`ClientBuilder::http_client`]) and changes nothing here.
//!
//! # Uploads
//!
//! A body of 1 MiB or more, and any stream, is announced (`Expect: 100-continue`): a server that
//! rejects the token can say so before the body is sent, and the 401 is not lost. A server that
//! ignores the announcement gets the body a second later; `timeout_await_100` of the HTTP client's
//! configuration changes that time.
//!
//! # Whether a request was sent
//!
//! A login that certainly was not sent is not charged to the login budget, and a call that was not
//! sent fails with [`SendError::NotSent`]. The stage that was reached decides: if no byte of the
//! request was written (the name, the route, a proxy's tunnel or TLS failed), it was not sent. With
//! an agent of your own only ureq's errors tell, and in doubt the request counts as sent.

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
