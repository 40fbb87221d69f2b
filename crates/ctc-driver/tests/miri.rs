//! A few threads and tasks on one session, small enough for Miri, which must let them see the
//! clock: `MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=0..4" cargo +nightly miri test -p
//! ctc-driver --test miri`. Unlike `shuttle.rs` this runs the real `arc-swap` and `event-listener`.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::ctc_core::{AppKey, Credentials, Endpoint, Session, Settings};
use ctc_driver::{
    AsyncDriver, AsyncTransport, BoxFuture, CallOptions, Driver, LoginRequest, LoginResponse,
    Runtime, SharedSession, Transport, TransportError,
};
use http::{HeaderMap, Request, Response, StatusCode};

#[derive(Clone, Default)]
struct Server(Arc<AtomicU64>);

#[derive(Debug, thiserror::Error)]
#[error("the line is dead")]
struct Dead;
impl TransportError for Dead {}

impl Server {
    fn login(&self) -> LoginResponse {
        thread::yield_now();
        let token = self.0.fetch_add(1, SeqCst) + 1;
        let cookie = format!("authToken=T{token}").parse().unwrap();
        let headers = HeaderMap::from_iter([(http::header::SET_COOKIE, cookie)]);
        LoginResponse::new(StatusCode::OK, headers)
    }

    fn call(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        let good =
            request.headers()["cookie"] == format!("authToken=T{}", self.0.load(SeqCst)).as_str();
        Response::builder()
            .status(if good { 200 } else { 401 })
            .body(Vec::new())
            .unwrap()
    }
}

impl Transport for Server {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = Dead;

    fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Dead> {
        Ok(self.call(&request))
    }

    fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, Dead> {
        Ok(self.login())
    }
}

#[async_trait]
impl AsyncTransport for Server {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = Dead;

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Dead> {
        Ok(self.call(&request))
    }

    async fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, Dead> {
        let mut first = true;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::take(&mut first) {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        Ok(self.login())
    }
}

/// A thread for each task, and no timers.
struct Threads;

impl Runtime for Threads {
    fn spawn(&self, task: BoxFuture<()>) {
        thread::spawn(move || block_on(task));
    }

    fn sleep(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

fn session() -> SharedSession {
    let credentials = Credentials::new("ada", "s3cret").unwrap();
    let session = Session::new(
        Endpoint::us(),
        AppKey::new("key").unwrap(),
        credentials,
        Settings::default(),
    );
    SharedSession::new(session.unwrap())
}

fn get() -> Request<Vec<u8>> {
    Request::get("https://connect.calamp.com/devices")
        .body(Vec::new())
        .unwrap()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<R>(work: impl Future<Output = R>) -> R {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut work = Box::pin(work);
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        thread::park();
    }
}

#[test]
fn threads_share_a_login_and_a_renewal() {
    let server = Server::default();
    let driver = Driver::new(session(), server.clone(), None);
    for round in 1..=2 {
        thread::scope(|scope| {
            for _ in 0..3 {
                let call = || {
                    driver
                        .execute(get(), &CallOptions::default())
                        .unwrap()
                        .status()
                };
                scope.spawn(move || assert_eq!(call(), 200));
            }
        });
        assert_eq!(driver.session().counts().logins, round);
        if round == 1 {
            server.0.fetch_add(1, SeqCst); // the token is over
        }
    }
}

#[test]
fn tasks_on_threads_share_a_login_and_one_is_dropped() {
    let driver = AsyncDriver::new(session(), Server::default(), Threads, None);
    {
        let options = CallOptions::default();
        let mut leader = Box::pin(driver.execute(get(), &options));
        // Elected. If the login's thread is quick, the call is done by now.
        let _ = leader
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        thread::scope(|scope| {
            scope.spawn(|| {
                let response = block_on(driver.execute(get(), &CallOptions::default()));
                assert_eq!(response.unwrap().status(), 200);
            });
            drop(leader);
        });
    }
    assert_eq!(driver.session().counts().logins, 1);
}

#[test]
fn close_while_threads_call() {
    let session = session();
    let driver = Driver::new(session.clone(), Server::default(), None);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| drop(driver.execute(get(), &CallOptions::default())));
        }
        session.close();
    });
}
