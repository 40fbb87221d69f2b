//! A [`tower`](https://docs.rs/tower) layer that keeps any HTTP service logged in to the CalAmp
//! Telematics Cloud (CTC).
//!
//! It wraps any service that takes `http::Request` and returns `http::Response`: a `hyper-util`
//! client, a gateway's upstream, a stack of other layers. Requests that pass through get the
//! session's key and token. Logins go out through the same service, or through one of their own
//! ([`CtcLayer::login_service`]).
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use ctc_tower::{CtcLayer, Endpoint, SessionConfig};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Any service; this one invents its responses.
//! let upstream = service_fn(|request: Request<Full<Bytes>>| async move {
//!     let login = request.uri().path().ends_with("/login");
//!     assert_eq!(request.headers().contains_key("cookie"), !login);
//!     let response = Response::builder().header("set-cookie", "authToken=AAAA");
//!     Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
//! });
//!
//! let session = SessionConfig::new()
//!     .endpoint(Endpoint::us())
//!     .app_key("my-key")
//!     .credentials("ada@example.com", "s3cret!s3cret!")
//!     .build()?;
//! let service = CtcLayer::new(session.clone()).layer(upstream);
//! // Just the path: the session knows the endpoint.
//! let request = Request::get("/connect/services/devices").body(Full::default())?;
//! let response = service.oneshot(request).await?;
//! assert_eq!((response.status().as_u16(), session.counts().logins), (200, 1));
//! # Ok(())
//! # }
//! ```
//!
//! For hyper, `upstream` is a `hyper_util::client::legacy::Client` with a TLS connector.
//!
//! # Bodies
//!
//! - [`CtcLayer::new`]: bodies that can be cloned (`Full<Bytes>`, `String`), and so replayed after
//!   a 401.
//! - [`CtcLayer::streaming`]: bodies that can be read once (`axum::body::Body`, `reqwest::Body`).
//!   Only a call without a body is replayed; with a body the 401 is delivered, and the next call
//!   renews the session.
//! - [`CtcLayer::with_bodies`]: any other type, such as `BoxBody`.
//!
//! # Requests
//!
//! - A URI that is only a path goes to the session's endpoint, and a `Host` header that came with
//!   it is dropped: a gateway may pass requests on as they came in. An absolute URI must be on the
//!   endpoint.
//! - Key and token replace those in the request. Other cookies, `Authorization` and hop-by-hop
//!   headers are passed on: a gateway has to remove what is not for CTC.
//! - POST, PATCH and CONNECT are not replayed unless [`CallOptions`] allow it: for all calls with
//!   [`CtcLayer::options`], or for one in its extensions.
//! - In a gateway whose clients use HTTP/2, an absolute URI names the gateway:
//!   [`CtcLayer::gateway`] uses only its path and query.
//!
//! # Logins
//!
//! - A login is a task of its own: on the tokio runtime of the call that needs it, or on the
//!   runtime that you set with [`CtcLayer::runtime`]. Use [`Tokio::on`] if your program has several
//!   runtimes, or one that is not always running. For any other runtime, such as smol, implement
//!   [`Runtime`], which has two methods; this crate does not need tokio then.
//! - Logins go through the inner service. Give them a service of their own that keeps no idle
//!   connections ([`CtcLayer::login_service`]): otherwise a login may be sent on a connection that
//!   the server is closing, and fails.
//! - A login that was certainly not sent is not charged to the login budget.
//!   [`CtcLayer::classify_error`] says which of the service's errors mean that.
//!
//! # With other layers
//!
//! - **Retry outside**: each retry is a call of its own and uses the current token, also after a
//!   renewal. **Retry inside**: each retry uses the token of the first request.
//! - **Timeout outside**: ends a call, not the login that it waits for. **Timeout inside**: limits
//!   every request, logins too.
//! - **Limits inside** (concurrency; rate through a buffer): apply to logins, too. While the inner
//!   service is not ready, calls wait. A login that **load shedding inside** rejects is not
//!   charged, but a backoff follows: shed outside instead.
//! - **Limits outside**: the layer itself is always ready, so load shedding over it needs a
//!   concurrency limit.
//! - **No cache, no redirect-following and no cookie layer inside**: the response to a login must
//!   not come from a cache, and key and token must not be sent on.
//!
//! The service must be [`Clone`]; put one that is not into a [`Buffer`]. All that it must be is in
//! [`HttpService`].
//!
//! [`Buffer`]: https://docs.rs/tower/latest/tower/buffer/
//!
//! # reqwest as the inner service
//!
//! ```
//! use ctc_tower::{CtcLayer, SharedSession};
//! use http::{Request, Response};
//! use reqwest::redirect::Policy;
//! use reqwest::{Body, Client, Error};
//! use tower::{Layer, Service, service_fn};
//!
//! fn over_reqwest(
//!     session: SharedSession,
//! ) -> reqwest::Result<
//!     impl Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug>,
//! > {
//!     // As for every inner service: no redirects, no cookie store.
//!     let client = Client::builder().redirect(Policy::none()).build()?;
//!     let inside = service_fn(move |request: Request<Body>| {
//!         let client = client.clone();
//!         // An error must not show the query.
//!         async move {
//!             let request = reqwest::Request::try_from(request);
//!             let request = request.map_err(Error::without_url)?;
//!             let response = client.execute(request).await;
//!             Ok::<_, Error>(response.map_err(Error::without_url)?.into())
//!         }
//!     });
//!     Ok(CtcLayer::streaming(session).layer(inside))
//! }
//! ```
//!
//! If your program uses reqwest only, prefer `ctc-reqwest`, which can replay calls with their
//! bodies.
//!
//! # The manual
//!
//! [`ctc_driver::manual`] is its table of contents; `cargo doc --open` in a clone of the repository
//! shows it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bodies;
mod caller;
mod layer;
mod service;
mod transport;

pub use bodies::Bodies;
pub use caller::ServiceCaller;
pub use ctc_driver;
pub use ctc_driver::ctc_core::{
    AppKey, Credentials, Denial, EarlyRenewal, Endpoint, FairUse, Login, LoginFailure, OAuth,
    Phase, RejectionReason, SendFailure, Settings, Unauthorized,
};
pub use ctc_driver::{
    AsyncCaller, AsyncCredentialsSource, AsyncSessionStore, AsyncStreamingCaller, BodyError,
    BodyStream, BoxFuture, CallError, CallFailure, CallOptions, ConfigError, CredentialsCommand,
    CredentialsEnv, CredentialsError, CredentialsFile, CredentialsSource, Denied, Failure,
    LoginLimiter, LogoutOutcome, MemoryStore, NotSent, Replay, Runtime, SessionConfig,
    SharedSession, TimedOut, Tokio,
};
pub use layer::{CtcLayer, CtcService};
pub use service::HttpService;
pub use transport::{Outbound, OutboundCopy, TowerError, TowerTransport};

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
