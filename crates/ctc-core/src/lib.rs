//! A session with the CalAmp Telematics Cloud (CTC), as a state machine: **no clock, no socket, no
//! lock, no task.**
//!
//! CTC's login returns a cookie `authToken`, which clients should keep until the server responds
//! with 401 or a logout ends it; clients that log in again and again break the vendor's fair-usage
//! policy. This crate knows when to log in, what to send, what the responses mean, and when to
//! stop. It sends nothing itself. `ctc-reqwest`, `ctc-ureq`, `ctc-tower` or an HTTP client of your
//! own does that, and `ctc-driver` lets many callers share one session: most programs use one of
//! these.
//!
//! # The loop
//!
//! 1. Ask with [`Session::admit`] whether a call may be sent. The return value says what to do:
//! 2. [`Admit::Proceed`]: [`Pass::stamp`] the request and send it, then pass the response to
//!    [`Session::observe`]. Deliver the response, or go to 1 and replay the request.
//! 3. [`Admit::Login`]: announce the login with [`Session::login_starting`], send the order's
//!    request, read the response with [`Session::login_reader`], report it with
//!    [`Session::login_response`] or [`Session::login_failed`], and go to 1.
//! 4. [`Admit::Wait`]: another caller is logging in. Wait until [`Session::epoch`] changes, and go
//!    to 1.
//! 5. [`Admit::Deny`]: tell the caller why, and when to try again. A call that was sent before gets
//!    its 401 instead.
//!
//! ```
//! use std::time::Instant;
//! use ctc_core::{Admit, Call, Denial, Route, SendFailure, Session, Target, Verdict};
//! use http::{Request, Response};
//!
//! # struct LinkDown;
//! /// Makes one call over any HTTP client: `send` is the client.
//! fn call(
//!     session: &mut Session,
//!     request: Request<Vec<u8>>,
//!     mut send: impl FnMut(Request<Vec<u8>>) -> Result<Response<Vec<u8>>, LinkDown>,
//! ) -> Result<Option<Response<Vec<u8>>>, Denial> {
//!     let mut call = Call::new(request.method().is_idempotent());
//!     let route = Route::new(request.method(), request.uri().path());
//!     loop {
//!         match session.admit(&mut call, Instant::now()) {
//!             Admit::Proceed(pass) => {
//!                 let mut request = request.clone();
//!                 let uri = request.uri().clone();
//!                 if pass.stamp(Target::from(&uri), request.headers_mut()).is_err() {
//!                     return Ok(None); // another host: it must not get our token
//!                 }
//!                 let Ok(response) = send(request) else { return Ok(None) };
//!                 let (status, headers) = (response.status(), response.headers());
//!                 let now = Instant::now();
//!                 match session.observe(&mut call, route, status, headers, now) {
//!                     Verdict::Replay => {}
//!                     Verdict::Deliver | Verdict::Unauthorized(_) => {
//!                         return Ok(Some(response));
//!                     }
//!                 }
//!             }
//!             Admit::Login(order) => {
//!                 if !session.login_starting(&order.ticket, Instant::now()) {
//!                     session.cancel_unsent(order.ticket, Instant::now());
//!                     continue;
//!                 }
//!                 let request = order.request.map(|form| form.as_ref().to_vec());
//!                 let outcome = match send(request) {
//!                     Ok(response) => {
//!                         let status = response.status();
//!                         let headers = response.headers();
//!                         let reader = session.login_reader();
//!                         let reading = reader.read(status, headers, response.body());
//!                         session.login_response(order.ticket, reading, Instant::now())
//!                     }
//!                     Err(LinkDown) => {
//!                         let failure = SendFailure::MaybeSent;
//!                         session.login_failed(order.ticket, failure, Instant::now())
//!                     }
//!                 };
//!                 drop(outcome); // `admit` tells every caller what it means
//!             }
//!             Admit::NeedCredentials(_) => unreachable!("the session has credentials"),
//!             Admit::Wait(_) => unreachable!("there is only one caller"),
//!             Admit::Deny(denial) => return Err(denial),
//!         }
//!     }
//! }
//!
//! // A server that responds to every request with 200 and a token.
//! use ctc_core::{AppKey, Credentials, Endpoint, Settings};
//! let credentials = Credentials::new("ada@example.com", "s3cret!s3cret!")?;
//! let (key, settings) = (AppKey::new("my-key")?, Settings::default());
//! let mut session = Session::new(Endpoint::us(), key, credentials, settings)?;
//! let mut paths = Vec::new();
//! for _ in 0..2 {
//!     let devices = "https://connect.calamp.com/connect/services/devices";
//!     let request = Request::get(devices).body(vec![])?;
//!     let response = call(&mut session, request, |request| {
//!         paths.push(request.uri().path().to_owned());
//!         let response = Response::builder().header("set-cookie", "authToken=AAAA");
//!         Ok(response.body(vec![]).unwrap())
//!     })?;
//!     assert_eq!(response.unwrap().status(), 200);
//! }
//! let (login, devices) = ("/connect/services/login", "/connect/services/devices");
//! assert_eq!(paths, [login, devices, devices]); // logged in once
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Panics, errors and time
//!
//! This crate does not panic, whatever a server sends and in whatever order reports arrive. Errors
//! report bad input and say what to do. Time is an argument: [`Instant`] for every decision, wall
//! time only in a [`SessionRecord`]. Secrets print as `[redacted]` and are wiped from memory when
//! their last copy is dropped.
//!
//! # The manual
//!
//! [`manual`] has the pages on this crate. The table of contents of the whole manual is
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

mod endpoint;
mod login_rule;
pub mod manual;
mod oauth;
mod readable;
mod secret;
mod session;
mod settings;
mod time;
mod wire;

pub use endpoint::{Endpoint, EndpointError, JoinError, Target};
pub use login_rule::{FailedLogin, FailedLoginResponse, LoginRule};
pub use oauth::{Login, OAuth, OAuthError};
pub use secret::{AppKey, AuthToken, Credentials, FormBody, SecretError};
pub use session::{
    Admit, BoundPass, Call, Denial, Epoch, Generation, LoginFailure, LoginOrder, LoginOutcome,
    LoginReader, LoginReading, LoginTicket, NoResponse, OpenRecord, Pass, Phase, RecordKey,
    RecordOverview, RejectionReason, Resumed, Route, SendFailure, Session, SessionRecord,
    StampError, TokenOverview, Unauthorized, UnprotectedToken, Verdict, Wait,
};
pub use settings::{
    AuthTokenSwitch, EarlyRenewal, FairUse, Settings, SettingsError, TokenAttachment,
};
pub use time::Instant;

/// What `ctc-driver` opens and seals records with: not part of the stable surface, and exempt from
/// semantic versioning.
#[doc(hidden)]
pub mod __sealing {
    pub use crate::session::{Refusal, SealSeed, SealedParts, SealedToken, TokenFacts};
}

/// How the crates of this project print errors: not part of the stable surface, and exempt from
/// semantic versioning.
#[doc(hidden)]
pub mod __readable {
    pub use crate::readable::debug;
}

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
