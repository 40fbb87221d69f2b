//! A [`tower`] layer that keeps any HTTP service logged in to the CalAmp Telematics Cloud (CTC).
//!
//! It goes over every service that takes `http::Request` and answers `http::Response`: a `hyper-util` client, a
//! gateway's upstream, a stack of other layers. Requests that pass through get the session's key and token; the
//! login goes out through the same service.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use ctc_driver::SessionConfig;
//! use ctc_driver::ctc_core::Endpoint;
//! use ctc_tower::CtcLayer;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Any service; this one answers by itself.
//! let upstream = service_fn(|request: Request<Full<Bytes>>| async move {
//!     let login = request.uri().path().ends_with("/login");
//!     assert_eq!(request.headers().contains_key("cookie"), !login);
//!     let answer = Response::builder().header("set-cookie", "authToken=AAAA");
//!     Ok::<_, Infallible>(answer.body(Full::<Bytes>::default()).unwrap())
//! });
//!
//! let session = SessionConfig::new()
//!     .endpoint(Endpoint::us())
//!     .app_key("my-key")
//!     .credentials("ada@example.com", "s3cret!s3cret!")
//!     .build()?;
//! let service = CtcLayer::new(session.clone()).layer(upstream);
//! let request = Request::get("https://connect.calamp.com/connect/services/devices").body(Full::default())?;
//! let answer = service.oneshot(request).await?;
//! assert_eq!((answer.status().as_u16(), session.counts().logins), (200, 1));
//! # Ok(())
//! # }
//! ```
//!
//! # With other layers
//!
//! - **Retry outside**: each try is a call of its own and takes the token of its moment, so a retry after a
//!   renewal uses the new one.
//! - **Time-out outside**: ends a call, not the login that others wait for as well.
//! - **Limits inside** (concurrency, rate, load shedding): hold for the login too. The layer is always ready; a
//!   service inside that is not makes its calls wait.
//! - **No cache, no redirect-following and no cookie layer inside**: a login must not be answered from a cache, and
//!   key and token must not be sent on.

mod layer;
mod transport;

pub use ctc_driver;
pub use layer::{CtcLayer, CtcService};
pub use transport::{Outbound, TowerError, TowerTransport};

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
