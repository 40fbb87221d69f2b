//! The lock, publish, wait and drop paths of `SharedSession` under a scheduler that tries many
//! orders of threads: no lost wake-up, no deadlock, no torn read. Run by `cargo xtask threads`.
#![cfg(shuttle)]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::__adapter::by_hand;
use ctc_driver::ctc_core::{
    AppKey, Call, Credentials, Denial, Endpoint, Phase, Route, Session, Settings,
};
use ctc_driver::{
    AsyncDriver, AsyncTransport, BoxFuture, CallError, CallFailure, CallOptions, Driver,
    LoginRequest, LoginResponse, Runtime, SharedSession, Transport, TransportError,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use shuttle::sync::atomic::{AtomicU64, Ordering::SeqCst};
use shuttle::{check_dfs, check_pct, check_random, future, thread};

const ORDERS: usize = 2000;

/// A server that lets others run before it answers. Every call after the `good_for`-th is refused
/// once per token.
#[derive(Clone)]
struct Server(Arc<Inner>);

struct Inner {
    logins: AtomicU64,
    calls: AtomicU64,
    /// The newest token that the server knows.
    newest: AtomicU64,
    rotates: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the line is dead")]
struct Dead;
impl TransportError for Dead {}

impl Server {
    fn new(rotates: bool) -> Self {
        let zero = || AtomicU64::new(0);
        Self(Arc::new(Inner {
            logins: zero(),
            calls: zero(),
            newest: zero(),
            rotates,
        }))
    }

    fn login(&self) -> LoginResponse {
        thread::yield_now();
        self.0.logins.fetch_add(1, SeqCst);
        let token = self.0.newest.fetch_add(1, SeqCst) + 1;
        let cookie = format!("authToken=T{token}").parse().expect("valid");
        let headers = HeaderMap::from_iter([(http::header::SET_COOKIE, cookie)]);
        LoginResponse::new(StatusCode::OK, headers)
    }

    fn call(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        thread::yield_now();
        self.0.calls.fetch_add(1, SeqCst);
        let current = self.0.newest.load(SeqCst);
        let good = request.headers()["cookie"] == format!("authToken=T{current}").as_str();
        let mut response = Response::builder().status(if good { 200 } else { 401 });
        if good
            && self.0.rotates
            && self
                .0
                .newest
                .compare_exchange(current, current + 1, SeqCst, SeqCst)
                .is_ok()
        {
            response = response.header("set-cookie", format!("authToken=T{}", current + 1));
        }
        response.body(Vec::new()).expect("valid")
    }

    fn revoke(&self) {
        self.0.newest.fetch_add(1, SeqCst);
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
        future::yield_now().await;
        Ok(self.call(&request))
    }

    async fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, Dead> {
        future::yield_now().await;
        Ok(self.login())
    }
}

/// A thread for each task.
struct Threads;

impl Runtime for Threads {
    fn spawn(&self, task: BoxFuture<()>) {
        thread::spawn(move || future::block_on(task));
    }

    /// No time passes here: what only a timeout would end is a deadlock.
    fn sleep(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

/// Drops every other task, as one that is shutting down, on another thread.
struct Unreliable(AtomicU64);

impl Runtime for Unreliable {
    fn spawn(&self, task: BoxFuture<()>) {
        if self.0.fetch_add(1, SeqCst) % 2 == 0 {
            thread::spawn(move || drop(task));
        } else {
            Threads.spawn(task);
        }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Threads.sleep(duration)
    }
}

fn session() -> SharedSession {
    let credentials = Credentials::new("ada", "s3cret").expect("valid");
    let mut settings = Settings::default();
    settings.fair_use.burst = std::num::NonZeroU32::new(9).expect("not zero");
    let key = AppKey::new("key").expect("valid");
    SharedSession::new(Session::new(Endpoint::us(), key, credentials, settings).expect("valid"))
}

fn get() -> Request<Vec<u8>> {
    Request::get("https://connect.calamp.com/devices")
        .body(Vec::new())
        .expect("valid")
}

fn is_fine_or_closed(response: Result<Response<Vec<u8>>, CallError<Dead>>) -> bool {
    match response {
        Ok(response) => response.status() == 200 || response.status() == 401,
        Err(CallError::Denied(denied)) => *denied.denial() == Denial::Closed,
        Err(_) => false,
    }
}

/// Threads that start without a token: one login, everybody answered.
fn herd(threads: usize) {
    let (server, session) = (Server::new(false), session());
    let driver = Driver::new(session, server.clone(), None);
    let spawn = |_| {
        let driver = driver.clone();
        thread::spawn(move || {
            driver
                .execute(get(), &CallOptions::default())
                .expect("an answer")
                .status()
        })
    };
    let threads: Vec<_> = (0..threads).map(spawn).collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), 200);
    }
    assert_eq!(server.0.logins.load(SeqCst), 1);
}

#[test]
fn a_herd_of_threads_logs_in_once_and_all_are_woken() {
    check_random(|| herd(3), ORDERS);
    check_pct(|| herd(3), ORDERS, 3);
    check_dfs(|| herd(2), Some(20 * ORDERS));
}

/// Tasks that wait for a login which a thread makes, and threads for one which a task makes: none
/// is forgotten.
#[test]
fn tasks_and_threads_wait_for_each_others_login() {
    let world = || {
        let (server, session) = (Server::new(false), session());
        let blocking = Driver::new(session.clone(), server.clone(), None);
        let asynchronous = AsyncDriver::new(session, server.clone(), Threads, None);
        let caller = |number: usize| {
            let (blocking, asynchronous) = (blocking.clone(), asynchronous.clone());
            thread::spawn(move || {
                let options = CallOptions::default();
                let response = match number % 2 {
                    0 => blocking.execute(get(), &options),
                    _ => future::block_on(asynchronous.execute(get(), &options)),
                };
                assert_eq!(response.expect("an answer").status(), 200);
            })
        };
        let callers: Vec<_> = (0..4).map(caller).collect();
        callers
            .into_iter()
            .for_each(|caller| caller.join().expect("no panic"));
        assert_eq!(server.0.logins.load(SeqCst), 1);
    };
    check_random(world, ORDERS);
    check_pct(world, ORDERS, 3);
}

/// The token dies while two threads use it: one login each time, no waiter forgotten.
#[test]
fn a_token_that_dies_under_a_herd_is_renewed_once() {
    let world = || {
        let (server, session) = (Server::new(false), session());
        let driver = Driver::new(session, server.clone(), None);
        assert_eq!(
            driver
                .execute(get(), &CallOptions::default())
                .expect("an answer")
                .status(),
            200
        );
        server.revoke();
        let spawn = |_| {
            let driver = driver.clone();
            thread::spawn(move || is_fine_or_closed(driver.execute(get(), &CallOptions::default())))
        };
        let threads: Vec<_> = (0..3).map(spawn).collect();
        assert!(
            threads
                .into_iter()
                .all(|thread| thread.join().expect("no panic"))
        );
        assert!(server.0.logins.load(SeqCst) <= 2);
    };
    check_random(world, ORDERS);
    check_pct(world, ORDERS, 3);
}

#[test]
fn close_in_mid_flight_lets_all_threads_go() {
    let world = || {
        let (server, session) = (Server::new(false), session());
        let driver = Driver::new(session.clone(), server, None);
        let spawn = |_| {
            let driver = driver.clone();
            thread::spawn(move || is_fine_or_closed(driver.execute(get(), &CallOptions::default())))
        };
        let threads: Vec<_> = (0..2).map(spawn).collect();
        session.close();
        assert!(
            threads
                .into_iter()
                .all(|thread| thread.join().expect("no panic"))
        );
    };
    check_random(world, ORDERS);
    check_pct(world, ORDERS, 3);
    check_dfs(world, Some(20 * ORDERS));
}

/// A pass is one value: generation and token always belong together, while the server rotates.
#[test]
fn no_torn_read_while_tokens_rotate() {
    let world = || {
        let (server, session) = (Server::new(true), session());
        let driver = Driver::new(session.clone(), server, None);
        let reader = thread::spawn(move || {
            let mut newest = 0;
            for _ in 0..6 {
                let (mut call, mut request) = (Call::new(false), get());
                if by_hand::try_stamp(&session, &mut call, &mut request).expect("our origin") {
                    let generation = call.generation().expect("stamped").number();
                    assert_eq!(
                        request.headers()["cookie"],
                        format!("authToken=T{generation}").as_str()
                    );
                    assert!(generation >= newest);
                    newest = generation;
                }
                thread::yield_now();
            }
        });
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let driver = driver.clone();
                thread::spawn(move || drop(driver.execute(get(), &CallOptions::default())))
            })
            .collect();
        reader.join().expect("no torn read");
        callers
            .into_iter()
            .for_each(|caller| caller.join().expect("no panic"));
    };
    check_random(world, ORDERS);
    check_pct(world, ORDERS, 3);
}

