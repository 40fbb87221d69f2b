//! The builder of a request.

use std::time::Duration;

use ctc_driver::{CallOptions, Replay};
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use serde::Serialize;

use crate::body::Body;
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
        let mut request = Box::new(Request::new(()));
        *request.method_mut() = method;
        let wrong = match self.endpoint().join(path.as_ref()) {
            Ok(uri) => {
                *request.uri_mut() = uri;
                None
            }
            Err(error) => Some(Box::new(Error::Path(error))),
        };
        let outbound = Outbound {
            request,
            body: Body::empty(),
            timeout: self.timeout(),
        };
        RequestBuilder {
            client: self.clone(),
            outbound,
            wrong,
            options: self.options().clone(),
        }
    }
}

/// Builds a request and sends it with the session's key and token.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    outbound: Outbound,
    /// The first error, which `send` returns. Boxed, because each step moves the builder.
    wrong: Option<Box<Error>>,
    options: CallOptions,
}

impl RequestBuilder {
    /// Adds to the query.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> Self {
        self.step(|Outbound { request, .. }| {
            let more = serde_urlencoded::to_string(query).map_err(request_error)?;
            let uri = with_query(request.uri(), &more)?;
            *request.uri_mut() = uri;
            Ok(())
        })
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
        self.step(|Outbound { request, .. }| {
            let name = HeaderName::try_from(name).map_err(|error| request_error(error.into()))?;
            let value =
                HeaderValue::try_from(value).map_err(|error| request_error(error.into()))?;
            request.headers_mut().append(name, value);
            Ok(())
        })
    }

    /// Adds headers, replacing those of the same name.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.step(|Outbound { request, .. }| {
            for name in headers.keys() {
                request.headers_mut().remove(name);
            }
            request.headers_mut().extend(headers);
            Ok(())
        })
    }

    /// Sets a JSON body and its content type.
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> Self {
        self.step(|outbound| {
            let body = serde_json::to_vec(json).map_err(request_error)?;
            let json = HeaderValue::from_static("application/json");
            set_body(outbound, body, json);
            Ok(())
        })
    }

    /// Sets a form body and its content type.
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> Self {
        self.step(|outbound| {
            let body = serde_urlencoded::to_string(form).map_err(request_error)?;
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            set_body(outbound, body, form);
            Ok(())
        })
    }

    /// A multipart form, and its content type. It is read into memory, so that it can be sent a
    /// second time, if [`replay`](Self::replay) allows it; for a form of any size give
    /// [`body`](Self::body) a [stream](Body::from_reader).
    ///
    /// The form is ureq's, in a module that ureq calls `unversioned`: it may change with a minor
    /// version of ureq.
    ///
    /// ```no_run
    /// # fn run(client: ctc_ureq::Client) -> Result<(), ctc_ureq::Error> {
    /// use ctc_ureq::ureq::unversioned::multipart::{Form, Part};
    ///
    /// let photo = Part::bytes(&[1, 2, 3]).file_name("truck.png");
    /// let form = Form::new().text("note", "left door").part("photo", photo);
    /// client.post("/connect/test/echo").multipart(form).send()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "multipart")]
    pub fn multipart(self, mut form: ureq::unversioned::multipart::Form<'_>) -> Self {
        use std::io::Read;

        self.step(|outbound| {
            let content_type = format!("multipart/form-data; boundary={}", form.boundary());
            let content_type = HeaderValue::try_from(content_type).map_err(request_error)?;
            let mut body = Vec::new();
            form.read_to_end(&mut body).map_err(request_error)?;
            set_body(outbound, body, content_type);
            Ok(())
        })
    }

    /// Sets any body. A stream is sent only once: see [`Replay`].
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.step(|outbound| {
            outbound.body = body.into();
            Ok(())
        })
    }

    /// Sets the time limit of this call, from connecting to the end of the body. A replay has its
    /// own. It does not limit the wait for a login; [`call_timeout`](Self::call_timeout) does. See
    /// [`ClientBuilder::timeout`](crate::ClientBuilder::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.outbound.timeout = Some(timeout);
        self
    }

    /// Sets the time limit of this whole call, with a replay and the wait for another caller's
    /// login (which [`max_wait`](Self::max_wait) does not limit): see
    /// [`ClientBuilder::call_timeout`](crate::ClientBuilder::call_timeout).
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Sets whether the request may be replayed after a 401. Default [`Replay::Idempotent`].
    pub fn replay(mut self, replay: Replay) -> Self {
        self.options.replay = replay;
        self
    }

    /// Sets how long to wait while no login may be made. Default zero: fail immediately. It does
    /// not limit the wait for another caller's login; [`call_timeout`](Self::call_timeout) does.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.options.max_wait = max_wait;
        self
    }

    /// Returns the request, without key and token. The time limits and options of this builder are
    /// not part of it: [`Client::execute_with`] takes options.
    ///
    /// # Errors
    /// Returns [`Error::Path`] or [`Error::Request`] if the request is not valid.
    pub fn build(self) -> Result<Request<Body>, Error> {
        let Outbound { request, body, .. } = self.outbound;
        self.wrong
            .map_or_else(|| Ok(request.map(|()| body)), |error| Err(*error))
    }

    /// Sends it. Every response is delivered, whatever its status; a 401 that the session could not
    /// recover from has an [`Unauthorized`](crate::Unauthorized) in its extensions.
    ///
    /// # Errors
    /// Returns [`Error`] if there is no response.
    pub fn send(self) -> Result<http::Response<ureq::Body>, Error> {
        match self.wrong {
            None => self.client.send(self.outbound, &self.options),
            Some(error) => Err(*error),
        }
    }

    fn step(mut self, step: impl FnOnce(&mut Outbound) -> Result<(), Error>) -> Self {
        if self.wrong.is_none() {
            self.wrong = step(&mut self.outbound).err().map(Box::new);
        }
        self
    }
}

fn set_body(outbound: &mut Outbound, body: impl Into<Body>, content_type: HeaderValue) {
    let headers = outbound.request.headers_mut();
    headers.entry(CONTENT_TYPE).or_insert(content_type);
    outbound.body = body.into();
}

fn with_query(uri: &Uri, more: &str) -> Result<Uri, Error> {
    if more.is_empty() {
        return Ok(uri.clone());
    }
    let path_and_query = match uri.query() {
        Some(query) if !query.is_empty() => format!("{}?{query}&{more}", uri.path()),
        _ => format!("{}?{more}", uri.path()),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).map_err(request_error)?);
    Uri::from_parts(parts).map_err(request_error)
}

fn request_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Request(Box::new(error))
}
