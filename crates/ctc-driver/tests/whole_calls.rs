//! Whole calls, of any client: which bodies are read, how much of them, and for how long.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{self, Read};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{
    AsyncCaller, AsyncDriver, AsyncTransport, BodyError, BoxAsyncCaller, BoxCaller, BoxFuture,
    CallError, CallFailure, CallOptions, Caller, Driver, Failure, LoginRequest, LoginResponse,
    NotSent, RequestTimeout, Runtime, SessionConfig, SharedSession, Transport, read_from,
};
use futures_util::FutureExt;
use http::{Request, Response};

/// Responds with bodies of any type.
struct Gives<B> {
    body: fn() -> B,
    timeouts: Arc<Mutex<Vec<Option<Duration>>>>,
}

impl<B> Gives<B> {
    fn new(body: fn() -> B) -> Self {
        let timeouts = Arc::default();
        Self { body, timeouts }
    }
}

fn logged_in() -> LoginResponse {
    let response = Response::builder().header("set-cookie", "authToken=T");
    response.body(vec![]).unwrap().into()
}

impl<B: 'static> Transport for Gives<B> {
    type Request = Request<Vec<u8>>;
    type Response = Response<B>;
    type Error = io::Error;

    fn send(&self, request: Request<Vec<u8>>) -> io::Result<Response<B>> {
        let timeout = request.extensions().get().map(|RequestTimeout(time)| *time);
        self.timeouts.lock().unwrap().push(timeout);
        Ok(Response::new((self.body)()))
    }

    fn send_login(&self, _: LoginRequest) -> io::Result<LoginResponse> {
        Ok(logged_in())
    }
}

/// An asynchronous stack with whole bodies, on a runtime of the test's own.
struct Async {
    login_hangs: bool,
    call_hangs: bool,
}

#[async_trait]
impl AsyncTransport for Async {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = io::Error;

    async fn send(&self, _: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        if self.call_hangs {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(b"0123456789".to_vec()))
    }

