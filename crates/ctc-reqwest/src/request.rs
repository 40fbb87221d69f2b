//! A request on the way to being sent.

use std::time::Duration;

use ctc_driver::{CallOptions, Replay};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;

use crate::transport::Outbound;
use crate::{Client, Error};

impl Client {
    /// A GET request. `path` begins with `/`, or is an absolute URL on the endpoint.
    pub fn get(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A POST request. It is not sent twice unless [`RequestBuilder::replay`] allows it.
    pub fn post(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// A PUT request.
    pub fn put(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// A HEAD request.
    pub fn head(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, path)
    }

    /// A request with any method.
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> RequestBuilder {
        let url = self.url(path.as_ref()).map_err(Box::new);
        RequestBuilder {
            client: self.clone(),
            request: url.map(|url| Box::new(reqwest::Request::new(method, url))),
            options: None,
        }
    }
}

/// Puts a request together, as `reqwest::RequestBuilder` does, and sends it with the session's key
/// and token.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    /// Or the first thing that was wrong with it. Boxed, as each step moves the builder.
    request: Result<Box<reqwest::Request>, Box<Error>>,
    /// In place of the client's own. Boxed, since few calls have any, and all hold room for them.
    options: Option<Box<CallOptions>>,
}

impl RequestBuilder {
    /// Adds to the query.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> Self {
        self.by_reqwest(|request| request.query(query))
    }

    /// Adds a header. The session's key and token replace what is given here for them; other
    /// cookies are kept.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.step(|request| {
            let name = HeaderName::try_from(name).map_err(|error| request_error(error.into()))?;
            let value =
                HeaderValue::try_from(value).map_err(|error| request_error(error.into()))?;
            request.headers_mut().append(name, value);
            Ok(())
        })
    }

    /// Adds headers, replacing those of the same name.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.by_reqwest(|request| request.headers(headers))
    }

    /// A JSON body, and its content type.
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> Self {
        self.by_reqwest(|request| request.json(json))
    }

    /// A form body, and its content type.
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> Self {
        self.by_reqwest(|request| request.form(form))
    }

    /// Any body. One that is a stream is sent once: see [`Replay`].
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        self.step(|request| {
            *request.body_mut() = Some(body.into());
            Ok(())
        })
    }

    /// How long this call may take all told, from connecting to the end of the body. Each sending
    /// has its own, and waiting for a login is not part of it: see
    /// [`ClientBuilder::timeout`](crate::ClientBuilder::timeout).
    pub fn timeout(self, timeout: Duration) -> Self {
        self.step(|request| {
            *request.timeout_mut() = Some(timeout);
            Ok(())
        })
    }

    /// Whether the request may be sent a second time after a 401. Default [`Replay::Idempotent`].
    pub fn replay(mut self, replay: Replay) -> Self {
        self.options_mut().replay = replay;
        self
    }

    /// How long to wait for a login that fair use or a pause holds back. Default zero: fail at
    /// once. Waiting for one that is under way is not counted.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.options_mut().max_wait = max_wait;
        self
    }

    /// The request as it is, without key and token.
    ///
    /// # Errors
    /// [`Error::Path`] or [`Error::Request`].
    pub fn build(self) -> Result<reqwest::Request, Error> {
        self.request.map(|request| *request).map_err(|error| *error)
    }

    /// Sends it. Every response is delivered, whatever its status; a 401 that the session could not
    /// cure carries an [`Unauthorized`](crate::Unauthorized) in its extensions.
    ///
    /// The response is reqwest's own. Reading its body can fail with an error that prints the URL
    /// and its query: `reqwest::Error::without_url` takes them out. This crate's errors never
    /// have them.
    ///
    /// # Errors
    /// [`Error`] when there is no response.
    pub fn send(self) -> impl Future<Output = Result<reqwest::Response, Error>> + Send {
        let Self {
            client,
            request,
            options,
        } = self;
        // An `async fn` would keep its argument twice: memory of each call that waits.
        let mut request = request.map(|request| Some(Outbound::built_here(request)));
        async move {
            match request {
                Ok(ref mut outbound) => Ok(client.drive(outbound, options.as_deref()).await?.0),
                Err(error) => Err(*error),
            }
        }
    }

    fn options_mut(&mut self) -> &mut CallOptions {
        let client = &self.client;
        self.options
            .get_or_insert_with(|| Box::new(client.options().clone()))
    }

    /// A step that sets one thing, where the request is.
    fn step(mut self, step: impl FnOnce(&mut reqwest::Request) -> Result<(), Error>) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(error) = step(request)
        {
            self.request = Err(Box::new(error));
        }
        self
    }

    /// A step that reqwest's own builder knows best how to do. It moves the request three times.
    fn by_reqwest(
        mut self,
        step: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Self {
        self.request = self.request.and_then(|request| {
            let builder = reqwest::RequestBuilder::from_parts(self.client.http().clone(), *request);
            let built = step(builder)
                .build()
                .map_err(|error| request_error(error.without_url()));
            built.map(Box::new).map_err(Box::new)
        });
        self
    }
}

fn request_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Request(Box::new(error))
}
