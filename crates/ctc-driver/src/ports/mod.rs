//! The ports: one small trait each for requests, responses, HTTP clients, runtimes, stores and
//! sources of credentials.

mod blocking;
mod body;
pub(crate) mod credentials;
mod frames;
mod not_sent;
#[cfg(feature = "tokio")]
mod on_tokio;
mod request;
mod response;
mod runtime;
pub(crate) mod store;
mod transport;

pub(crate) use blocking::Blocking;
pub use body::{BodyError, Whole, read_body, read_from};
pub use credentials::{AsyncCredentialsSource, CredentialsError, CredentialsSource};
pub use frames::{discard_body, read_login};
pub use not_sent::NotSent;
pub(crate) use not_sent::chain;
#[cfg(feature = "tokio")]
pub use on_tokio::Tokio;
pub(crate) use request::stamp;
pub use request::{Outgoing, ReplayCopy, RequestTimeout};
pub use response::Incoming;
pub(crate) use response::mark_cookies_sensitive;
pub use runtime::{BoxFuture, Runtime, within};
pub use store::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease,
    StoreSecret,
};
pub use transport::{AsyncTransport, LoginRequest, LoginResponse, Transport, TransportError};
pub use transport::{DISCARD_BYTES, DISCARD_TIMEOUT};
