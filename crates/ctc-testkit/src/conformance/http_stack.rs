//! Stacks of transports over the types of the crate `http`.

use std::fmt;

use ctc_driver::{AsyncTransport, Runtime, Transport};
use http::{HeaderMap, Method, Request};

use super::{
    runtime,
    stack::{AsyncStack, BlockingStack, BoxError, Certificate, Payload},
};

type Make<T> = Box<dyn Fn() -> T + Send + Sync>;
type MakeTrusting<T> = Box<dyn Fn(Certificate<'_>) -> Option<T> + Send + Sync>;

/// The stack of a transport, blocking or async, that takes an `http::Request` whose body can be
/// made from a `Vec<u8>`, and that reads its own responses (`read`).
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
    /// Creates a stack of the transports that `make` returns, set up as in production. It claims
    /// all capabilities except TLS.
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

    /// Sets how to make a transport that trusts a certificate, which claims TLS.
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

    /// Sets whether a call is sent while another is in progress.
    #[must_use]
    pub fn sends_in_parallel(mut self, in_parallel: bool) -> Self {
        self.sends_in_parallel = in_parallel;
        self
    }
}

/// What both traits ask for alike.
macro_rules! common_methods {
    () => {
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

        fn keeps_connections(&self) -> bool {
            self.keeps_connections
        }

        fn streams(&self) -> bool {
            self.streams
        }

        fn sends_in_parallel(&self) -> bool {
            self.sends_in_parallel
        }
    };
}

impl<T, B> BlockingStack for HttpStack<T>
where
    T: Transport<Request = Request<B>, Response: Send>,
    B: Clone + From<Vec<u8>>,
{
    common_methods!();

    fn read(&self, response: T::Response) -> Result<Vec<u8>, BoxError> {
        let whole = (self.make)().read(response, usize::MAX)?;
        Ok(whole.into_body())
    }
}

impl<T, B> AsyncStack for HttpStack<T>
where
    T: AsyncTransport<Request = Request<B>>,
    B: Clone + From<Vec<u8>> + Send,
{
    common_methods!();

    async fn read(&self, response: T::Response) -> Result<Vec<u8>, BoxError> {
        let whole = (self.make)().read(response, usize::MAX).await?;
        Ok(whole.into_body())
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
