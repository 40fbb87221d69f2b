//! The builder of a request.

use std::time::Duration;

use ctc_driver::{CallOptions, Replay};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;

use crate::transport::Outbound;
use crate::{Client, Error};

impl Client {
    /// Starts a GET request. `path` begins with `/`, or is an absolute URL on the endpoint.
    pub fn get(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Starts a POST request. It is not replayed unless [`RequestBuilder::replay`] allows it.
    pub fn post(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Starts a PUT request.
    pub fn put(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// Starts a PATCH request. It is not replayed unless [`RequestBuilder::replay`] allows it.
    pub fn patch(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PATCH, path)
    }

    /// Starts a DELETE request.
    pub fn delete(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// Starts a HEAD request.
    pub fn head(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, path)
    }

    /// Starts a request with any method.
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> RequestBuilder {
        let url = self.url(path.as_ref()).map_err(Box::new);
        RequestBuilder {
            client: self.clone(),
            request: url.map(|url| Box::new(reqwest::Request::new(method, url))),
            options: None,
        }
    }
}

/// Builds a request, like `reqwest::RequestBuilder`, and sends it with the session's key and token.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    /// Or the first error. Boxed, because each step moves the builder.
    request: Result<Box<reqwest::Request>, Box<Error>>,
    /// In place of the client's own. Boxed, since few calls have any, and all hold room for them.
    options: Option<Box<CallOptions>>,
}

impl RequestBuilder {
    /// Adds to the query.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> Self {
        self.by_reqwest(|request| request.query(query))
    }

    /// Adds a header. The session's key and token replace values that you set for them; other
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

    /// Sets a JSON body and its content type.
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> Self {
        self.by_reqwest(|request| request.json(json))
    }

    /// Sets a form body and its content type.
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> Self {
        self.by_reqwest(|request| request.form(form))
    }

    /// A multipart form, and its content type. reqwest sends it as a stream, and so once: see
    /// [`Replay`].
    ///
    /// ```no_run
    /// # async fn run(client: ctc_reqwest::Client) -> Result<(), ctc_reqwest::Error> {
    /// use ctc_reqwest::reqwest::multipart::{Form, Part};
    ///
    /// let photo = Part::bytes(vec![1, 2, 3]).file_name("truck.png");
    /// let form = Form::new().text("note", "left door").part("photo", photo);
    /// client.post("/connect/test/echo").multipart(form).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "multipart")]
    pub fn multipart(self, form: reqwest::multipart::Form) -> Self {
        self.by_reqwest(|request| request.multipart(form))
    }

    /// Sets any body. A stream is sent only once: see [`Replay`].
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        self.step(|request| {
            *request.body_mut() = Some(body.into());
            Ok(())
        })
    }

    /// Sets the time limit of this call, from connecting to the end of the body. A replay has its
    /// own. It does not limit the wait for a login; [`call_timeout`](Self::call_timeout) does. See
    /// [`ClientBuilder::timeout`](crate::ClientBuilder::timeout).
    pub fn timeout(self, timeout: Duration) -> Self {
        self.step(|request| {
            *request.timeout_mut() = Some(timeout);
            Ok(())
        })
    }

    /// Sets the time limit of this whole call, with a replay and the wait for another caller's
    /// login (which [`max_wait`](Self::max_wait) does not limit): see
    /// [`ClientBuilder::call_timeout`](crate::ClientBuilder::call_timeout).
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.options_mut().timeout = Some(timeout);
        self
    }

    /// Sets whether the request may be replayed after a 401. Default [`Replay::Idempotent`].
    pub fn replay(mut self, replay: Replay) -> Self {
        self.options_mut().replay = replay;
        self
    }

    /// Sets how long to wait while no login may be made. Default zero: fail immediately. It does
    /// not limit the wait for another caller's login; [`call_timeout`](Self::call_timeout) does.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.options_mut().max_wait = max_wait;
        self
    }

    /// Returns the request, without key and token. The options of this builder (replay, waiting,
    /// `call_timeout`) are not part of it: [`Client::execute_with`] takes options.
    ///
    /// # Errors
    /// Returns [`Error::Path`] or [`Error::Request`] if the request is not valid.
    pub fn build(self) -> Result<reqwest::Request, Error> {
        self.request.map(|request| *request).map_err(|error| *error)
    }

    /// Sends it. Every response is delivered, whatever its status; a 401 that the session could not
    /// recover from has an [`Unauthorized`](crate::Unauthorized) in its extensions.
    ///
    /// The response is reqwest's own. Reading its body can fail with an error that prints the URL
    /// and its query: `reqwest::Error::without_url` removes them. This crate's errors never contain
    /// them.
    ///
    /// # Errors
    /// Returns [`Error`] if there is no response.
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

    /// A step through reqwest's own builder, which moves the request three times.
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
