//! A CTC server on loopback, for testing clients of the CalAmp Telematics Cloud.
//!
//! [`Server`] behaves as the vendor's login page says, records requests (the last 100,000), reports
//! those that break the rules of that page, and injects faults on demand: see [`Fault`]. It has a
//! thread of its own and a synchronous API, for blocking and async tests alike. Where the vendor's
//! page is silent, its behavior is our choice and says nothing about CTC.
//!
//! ```
//! use ctc_testkit::{Fault, Matcher, Rule, Server};
//!
//! let server = Server::start()?;
//! server.inject(Rule::once(Matcher::Login, Fault::throttle(46)));
//! // … point a client at `server.url()`, then look at what it did:
//! assert_eq!(server.counts().violations, 0);
//! # Ok::<(), ctc_testkit::StartError>(())
//! ```
//!
//! # What it serves
//!
//! | route | response |
//! | --- | --- |
//! | `POST /connect/services/login?useAuthToken=true` | the login of the vendor's page |
//! | `POST /connect/services/logout` | a logout: path and effect are our assumption, and settings |
//! | `GET /connect/services/devices?pg=&pgsize=` | a page of devices |
//! | `GET /connect/services/devices/{id}` | one device; ids start at 1001 |
//! | `GET /connect/services/devices/{id}/avlevents?pg=&pgsize=` | a page of its events (our path) |
//! | `GET`, `POST /connect/services/devices/{id}/notes` | a write whose replays show (our path) |
//! | any method `/connect/test/echo` | the request as JSON, secrets included |
//! | `/connect/test/bytes/{n}` | a body of `n` bytes, streamed |
//! | `/connect/test/forbidden`, `/connect/test/status/{code}` | 403, or any status |
//! | `/_ctc/…` | the control path: see [`CONTROL_HELP`], or `ctc-server --help` |
//!
//! Everything below `/connect/` and `/device-services/` needs the application key and a valid
//! token. A key or token that is missing or doubled is a [`Violation`], in the journal and in the
//! counts. A token that expired or was revoked is not a violation: the response is a plain 401, as
//! the vendor's page says.
//!
//! # Testing your own transport
//!
//! The feature `conformance` (off by default: it needs `ctc-driver`) adds the conformance suite,
//! which tests any transport of `ctc-driver` against this server, `VirtualClock`, and the page
//! `manual::testing`.

#[cfg(feature = "conformance")]
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod fleet;
#[cfg(feature = "conformance")]
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