    async fn send_login(&self, _: LoginRequest) -> io::Result<LoginResponse> {
        if self.login_hangs {
            std::future::pending::<()>().await;
        }
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

fn get(options: CallOptions) -> Request<Vec<u8>> {
    let mut request = Request::get("/devices").body(vec![]).unwrap();
    request.extensions_mut().insert(options);
    request
}

fn fetched<B: 'static>(body: fn() -> B, max_body: usize) -> Result<Vec<u8>, BodyError> {
    let driver = Driver::new(session(), Gives::new(body), None);
    match driver.fetch(get(CallOptions::new().max_body(max_body))) {
        Ok(response) => Ok(response.into_body()),
        Err(CallError::Body(error)) => Err(error),
        Err(error) => unreachable!("{error:?}"),
    }
}

#[test]
fn every_driver_is_a_caller_whatever_its_bodies() {
    fn reader() -> Box<dyn Read + Send> {
        Box::new(io::Cursor::new("0123456789").chain(io::empty()))
    }
    fn breaks_off() -> Box<dyn Read + Send + Sync> {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        Box::new(Broken)
    }
    type Limited = fn(usize) -> Result<Vec<u8>, BodyError>;
    let known: [Limited; 5] = [
        |max| fetched(|| b"0123456789".to_vec(), max),
        |max| fetched(|| Bytes::from("0123456789"), max),
        |max| fetched(|| String::from("0123456789"), max),
        |max| fetched(|| Box::<[u8]>::from(&b"0123456789"[..]), max),
        |max| fetched(reader, max),
    ];
    for read in known {
        assert_eq!(read(10).unwrap(), b"0123456789");
        let error = read(9).unwrap_err();
        assert!(matches!(error, BodyError::TooLong { limit: 9, .. }));
    }
    assert_eq!(fetched(|| (), 0).unwrap(), b"");
    let error = fetched(breaks_off, 10).unwrap_err();
    assert!(matches!(error, BodyError::BrokeOff(_)), "{error:?}");
    // Of a type that nobody knows: the error says what to do.
    let error = fetched(|| 'x', 10).unwrap_err();
    assert!(
        error.to_string().contains("implement its method `read`"),
        "{error}"
    );
}

#[test]
fn a_body_is_read_to_a_default_limit() {
    let endless = |_: ()| Response::new(io::repeat(b'x'));
    let limit = CallOptions::default().max_body;
    assert_eq!(limit, 16 * 1024 * 1024);
    let error = read_from(endless(()), limit).unwrap_err();
    assert!(matches!(error, BodyError::TooLong { .. }), "{error:?}");
}

#[test]
fn an_asynchronous_stack_with_whole_bodies_is_a_caller() {
    let stack = Async {
        login_hangs: false,
        call_hangs: false,
    };
    let driver = AsyncDriver::new(session(), stack, Smol, None);
    let response = smol::block_on(driver.fetch(get(CallOptions::new()))).unwrap();
    assert_eq!(response.body(), b"0123456789");
    let error = smol::block_on(driver.fetch(get(CallOptions::new().max_body(9)))).unwrap_err();
    assert!(matches!(error.failure(), Failure::Body), "{error:?}");
    let pause = driver.sleep(Duration::from_millis(1));
    smol::block_on(pause);
}

#[test]
fn a_call_ends_in_time_and_says_whether_it_was_sent() {
    let timeout = Duration::from_millis(50);
    for (login_hangs, was_sent) in [(true, false), (false, true)] {
        let stack = Async {
            login_hangs,
            call_hangs: true,
        };
        let driver = AsyncDriver::new(session(), stack, Smol, None);
        let error = smol::block_on(driver.fetch(get(CallOptions::new().timeout(timeout))));
        let error = error.unwrap_err();
        let CallError::TimedOut(late) = &error else {
            unreachable!("{error:?}");
        };
        assert_eq!((late.was_sent(), late.limit()), (was_sent, timeout));
        assert_eq!(error.was_sent(), was_sent);
        assert!(was_sent || matches!(error.failure(), Failure::NotSent(NotSent::NoTime)));
    }
}

#[test]
fn a_blocking_transport_is_told_how_much_time_is_left() {
    let transport = Gives::new(Vec::<u8>::new);
    let told = Arc::clone(&transport.timeouts);
    let driver = Driver::new(session(), transport, None);
    driver.fetch(get(CallOptions::new())).unwrap();
    let timeout = Duration::from_secs(60);
    driver
        .fetch(get(CallOptions::new().timeout(timeout)))
        .unwrap();
    let late = driver.fetch(get(CallOptions::new().timeout(Duration::ZERO)));
    assert!(matches!(late, Err(CallError::TimedOut(late)) if !late.was_sent()));
    let told = std::mem::take(&mut *told.lock().unwrap());
    let [None, Some(left)] = told[..] else {
        unreachable!("{told:?}");
    };
    assert!(left <= timeout && left > timeout / 2, "{left:?}");
}

#[test]
fn what_leads_to_a_caller_is_one_and_a_boxed_one_needs_no_type() {
    fn blocking(ctc: impl Caller) -> usize {
        ctc.fetch(get(CallOptions::new())).unwrap().body().len()
    }
    fn asynchronous(ctc: impl AsyncCaller) -> usize {
        let fetched = smol::block_on(ctc.fetch(get(CallOptions::new())));
        fetched.unwrap().body().len()
    }
    let driver = Driver::new(session(), Gives::new(|| "abc".to_owned()), None);
    let boxed = BoxCaller::new(driver.clone());
    assert_eq!(blocking(&driver), 3);
    assert_eq!(blocking(Arc::new(driver.clone())), 3);
    assert_eq!(
        blocking(Box::new(driver) as Box<dyn Caller<Error = io::Error>>),
        3
    );
    assert_eq!(blocking(&boxed), 3);
    assert_eq!(blocking(boxed.clone()), 3);

    let stack = Async {
        login_hangs: false,
        call_hangs: false,
    };
    let driver = AsyncDriver::new(session(), stack, Smol, None);
    let boxed = BoxAsyncCaller::new(driver.clone());
    assert_eq!(asynchronous(&driver), 10);
    assert_eq!(asynchronous(Arc::new(driver.clone())), 10);
    let dynamic = Box::new(driver.clone()) as Box<dyn AsyncCaller<Error = io::Error>>;
    assert_eq!(asynchronous(dynamic), 10);
    assert_eq!(asynchronous(boxed.clone()), 10);
    driver.session().close();
    let error = boxed.fetch(get(CallOptions::new())).now_or_never();
    assert!(error.unwrap().unwrap_err().denied().is_some());
}

#[test]
fn a_boxed_error_says_what_the_clients_own_says() {
    struct Refused;
    impl Transport for Refused {
        type Request = Request<Vec<u8>>;
        type Response = Response<Vec<u8>>;
        type Error = io::Error;

        fn send(&self, _: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
            Err(io::ErrorKind::ConnectionRefused.into())
        }

        fn send_login(&self, _: LoginRequest) -> io::Result<LoginResponse> {
            Ok(logged_in())
        }
    }
    let driver = Driver::new(session(), Refused, None);
    let own = driver.fetch(get(CallOptions::new())).unwrap_err();
    let boxed = BoxCaller::new(driver).fetch(get(CallOptions::new()));
    let boxed = boxed.unwrap_err();
    assert_eq!(format!("{boxed:?}"), format!("{own:?}"));
    let step = boxed.failure();
    assert!(matches!(step, Failure::NotSent(NotSent::Connection)));
    let CallError::Transport(error) = &boxed else {
        unreachable!("{boxed:?}");
    };
    assert!(error.get_ref().downcast_ref::<io::Error>().is_some());
}

#[test]
fn a_token_leaves_the_session_as_a_type_that_says_so() {
    let driver = Driver::new(session(), Gives::new(Vec::<u8>::new), None);
    assert!(driver.session().unprotected_token().is_none());
    driver.fetch(get(CallOptions::new())).unwrap();
    let token = driver.session().unprotected_token().unwrap();
    assert_eq!((token.expose(), token.generation().number()), ("T", 1));
}

#[test]
fn a_blocking_call_that_waits_for_anothers_login_ends_in_time() {
    /// Its logins end when they are told to.
    struct Slow(Mutex<mpsc::Sender<()>>, Mutex<mpsc::Receiver<()>>);
    impl Transport for Slow {
        type Request = Request<Vec<u8>>;
        type Response = Response<Vec<u8>>;
        type Error = io::Error;

        fn send(&self, _: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
            Ok(Response::new(Vec::new()))
        }

        fn send_login(&self, _: LoginRequest) -> io::Result<LoginResponse> {
            self.0.lock().unwrap().send(()).unwrap();
            self.1.lock().unwrap().recv().unwrap();
            Ok(logged_in())
        }
    }
    let (begun, has_begun) = mpsc::channel();
    let (end, ends) = mpsc::channel();
    let driver = Driver::new(session(), Slow(begun.into(), ends.into()), None);
    let elected = driver.clone();
    let elected = thread::spawn(move || elected.fetch(get(CallOptions::new())));
    has_begun.recv().unwrap();
    let (done, is_done) = mpsc::channel();
    let waiting = driver.clone();
    thread::spawn(move || {
        let timeout = Duration::from_millis(50);
        let waited = waiting.fetch(get(CallOptions::new().timeout(timeout)));
        done.send(waited).unwrap();
    });
    let waited = is_done.recv_timeout(Duration::from_secs(10));
    end.send(()).unwrap();
    let error = waited.expect("it waits for the login").unwrap_err();
    assert!(matches!(error, CallError::TimedOut(late) if !late.was_sent()));
    assert!(elected.join().unwrap().is_ok());
}