/// What calls take without the lock is never older than what the lock guards: a rotation and a
/// close race.
#[test]
fn what_is_published_is_what_the_session_holds() {
    let world = || {
        let session = session();
        let driver = Driver::new(session.clone(), Server::new(false), None);
        driver.login(&CallOptions::default()).expect("a login");
        let mut call = Call::new(true);
        assert_eq!(
            by_hand::try_stamp(&session, &mut call, &mut get()),
            Ok(true)
        );
        let rotation = thread::spawn({
            let session = session.clone();
            move || {
                let response = Response::builder()
                    .header("set-cookie", "authToken=turned")
                    .body(());
                let route = || Route::new(&Method::GET, "/devices");
                let headers = response.expect("valid").headers().clone();
                let _ = by_hand::observe(&session, &mut call, route, StatusCode::OK, &headers);
            }
        });
        session.close();
        rotation.join().expect("no panic");
        assert_eq!(session.phase(), Phase::Closed);
        assert_eq!(
            by_hand::try_stamp(&session, &mut Call::new(true), &mut get()),
            Ok(false),
            "a pass of a closed session"
        );
    };
    check_random(world, ORDERS);
    check_pct(world, ORDERS, 3);
}

/// Tasks on several threads; the elected one is dropped after its first polls. Its login goes on,
/// and the others get its token.
#[test]
fn a_dropped_leader_leaves_its_login_to_the_others() {
    let world = |polls: usize| {
        let (server, session) = (Server::new(false), session());
        let driver = AsyncDriver::new(session, server.clone(), Threads, None);
        let dropped = driver.clone();
        let leader = thread::spawn(move || {
            let options = CallOptions::default();
            future::block_on(Dropped(
                Some(Box::pin(dropped.execute(get(), &options))),
                polls,
            ));
        });
        let others: Vec<_> = (0..2).map(|_| caller(&driver)).collect();
        leader.join().expect("no panic");
        for other in others {
            assert_eq!(other.join().expect("no panic"), 200);
        }
        assert_eq!(server.0.logins.load(SeqCst), 1);
    };
    for polls in 1..=3 {
        check_random(move || world(polls), ORDERS);
        check_pct(move || world(polls), ORDERS, 3);
    }
}

