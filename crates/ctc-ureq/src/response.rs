//! What a response can do beyond ureq's own.

use http::Response;
use serde::de::DeserializeOwned;

/// Reads responses as reqwest's own type does.
///
/// ```no_run
/// use ctc_ureq::{Client, ResponseExt};
///
/// # fn run(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let devices: serde_json::Value = client.get("/connect/services/devices").send()?.json()?;
/// # Ok(())
/// # }
/// ```
pub trait ResponseExt: sealed::Sealed {
    /// Reads the whole body as JSON, of 10 MB at most (ureq's limit; for another one there is
    /// [`with_config`](ureq::Body::with_config)).
    ///
    /// # Errors
    /// Returns [`ureq::Error`] if the body breaks off, is too long, or is not the JSON of a `T`.
    fn json<T: DeserializeOwned>(self) -> Result<T, ureq::Error>;
}

impl ResponseExt for Response<ureq::Body> {
    fn json<T: DeserializeOwned>(mut self) -> Result<T, ureq::Error> {
        self.body_mut().read_json()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for http::Response<ureq::Body> {}
}
