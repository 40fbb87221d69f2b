//! Stacks of transports that take and give what most do: the requests of `http`.

use std::fmt;

use ctc_driver::{AsyncTransport, Runtime, Transport};
use http::{HeaderMap, Method, Request};

use super::{
    runtime,
    stack::{AsyncStack, BlockingStack, BoxError, Certificate, Payload},
};

type Make<T> = Box<dyn Fn() -> T + Send + Sync>;
type MakeTrusting<T> = Box<dyn Fn(Certificate<'_>) -> Option<T> + Send + Sync>;

/// The stack of a transport, blocking or async, that takes an `http::Request` with a body made from
/// a `Vec<u8>`, and whose port reads its responses (`read`): what a library over CTC asks for, too.
///
/// ```no_run
/// use ctc_testkit::conformance::{HttpStack, Suite};
/// # use ctc_driver::{LoginRequest, LoginResponse, Transport};
/// # use http::{Request, Response};
/// # struct MyTransport;
/// # impl Transport for MyTransport {
/// #     type Request = Request<Vec<u8>>;
/// #     type Response = Response<Vec<u8>>;
/// #     type Error = std::io::Error;
/// #     fn send(&self, _: Request<Vec<u8>>) -> std::io::Result<Response<Vec<u8>>> {
/// #         Err(std::io::ErrorKind::Unsupported.into())
/// #     }
/// #     fn send_login(&self, _: LoginRequest) -> std::io::Result<LoginResponse> {
/// #         Err(std::io::ErrorKind::Unsupported.into())
/// #     }
/// # }
/// let stack = HttpStack::new(|| MyTransport).streams(false);
/// Suite::blocking(stack).run().assert_passed();
/// ```
pub struct HttpStack<T> {
    make: Make<T>,
    make_trusting: MakeTrusting<T>,
    make_runtime: Make<Box<dyn Runtime>>,
    keeps_connections: bool,
    streams: bool,
    sends_in_parallel: bool,
}

impl<T> HttpStack<T> {
    /// The stack of the transports that `make` makes, set up as the product sets them up. It claims
    /// everything but TLS.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            make_trusting: Box::new(|_| None),
            make_runtime: Box::new(runtime::tokio),
            keeps_connections: true,
            streams: true,
            sends_in_parallel: true,
        }
    }

    /// Sets how a transport is made that trusts a certificate.
    #[must_use]
    pub fn trusting(mut self, make: impl Fn(Certificate<'_>) -> T + Send + Sync + 'static) -> Self {
        self.make_trusting = Box::new(move |certificate| Some(make(certificate)));
        self
    }

    /// Sets where the futures of an async stack run: see [`AsyncStack::runtime`].
    #[must_use]
    pub fn runtime<R: Runtime>(mut self, make: impl Fn() -> R + Send + Sync + 'static) -> Self {
        self.make_runtime = Box::new(move || Box::new(make()));
        self
    }

    /// Sets whether a connection serves several calls.
    #[must_use]
    pub fn keeps_connections(mut self, keeps: bool) -> Self {
        self.keeps_connections = keeps;
        self
    }

    /// Sets whether a response is delivered before its body has arrived.
    #[must_use]
    pub fn streams(mut self, streams: bool) -> Self {
        self.streams = streams;
        self
    }

    /// Sets whether a call goes out while another is under way.
    #[must_use]
    pub fn sends_in_parallel(mut self, in_parallel: bool) -> Self {
        self.sends_in_parallel = in_parallel;
        self
    }
}

fn request<B: From<Vec<u8>>>(
    method: Method,
    url: &str,
    headers: HeaderMap,
    payload: Payload,
) -> Option<Request<B>> {
    let body = match payload {
        Payload::Empty => Vec::new(),
        Payload::Bytes(bytes) => bytes,
        Payload::Stream(_) => return None,
    };
    let request = Request::builder().method(method).uri(url);
    let mut request = request.body(B::from(body)).ok()?;
    *request.headers_mut() = headers;
    Some(request)
}

impl<T, B> BlockingStack for HttpStack<T>
where
    T: Transport<Request = Request<B>, Response: Send>,
    B: Clone + From<Vec<u8>>,
{
    type Transport = T;

    fn transport(&self) -> T {
        (self.make)()
    }

    fn transport_trusting(&self, certificate: Certificate<'_>) -> Option<T> {
        (self.make_trusting)(certificate)
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<Request<B>> {
        request(method, url, headers, payload)
    }

    fn read(&self, response: T::Response) -> Result<Vec<u8>, BoxError> {
        let whole = (self.make)().read(response, usize::MAX)?;
        Ok(whole.into_body())
    }

    fn keeps_connections(&self) -> bool {
        self.keeps_connections
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn sends_in_parallel(&self) -> bool {
        self.sends_in_parallel
    }
}

impl<T, B> AsyncStack for HttpStack<T>
where
    T: AsyncTransport<Request = Request<B>>,
    B: Clone + From<Vec<u8>> + Send,
{
    type Transport = T;

    fn transport(&self) -> T {
        (self.make)()
    }

    fn transport_trusting(&self, certificate: Certificate<'_>) -> Option<T> {
        (self.make_trusting)(certificate)
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<Request<B>> {
        request(method, url, headers, payload)
    }

    async fn read(&self, response: T::Response) -> Result<Vec<u8>, BoxError> {
        let whole = (self.make)().read(response, usize::MAX).await?;
        Ok(whole.into_body())
    }

    fn keeps_connections(&self) -> bool {
        self.keeps_connections
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn sends_in_parallel(&self) -> bool {
        self.sends_in_parallel
    }

    fn runtime(&self) -> Box<dyn Runtime> {
        (self.make_runtime)()
    }
}

impl<T> fmt::Debug for HttpStack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStack")
            .field("keeps_connections", &self.keeps_connections)
            .field("streams", &self.streams)
            .field("sends_in_parallel", &self.sends_in_parallel)
            .finish_non_exhaustive()
    }
}