/// A login task that is dropped on another thread gives its login back: its caller alone is denied,
/// another is elected, and nobody is forgotten.
#[test]
fn a_dropped_login_task_leaves_no_waiter_behind() {
    let world = || {
        let (server, session) = (Server::new(false), session());
        let runtime = Unreliable(AtomicU64::new(0));
        let driver = AsyncDriver::new(session, server.clone(), runtime, None);
        let call = |driver: AsyncDriver<Server>| {
            thread::spawn(move || {
                let response = future::block_on(driver.execute(get(), &CallOptions::default()));
                response.map_err(|error| error.denied().map(|it| it.denial().clone()))
            })
        };
        let callers: Vec<_> = (0..3).map(|_| call(driver.clone())).collect();
        let outcomes = callers.into_iter().map(|it| it.join().expect("no panic"));
        let denied: Vec<_> = outcomes.filter_map(Result::err).collect();
        assert!(denied.len() <= 1 && denied.iter().all(|it| *it == Some(Denial::NotRun)));
        assert_eq!(server.0.logins.load(SeqCst), 1);
    };
    check_random(world, ORDERS);
    check_pct(world, ORDERS, 3);
}

/// Clients that go while their login is on its way to a thread: it is sent and reported, or it is
/// not sent. A call made afterwards finds the session usable.
#[test]
fn clients_that_go_leave_a_usable_session() {
    let world = || {
        let (server, session) = (Server::new(false), session());
        let driver = AsyncDriver::new(session.clone(), server.clone(), Threads, None);
        let options = CallOptions::default();
        future::block_on(Dropped(Some(Box::pin(driver.execute(get(), &options))), 1));
        drop(driver);
        let driver = AsyncDriver::new(session, server.clone(), Threads, None);
        let response = caller(&driver).join().expect("no panic");
        assert_eq!(response, 200);
        assert_eq!(server.0.logins.load(SeqCst), 1);
    };
    check_random(world, ORDERS);
    check_pct(world, ORDERS, 3);
}

fn caller(driver: &AsyncDriver<Server>) -> thread::JoinHandle<StatusCode> {
    let driver = driver.clone();
    thread::spawn(move || {
        let response = future::block_on(driver.execute(get(), &CallOptions::default()));
        response.expect("a response").status()
    })
}

/// A future that is let go of after some polls.
struct Dropped<F>(Option<Pin<Box<F>>>, usize);

impl<F: Future> Future for Dropped<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(work) = &mut self.0 else {
            return Poll::Ready(());
        };
        if work.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        self.1 -= 1;
        if self.1 == 0 {
            self.0 = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
