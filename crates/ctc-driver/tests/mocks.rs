//! Both transports can be mocked, by whoever writes against them.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::ctc_core::{AppKey, Credentials, Endpoint, Session, Settings};
use ctc_driver::{
    AsyncDriver, AsyncTransport, BoxFuture, CallOptions, Driver, LoginRequest, LoginResponse,
    Runtime, SharedSession, Transport, TransportError,
};
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};

/// What a mocked stack fails with.
#[derive(Debug, thiserror::Error)]
#[error("no line")]
pub struct NoLine;

impl TransportError for NoLine {}

mockall::mock! {
    Stack {}

    impl Transport for Stack {
        type Request = Request<Vec<u8>>;
        type Response = Response<Vec<u8>>;
        type Error = NoLine;

        fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, NoLine>;
        fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, NoLine>;
    }
}

mockall::mock! {
    AsyncStack {}

    #[async_trait]
    impl AsyncTransport for AsyncStack {
        type Request = Request<Vec<u8>>;
        type Response = Response<Vec<u8>>;
        type Error = NoLine;

        async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, NoLine>;
        async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, NoLine>;
    }
}

/// Runs a login on the spot, since nothing here has to be waited for.
struct Inline;

impl Runtime for Inline {
    fn spawn(&self, task: BoxFuture<()>) {
        task.now_or_never().expect("no waiting");
    }

    fn sleep(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

fn session() -> SharedSession {
    let credentials = Credentials::new("ada@example.com", "s3cret!").unwrap();
    let key = AppKey::new("my-key").unwrap();
    SharedSession::new(Session::new(Endpoint::us(), key, credentials, Settings::default()).unwrap())
}

fn request() -> Request<Vec<u8>> {
    Request::get("https://connect.calamp.com/connect/services/devices")
        .body(Vec::new())
        .unwrap()
}

fn logged_in() -> LoginResponse {
    Response::builder()
        .header("set-cookie", "authToken=AAAA")
        .body(vec![])
        .unwrap()
        .into()
}

fn has_token(request: &Request<Vec<u8>>) -> bool {
    request
        .headers()
        .get("cookie")
        .is_some_and(|cookie| cookie == "authToken=AAAA")
}

#[test]
fn the_blocking_port_can_be_mocked() {
    let mut stack = MockStack::new();
    let timeout = Settings::default().login_timeout;
    stack
        .expect_send_login()
        .withf(move |login| login.timeout == timeout && login.body_limit == 0)
        .once()
        .return_once(|_| Ok(logged_in()));
    stack
        .expect_send()
        .withf(has_token)
        .times(2)
        .returning(|_| Ok(Response::new(b"[]".to_vec())));
    let driver = Driver::new(session(), stack, None);
    for _ in 0..2 {
        let response = driver.execute(request(), &CallOptions::default()).unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[test]
fn the_asynchronous_port_can_be_mocked() {
    let mut stack = MockAsyncStack::new();
    stack
        .expect_send_login()
        .once()
        .return_once(|_| Ok(logged_in()));
    stack
        .expect_send()
        .withf(has_token)
        .once()
        .returning(|_| Err(NoLine));
    let driver = AsyncDriver::new(session(), stack, Inline, None);
    let response = driver
        .execute(request(), &CallOptions::default())
        .now_or_never()
        .expect("no waiting");
    assert!(
        response
            .unwrap_err()
            .to_string()
            .starts_with("the call got no response")
    );
}
