//! A CTC server on loopback, for testing clients of the CalAmp Telematics Cloud.
//!
//! [`Server`] behaves as the vendor's pages say, records requests (the last 100,000), reports
//! requests that break the rules of those pages, and injects faults on demand: see [`Fault`]. It
//! runs on a separate thread and has a synchronous API, for blocking and async tests. Where the
//! vendor's pages are silent, its behavior is our choice and says nothing about CTC.
//!
//! ```
//! use ctc_testkit::{Fault, Matcher, Rule, Server};
//!
//! let server = Server::start()?;
//! server.inject(Rule::once(Matcher::Login, Fault::throttle(46)));
//! // … point a client at `server.url()`, then check what it did:
//! assert_eq!(server.counts().violations, 0);
//! # Ok::<(), ctc_testkit::StartError>(())
//! ```
//!
//! # What it serves
//!
//! | route | response |
//! | --- | --- |
//! | `POST /connect/services/login?useAuthToken=true` | the login of the vendor's page |
//! | `POST` to [`token_url`](Server::token_url), on a port of its own | the OAuth login |
//! | `POST` to [`revocation_url`](Server::revocation_url) | ends an access token |
//! | `POST /connect/services/logout` | a logout; path and effect are our assumption |
//! | `GET /connect/services/devices?pg=&pgsize=` | a page of devices |
//! | `GET /connect/services/devices/{id}` | one device; ids start at 1001 |
//! | `GET /connect/services/devices/{id}/avlevents?pg=&pgsize=` | a page of its events (our path) |
//! | `GET`, `POST /connect/services/devices/{id}/notes` | a write whose replays show (our path) |
//! | any method `/connect/test/echo` | the request as JSON, secrets included |
//! | `/connect/test/bytes/{n}` | a body of `n` bytes, streamed |
//! | `/connect/test/forbidden`, `/connect/test/status/{code}` | 403, or any status |
//! | `/_ctc/…` | the control path: see [`CONTROL_HELP`], or `ctc-server --help` |
//!
//! The page [`manual::control`] shows what a page of devices looks like.
//!
//! Every path below `/connect/` and `/device-services/` needs the application key and a valid
//! token: that of the cookie login as a cookie, that of the OAuth login as a bearer token. A key or
//! token that is missing or sent twice is a [`Violation`], in the journal and in the counts. An
//! expired or revoked token is not a violation: the response is a 401, as the vendor's page says.
//!
//! # Other languages
//!
//! The program `ctc-server` serves tests in any language: [`manual::control`] has its options and
//! clients in Python, Node and curl. [`manual::vectors`] has responses and what they mean to a
//! session, as JSON.
//!
//! # Testing your own transport
//!
//! The feature `conformance` (off by default, because it needs `ctc-driver`) adds `VirtualClock`
//! and the conformance suite, which tests any transport of `ctc-driver` against this server. The
//! feature `stores` adds a conformance suite for session stores.
//!
//! # The manual
//!
//! [`manual`] has the pages on testing. The table of contents of the whole manual is
//! [`ctc_driver::manual`]; `cargo doc --open` in a clone of the repository shows it.
//!
#![cfg_attr(
    docsrs,
    doc = "[`ctc_driver::manual`]: https://docs.rs/ctc-driver/latest/ctc_driver/manual/index.html"
)]
#![cfg_attr(
    not(docsrs),
    doc = "[`ctc_driver::manual`]: ../ctc_driver/manual/index.html"
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "conformance")]
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod fleet;
pub mod manual;
#[cfg(feature = "stores")]
mod redis_server;
mod server;
#[cfg(feature = "stores")]
pub mod store_conformance;

#[cfg(feature = "conformance")]
pub use clock::VirtualClock;
pub use fleet::FIRST_DEVICE;
#[cfg(feature = "stores")]
pub use redis_server::{NoRedis, RedisServer};
pub use server::{
    Builder, CONTROL_HELP, Class, ClearingForm, Counts, DEFAULT_APP_KEY, DEFAULT_CLIENT_ID,
    DEFAULT_PASSWORD, DEFAULT_USERNAME, Entry, Fault, JOURNALED_BODY, LogoutEffect, Matcher,
    Origin, Point, RetryAfter, Rule, RuleId, Server, StartError, TimedOut, Times, TokenStyle,
    Violation, When,
};

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
