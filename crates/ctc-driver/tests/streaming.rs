//! Responses that are read as they come, over transports of one's own.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{
    AsyncDriver, AsyncStreamingCaller, AsyncTransport, BodyError, BodyStream, BoxAsyncCaller,
    BoxAsyncStreamingCaller, BoxCaller, BoxFuture, BoxStreamingCaller, BoxTransportError,
    CallError, CallFailure, CallOptions, Driver, Failure, LoginRequest, LoginResponse, NotSent,
    Runtime, SessionConfig, SharedSession, StreamingCaller, Transport,
};
use http::{Request, Response};

struct Stack;

fn logged_in() -> LoginResponse {
    let response = Response::builder().header("set-cookie", "authToken=T");
    response.body(vec![]).unwrap().into()
}

/// A body that breaks off after three bytes.
struct Broken(u8);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 3 {
            return Err(io::Error::other("the line is dead"));
        }
        self.0 += 1;
        buffer[0] = self.0;
        Ok(1)
    }
}

impl Transport for Stack {
    type Request = Request<Vec<u8>>;
    type Response = Response<Broken>;
    type Error = io::Error;

    fn send(&self, _: Request<Vec<u8>>) -> io::Result<Response<Broken>> {
        Ok(Response::new(Broken(0)))
    }

    fn send_login(&self, _: LoginRequest) -> io::Result<LoginResponse> {
        Ok(logged_in())
    }
}

#[async_trait]
impl AsyncTransport for Stack {
    type Request = Request<Vec<u8>>;
    type Response = Response<BodyStream>;
    type Error = io::Error;

    async fn send(&self, _: Request<Vec<u8>>) -> io::Result<Response<BodyStream>> {
        Ok(Response::new(BodyStream::new("0123456789".to_owned())))
    }

    async fn send_login(&self, _: LoginRequest) -> io::Result<LoginResponse> {
        Ok(logged_in())
    }
}

struct Smol;

impl Runtime for Smol {
    fn spawn(&self, task: BoxFuture<()>) {
        smol::spawn(task).detach();
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(async move {
            smol::Timer::after(duration).await;
        })
    }
}

fn session() -> SharedSession {
    let config = SessionConfig::new().endpoint(Endpoint::us()).app_key("k");
    config.credentials("u", "p").build().unwrap()
}

/// A call that would be refused a body as a whole one.
fn get() -> Request<Vec<u8>> {
    let mut request = Request::get("/devices").body(vec![]).unwrap();
    request
        .extensions_mut()
        .insert(CallOptions::new().max_body(0));
    request
}

#[test]
fn a_reader_is_handed_out_and_its_error_comes_where_it_breaks_off() {
    let driver = Arc::new(Driver::new(session(), Stack, None));
    let mut body = driver.stream(get()).unwrap().into_body();
    let mut read = Vec::new();
    assert!(body.read_to_end(&mut read).is_err());
    assert_eq!(read, [1, 2, 3]);
}

#[test]
fn a_body_is_handed_out_chunk_by_chunk() {
    let driver = Box::new(AsyncDriver::new(session(), Stack, Smol, None));
    smol::block_on(async {
        let mut body = driver.stream(get()).await.unwrap().into_body();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "0123456789");
        assert!(body.chunk().await.unwrap().is_none());
    });
}

/// A body whose data are not `Bytes` and whose errors are its own.
struct Odd(u8);

impl http_body::Body for Odd {
    type Data = io::Cursor<Vec<u8>>;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, io::Error>>> {
        self.0 += 1;
        std::task::Poll::Ready(Some(match self.0 {
            1 => Ok(http_body::Frame::trailers(http::HeaderMap::new())),
            2 => Ok(http_body::Frame::data(io::Cursor::new(b"two".to_vec()))),
            _ => Err(io::Error::other("the line is dead")),
        }))
    }
}

#[test]
fn a_body_of_any_kind_is_a_stream_that_leaves_out_what_is_no_data() {
    let mut body = BodyStream::new(Odd(0));
    smol::block_on(async {
        assert_eq!(body.chunk().await.unwrap().unwrap(), "two");
        let error = body.chunk().await.unwrap_err();
        assert!(matches!(error, BodyError::BrokeOff(_)), "{error:?}");
    });
}

/// A stack whose server is down: it logs in, and no call arrives.
struct Refused;

impl Transport for Refused {
    type Request = Request<Vec<u8>>;
    type Response = Response<Broken>;
    type Error = io::Error;

    fn send(&self, _: Request<Vec<u8>>) -> io::Result<Response<Broken>> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn send_login(&self, _: LoginRequest) -> io::Result<LoginResponse> {
        Ok(logged_in())
    }
}

#[async_trait]
impl AsyncTransport for Refused {
    type Request = Request<Vec<u8>>;
    type Response = Response<BodyStream>;
    type Error = io::Error;

    async fn send(&self, _: Request<Vec<u8>>) -> io::Result<Response<BodyStream>> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    async fn send_login(&self, _: LoginRequest) -> io::Result<LoginResponse> {
        Ok(logged_in())
    }
}

/// Whether an error is that of a refused connection, and has the client's own error within.
fn is_refusal<T>(result: Result<T, CallError<BoxTransportError>>) -> bool {
    let error = result.err().unwrap();
    let step = matches!(error.failure(), Failure::NotSent(NotSent::Connection));
    let CallError::Transport(error) = error else {
        return false;
    };
    step && error.get_ref().is::<io::Error>()
}

#[test]
fn boxed_callers_of_any_client_stream_and_are_callers_too() {
    let driver = Driver::new(session(), Stack, None);
    let refused = BoxStreamingCaller::new(Driver::new(session(), Refused, None));
    let boxed = BoxStreamingCaller::new(driver.clone());
    let mut body = boxed.stream(get()).unwrap().into_body();
    let mut read = Vec::new();
    assert!(body.read_to_end(&mut read).is_err());
    assert_eq!(read, [1, 2, 3]);
    assert!(is_refusal(refused.stream(get())));
    assert!(is_refusal(BoxCaller::new(refused).fetch(get())));
    driver.session().close();
    assert!(boxed.fetch(get()).unwrap_err().denied().is_some());
}

#[test]
fn boxed_async_callers_of_any_client_stream_and_are_callers_too() {
    let driver = AsyncDriver::new(session(), Stack, Smol, None);
    let refused = AsyncDriver::new(session(), Refused, Smol, None);
    let refused = BoxAsyncStreamingCaller::new(refused);
    let boxed = BoxAsyncStreamingCaller::new(driver.clone());
    smol::block_on(async {
        let mut body = boxed.stream(get()).await.unwrap().into_body();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "0123456789");
        assert!(is_refusal(refused.stream(get()).await));
        assert!(is_refusal(BoxAsyncCaller::new(refused).fetch(get()).await));
        driver.session().close();
        assert!(boxed.fetch(get()).await.unwrap_err().denied().is_some());
    });
}
