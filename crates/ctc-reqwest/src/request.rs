//! A request on the way to being sent.

use std::time::Duration;

use ctc_driver::{CallOptions, Replay};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::transport::Outbound;
use crate::{Client, Error};

/// Puts a request together, as `reqwest::RequestBuilder` does, and sends it with the session's key and token.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    request: Result<reqwest::RequestBuilder, Error>,
    options: CallOptions,
}

impl RequestBuilder {
    pub(crate) fn new(
        client: Client,
        request: Result<reqwest::RequestBuilder, Error>,
        options: CallOptions,
    ) -> Self {
        Self { client, request, options }
    }

    /// Adds to the query.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> Self {
        self.map(|request| request.query(query))
    }

    /// Adds a header. The session's key and token replace what is given here for them; other cookies are kept.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|request| request.header(name, value))
    }

    /// Adds headers, replacing those of the same name.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.map(|request| request.headers(headers))
    }

    /// A JSON body, and its content type.
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> Self {
        self.map(|request| request.json(json))
    }

    /// A form body, and its content type.
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> Self {
        self.map(|request| request.form(form))
    }

    /// Any body. One that is a stream is sent once: see [`Replay`].
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        self.map(|request| request.body(body))
    }

    /// How long this call may take all told, from connecting to the end of the body. Each sending has its own, and
    /// waiting for a login is not part of it: see [`ClientBuilder::timeout`](crate::ClientBuilder::timeout).
    pub fn timeout(self, timeout: Duration) -> Self {
        self.map(|request| request.timeout(timeout))
    }

    /// Whether the request may be sent a second time after a 401. Default [`Replay::Idempotent`].
    pub fn replay(mut self, replay: Replay) -> Self {
        self.options.replay = replay;
        self
    }

    /// How long to wait for a login that fair use or a pause holds back. Default zero: fail at once. Waiting for one
    /// that is under way is not counted.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.options.max_wait = max_wait;
        self
    }

    /// The request as it is, without key and token.
    ///
    /// # Errors
    /// [`Error::Path`] or [`Error::Request`].
    pub fn build(self) -> Result<reqwest::Request, Error> {
        built(self.request)
    }

    /// Sends it. Every answer is delivered, whatever its status; a 401 that the session could not cure carries
    /// an [`Unauthorized`](crate::Unauthorized) in its extensions.
    ///
    /// The response is reqwest's own. Reading its body can fail with an error that prints the URL and its query:
    /// [`reqwest::Error::without_url`] takes them out. This crate's errors never have them.
    ///
    /// # Errors
    /// [`Error`] when there is no answer.
    pub fn send(self) -> impl Future<Output = Result<reqwest::Response, Error>> + Send {
        let Self { client, request, options } = self;
        // An `async fn` would keep its argument twice: memory of each call that waits.
        let mut request = built(request).map(|request| Some(Outbound::built_here(request)));
        async move {
            match request {
                Ok(ref mut outbound) => Ok(client.drive(outbound, Some(&options)).await?.0),
                Err(error) => Err(error),
            }
        }
    }

    fn map(mut self, step: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> Self {
        self.request = self.request.map(step);
        self
    }
}

fn built(request: Result<reqwest::RequestBuilder, Error>) -> Result<reqwest::Request, Error> {
    request?.build().map_err(|error| Error::Request(error.without_url()))
}
