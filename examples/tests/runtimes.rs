//! The drivers over the shipped clients on real runtimes: runtimes that shut down during a login,
//! that stop, or that are missing; callers that leave; and user code that panics or calls back.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers are tests too"
)]

use std::error::Error;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use ctc_driver::ctc_core::{Denial, LoginFailure, LoginRule, RecordKey, SessionRecord, Settings};
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, BoxFuture, CallError, CallOptions, Denied, Driver,
    LeaseTerms, MemoryStore, Runtime, SessionConfig, SessionEvent, SharedSession, StoreError,
    Tokio,
};
use ctc_examples::explain;
use ctc_reqwest::Endpoint;
use ctc_store_file::FileStore;
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Rule, Server, When,
};
use ctc_tower::CtcLayer;
use ctc_ureq::UreqTransport;
use futures_util::future::{Either, join_all, select};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Builder, Runtime as TokioRuntime};
use tower::{Layer, Service, ServiceExt, service_fn};

const DEVICES: &str = "/connect/services/devices";

/// The time limit of everything here, far below the lease of a login.
const SOON: Duration = Duration::from_secs(8);

/// The status, or the error.
type Outcome = Result<u16, Failed>;

#[derive(Debug)]
struct Failed {
    denial: Option<Denial>,
    why: String,
}

impl Failed {
    fn new(denied: Option<&Denied>, error: &dyn Error) -> Self {
        Self {
            denial: denied.map(|denied| denied.denial().clone()),
            why: explain(error),
        }
    }
}

/// An asynchronous client, which makes the same call each time.
#[derive(Clone)]
struct Client {
    call: Arc<dyn Fn() -> BoxFuture<Outcome> + Send + Sync>,
    session: SharedSession,
}

impl Client {
    fn call(&self) -> BoxFuture<Outcome> {
        (self.call)()
    }

    /// Starts a call, and returns once it waits, if it has to.
    fn waiting_call(&self, host: &Host) -> BoxFuture<Outcome> {
        let mut call = self.call();
        let poll = |context: &mut Context<'_>| Poll::Ready(call.as_mut().poll(context));
        assert!(host.block_on(poll_fn(poll)).is_pending());
        call
    }
}

/// The settings of clients.
#[derive(Default)]
struct Set {
    runtime: Option<Arc<dyn Runtime>>,
    store: Option<FirstLeaseHangs>,
    max_wait: Duration,
    login_rule: Option<LoginRule>,
    /// With an equally short login timeout.
    lease: Option<Duration>,
}

impl Set {
    fn on(runtime: impl Runtime) -> Self {
        Self {
            runtime: Some(Arc::new(runtime)),
            ..Self::default()
        }
    }

    fn settings(&self, settings: &mut Settings) {
        settings.login_timeout = Duration::from_secs(20);
        if let Some(lease) = self.lease {
            (settings.login_timeout, settings.lease) = (lease / 2, lease);
        }
        settings.login_rule.clone_from(&self.login_rule);
    }

    fn session(&self, server: &Server) -> SharedSession {
        let config = SessionConfig::new().endpoint(endpoint(server));
        let mut config = config.app_key(DEFAULT_APP_KEY);
        self.settings(config.settings_mut());
        config
            .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
            .build()
            .unwrap()
    }
}

fn endpoint(server: &Server) -> Endpoint {
    Endpoint::danger_plain_http(&server.url()).unwrap()
}

type Build = fn(&Server, Set) -> Client;

fn reqwest_builder(server: &Server) -> ctc_reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    ctc_reqwest::Client::builder()
        .endpoint(endpoint(server))
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
}

fn reqwest(server: &Server, set: Set) -> Client {
    let mut builder = reqwest_builder(server)
        .max_wait(set.max_wait)
        .settings(|settings| set.settings(settings));
    if let Some(runtime) = set.runtime {
        builder = builder.runtime(runtime);
    }
    if let Some(store) = set.store {
        builder = builder.store(store);
    }
    let client = builder.build().unwrap();
    let session = client.session().clone();
    let call = move || -> BoxFuture<Outcome> {
        let client = client.clone();
        Box::pin(async move {
            match client.get(DEVICES).send().await {
                Ok(response) => Ok(response.status().as_u16()),
                Err(ctc_reqwest::Error::Denied(denied)) => Err(Failed::new(Some(&denied), &denied)),
                Err(error) => Err(Failed::new(None, &error)),
            }
        })
    };
    Client {
        call: Arc::new(call),
        session,
    }
}

/// The layer over hyper.
fn tower(server: &Server, set: Set) -> Client {
    let hyper: Hyper<_, Full<Bytes>> = Hyper::builder(TokioExecutor::new()).build_http();
    layered(server, set, hyper)
}

/// The layer over a service that needs no runtime: ureq, on threads for blocking work.
fn tower_over_threads(server: &Server, set: Set) -> Client {
    let agent = ctc_ureq::http_client_builder().build().new_agent();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let agent = agent.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap_or_default().to_bytes();
            let request = Request::from_parts(parts, body.to_vec());
            smol::unblock(move || {
                let (parts, mut body) = agent.run(request)?.into_parts();
                let body = Full::new(Bytes::from(body.read_to_vec()?));
                Ok::<_, ctc_ureq::ureq::Error>(Response::from_parts(parts, body))
            })
            .await
        }
    });
    layered(server, set, service)
}

fn layered<S, R>(server: &Server, set: Set, service: S) -> Client
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<tower::BoxError> + Send + Sync,
    S::Future: Send,
    R: hyper::body::Body<Data: Send, Error: Into<tower::BoxError>> + Send + 'static,
{
    let session = set.session(server);
    let options = CallOptions::new().max_wait(set.max_wait);
    let mut layer = CtcLayer::new(session.clone()).options(options);
    if let Some(runtime) = set.runtime {
        layer = layer.runtime(runtime);
    }
    if let Some(store) = set.store {
        layer = layer.store(store);
    }
    let service = layer.layer(service);
    let call = move || -> BoxFuture<Outcome> {
        let service = service.clone();
        Box::pin(async move {
            let request = Request::get(DEVICES).body(Full::default()).unwrap();
            match service.oneshot(request).await {
                Ok(response) => Ok(response.status().as_u16()),
                Err(error) => Err(failed(&error)),
            }
        })
    };
    Client {
        call: Arc::new(call),
        session,
    }
}

fn failed<E: ctc_driver::TransportError>(error: &CallError<E>) -> Failed {
    let denied = match error {
        CallError::Denied(denied) => Some(denied),
        _ => None,
    };
    Failed::new(denied, error)
}

/// A blocking client of a shared session.
fn ureq(session: &SharedSession) -> impl Fn() -> Outcome + Clone + Send + Sync + use<> {
    let transport = UreqTransport::from_config(ctc_ureq::http_client_builder().build());
    let driver = Driver::new(session.clone(), transport, None);
    move || {
        let request = Request::get(DEVICES).body(()).unwrap();
        let request = ctc_ureq::Outbound::new(request);
        match driver.execute(request, &CallOptions::default()) {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) => Err(failed(&error)),
        }
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

/// The runtime of the callers.
enum Host {
    Tokio(TokioRuntime),
    Smol,
}

impl Host {
    fn multi_thread() -> Self {
        let mut builder = Builder::new_multi_thread();
        Self::Tokio(builder.worker_threads(2).enable_all().build().unwrap())
    }

    fn current_thread() -> Self {
        Self::Tokio(Builder::new_current_thread().enable_all().build().unwrap())
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        match self {
            Self::Tokio(_) => Arc::new(Tokio::current()),
            Self::Smol => Arc::new(Smol),
        }
    }

    fn block_on<R>(&self, future: impl Future<Output = R>) -> R {
        match self {
            Self::Tokio(runtime) => runtime.block_on(future),
            Self::Smol => smol::block_on(future),
        }
    }

    /// Runs a task beside what [`block_on`](Self::block_on) runs.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let _entered = match self {
            Self::Tokio(runtime) => Some(runtime.enter()),
            Self::Smol => None,
        };
        self.runtime().spawn(Box::pin(future));
    }

    /// `None` after `limit`.
    fn within<R>(&self, limit: Duration, future: impl Future<Output = R>) -> Option<R> {
        self.block_on(async {
            match select(pin!(future), self.runtime().sleep(limit)).await {
                Either::Left((result, _)) => Some(result),
                Either::Right(_) => None,
            }
        })
    }

    fn soon<R>(&self, future: impl Future<Output = R>) -> R {
        self.within(SOON, future).expect("done soon")
    }

    /// Keeps running until a condition holds.
    fn run_until(&self, holds: impl Fn() -> bool) {
        self.soon(async {
            while !holds() {
                self.runtime().sleep(Duration::from_millis(2)).await;
            }
        });
    }
}

/// A client on a runtime, and its server.
struct Stack {
    server: Server,
    host: Host,
    build: Build,
}

impl Stack {
    fn new(host: Host, build: Build) -> Self {
        Self {
            server: Server::start().unwrap(),
            host,
            build,
        }
    }

    /// A client whose logins run on its caller's runtime.
    fn client(&self, mut set: Set) -> Client {
        set.runtime.get_or_insert_with(|| self.host.runtime());
        (self.build)(&self.server, set)
    }
}

/// One test for each stack.
macro_rules! on_every_stack {
    ($($(#[$doc:meta])* fn $name:ident($stack:ident: Stack) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            fn check($stack: Stack) $body

            #[test]
            fn reqwest_on_many_threads() {
                check(Stack::new(Host::multi_thread(), reqwest));
            }

            #[test]
            fn reqwest_on_one_thread() {
                check(Stack::new(Host::current_thread(), reqwest));
            }

            #[test]
            fn tower_on_many_threads() {
                check(Stack::new(Host::multi_thread(), tower));
            }

            #[test]
            fn tower_on_one_thread() {
                check(Stack::new(Host::current_thread(), tower));
            }

            #[test]
            fn tower_on_smol() {
                check(Stack::new(Host::Smol, tower_over_threads));
            }
        }
    )*};
}

fn hold_logins(server: &Server) {
    let hold = Fault::Hold { when: When::Before };
    server.inject(Rule::once(Matcher::Login, hold));
}

fn is_login_held(server: &Server) -> bool {
    server.counts().held == 1
}

/// On each client that needs a runtime, and on both kinds of runtimes.
fn on_tokio(check: impl Fn(Stack)) {
    for build in [reqwest as Build, tower] {
        for host in [Host::current_thread, Host::multi_thread] {
            check(Stack::new(host(), build));
        }
    }
}

on_every_stack! {
    /// Callers with short deadlines, one after another, share one login, however long it takes.
    fn callers_that_leave_change_nothing(stack: Stack) {
        let client = stack.client(Set::default());
        hold_logins(&stack.server);
        for _ in 0..30 {
            let limit = Duration::from_millis(50);
            assert!(stack.host.within(limit, client.call()).is_none());
        }
        stack.host.run_until(|| is_login_held(&stack.server));
        stack.server.release();
        assert_eq!(stack.host.soon(client.call()).unwrap(), 200);
        let counts = (stack.server.counts(), client.session.counts());
        assert_eq!((counts.0.login_requests, counts.1.denied), (1, 0));
    }

    /// If a rule panics, the status decides what the login's response means, and all waiting
    /// callers get the result immediately.
    fn a_rule_that_panics_blocks_no_caller(stack: Stack) {
        for (status, rejected) in [(401, true), (503, false)] {
            let rule = LoginRule::new(|_| panic!("a rule that panics, as this test wants it"));
            let set = Set { login_rule: Some(rule), ..Set::default() };
            let client = stack.client(set);
            hold_logins(&stack.server);
            stack.server.inject(Rule::once(Matcher::Login, Fault::status(status)));
            stack.server.reset_journal();
            let herd: Vec<_> = (0..20).map(|_| client.waiting_call(&stack.host)).collect();
            let threads = on_threads(20, ureq(&client.session));
            stack.host.run_until(|| is_login_held(&stack.server));
            stack.server.release();
            let outcomes = stack.host.soon(join_all(herd));
            let outcomes = outcomes.into_iter().chain(threads.into_iter().map(joined));
            for outcome in outcomes {
                match outcome.unwrap_err().denial.unwrap() {
                    Denial::Rejected { status, .. } => assert!(rejected && status == 401),
                    Denial::BackingOff { cause: LoginFailure::Unavailable { .. }, .. } => {
                        assert!(!rejected);
                    }
                    other => panic!("{other}"),
                }
            }
            assert_eq!(stack.server.counts().login_requests, 1);
        }
    }

    /// A task that an observer spawns when a login is sent waits for that login like other callers.
    /// A call in the observer itself would wait for itself, and is denied.
    fn an_observers_calls_do_not_wait_for_themselves(stack: Stack) {
        let client = stack.client(Set::default());
        let blocking = ureq(&client.session);
        let (spot, spawned) = (Arc::new(Mutex::new(Vec::new())), Arc::new(OnceLock::new()));
        let (at_once, later, again) = (Arc::clone(&spot), Arc::clone(&spawned), client.clone());
        let runtime = stack.host.runtime();
        client.session.set_observer(move |_: &SharedSession, event: &SessionEvent<'_>| {
            if matches!(event, SessionEvent::LoginSent) {
                let (call, later) = (again.call(), Arc::clone(&later));
                runtime.spawn(Box::pin(async move {
                    later.set(call.await).unwrap();
                }));
                let mut at_once = at_once.lock().unwrap();
                at_once.push(blocking());
                at_once.push(smol::future::block_on(again.call()));
            }
        });
        hold_logins(&stack.server);
        let first = client.waiting_call(&stack.host);
        stack.host.run_until(|| is_login_held(&stack.server));
        // It was denied while the login was still in progress.
        for outcome in spot.lock().unwrap().drain(..) {
            assert_eq!(outcome.unwrap_err().denial, Some(Denial::InsideLogin));
        }
        assert!(spawned.get().is_none());
        stack.server.release();
        assert_eq!(stack.host.soon(first).unwrap(), 200);
        stack.host.run_until(|| spawned.get().is_some());
        assert!(matches!(spawned.get(), Some(Ok(200))), "{:?}", spawned.get());
        assert_eq!(stack.server.counts().login_requests, 1);
    }
}

fn on_threads(
    count: usize,
    call: impl Fn() -> Outcome + Clone + Send + 'static,
) -> Vec<thread::JoinHandle<Outcome>> {
    (0..count).map(|_| thread::spawn(call.clone())).collect()
}

fn joined(thread: thread::JoinHandle<Outcome>) -> Outcome {
    let began = Instant::now();
    while !thread.is_finished() {
        assert!(began.elapsed() < SOON, "a thread still waits");
        thread::sleep(Duration::from_millis(2));
    }
    thread.join().unwrap()
}

/// A store that never grants its first lease.
#[derive(Clone, Default)]
struct FirstLeaseHangs {
    store: MemoryStore,
    is_asked: Arc<AtomicBool>,
}

#[async_trait]
impl AsyncSessionStore for FirstLeaseHangs {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        if !self.is_asked.swap(true, Ordering::SeqCst) {
            pending::<()>().await;
        }
        AsyncSessionStore::lease(&self.store, key, terms).await
    }
}

/// Other callers that wait for the login of a runtime: a task of another runtime, and a thread.
struct Others {
    host: Host,
    task: BoxFuture<Outcome>,
    thread: thread::JoinHandle<Outcome>,
}

impl Others {
    fn wait_for(client: &Client) -> Self {
        let host = Host::multi_thread();
        let task = client.waiting_call(&host);
        let mut threads = on_threads(1, ureq(&client.session));
        Self {
            host,
            task,
            thread: threads.remove(0),
        }
    }

    fn are_served(self) {
        assert_eq!(self.host.soon(self.task).unwrap(), 200);
        assert_eq!(joined(self.thread).unwrap(), 200);
    }
}

/// The login was sent and may have taken effect, so it costs one more.
#[test]
fn a_runtime_that_shuts_down_during_a_login_costs_one_more_login() {
    on_tokio(|stack| {
        let client = stack.client(Set::default());
        hold_logins(&stack.server);
        let call = client.waiting_call(&stack.host);
        stack.host.run_until(|| is_login_held(&stack.server));
        let others = Others::wait_for(&client);
        stack.host.spawn(async move { drop(call.await) });
        drop(stack.host);
        others.are_served();
        let counts = (stack.server.counts(), client.session.counts());
        assert_eq!((counts.0.login_requests, counts.1.denied), (2, 0));
    });
}

/// Nothing was sent yet, so it costs nothing.
#[test]
fn a_runtime_that_shuts_down_while_the_store_is_asked_costs_nothing() {
    on_tokio(|stack| {
        let store = FirstLeaseHangs::default();
        let is_asked = Arc::clone(&store.is_asked);
        let client = stack.client(Set {
            store: Some(store),
            ..Set::default()
        });
        let call = client.waiting_call(&stack.host);
        stack.host.run_until(|| is_asked.load(Ordering::SeqCst));
        let others = Others::wait_for(&client);
        stack.host.spawn(async move { drop(call.await) });
        drop(stack.host);
        others.are_served();
        let counts = (stack.server.counts(), client.session.counts());
        assert_eq!((counts.0.login_requests, counts.1.denied), (1, 0));
    });
}

/// If the login's runtime continues, the end of a caller's runtime does not affect the login.
#[test]
fn a_login_on_another_runtime_outlives_its_callers_runtime() {
    on_tokio(|stack| {
        let living = TokioRuntime::new().unwrap();
        let client = stack.client(Set::on(Tokio::on(living.handle().clone())));
        hold_logins(&stack.server);
        let call = client.waiting_call(&stack.host);
        stack.host.run_until(|| is_login_held(&stack.server));
        let others = Others::wait_for(&client);
        drop(call);
        drop(stack.host);
        stack.server.release();
        others.are_served();
        let counts = (stack.server.counts(), client.session.counts());
        assert_eq!((counts.0.login_requests, counts.1.denied), (1, 0));
    });
}

/// The elected caller is never polled again: its login runs all the same, and a waiting thread gets
/// its result when it ends, not when its lease expires.
#[test]
fn a_thread_is_served_when_a_tasks_login_ends() {
    for (host, build) in [
        (Host::multi_thread(), reqwest as Build),
        (Host::multi_thread(), tower),
        (Host::Smol, tower_over_threads),
    ] {
        let stack = Stack::new(host, build);
        let client = stack.client(Set::default());
        hold_logins(&stack.server);
        let never_polled_again = client.waiting_call(&stack.host);
        stack
            .server
            .wait_until(|counts| counts.held == 1, SOON)
            .unwrap();
        let threads = on_threads(5, ureq(&client.session));
        stack.server.release();
        for thread in threads {
            assert_eq!(joined(thread).unwrap(), 200);
        }
        assert_eq!(stack.server.counts().login_requests, 1);
        assert_eq!(stack.host.soon(never_polled_again).unwrap(), 200);
    }
}

/// The same in the other direction.
#[test]
fn a_task_is_served_when_a_threads_login_ends() {
    on_tokio(|stack| {
        let client = stack.client(Set::default());
        hold_logins(&stack.server);
        let threads = on_threads(1, ureq(&client.session));
        stack
            .server
            .wait_until(|counts| counts.held == 1, SOON)
            .unwrap();
        let task = client.waiting_call(&stack.host);
        stack.server.release();
        assert_eq!(stack.host.soon(task).unwrap(), 200);
        for thread in threads {
            assert_eq!(joined(thread).unwrap(), 200);
        }
        assert_eq!(stack.server.counts().login_requests, 1);
    });
}

/// Three ways to run a future without tokio, one of them without a timer or reactor.
fn block_on_by_hand<R>(future: impl Future<Output = R>) -> R {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

const OUTSIDE: [fn(BoxFuture<Outcome>) -> Outcome; 3] =
    [block_on_by_hand, smol::block_on, smol::future::block_on];

/// Without a runtime, or with one that has ended or that nothing runs: the call fails with that
/// reason, whether or not it may wait. No other caller is denied: a thread logs in immediately.
#[test]
fn a_call_whose_runtime_does_not_run_says_so_and_denies_no_other() {
    let gone = TokioRuntime::new().unwrap().handle().clone();
    let idle = Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::start().unwrap();
    let mut threads = Vec::new();
    let runtimes = [
        (Tokio::current(), 3),
        (Tokio::on(gone), 3),
        (Tokio::on(idle.handle().clone()), 1),
    ];
    for (runtime, callers) in runtimes {
        for build in [reqwest as Build, tower, tower_over_threads] {
            for block_on in OUTSIDE {
                for max_wait in [0, 1] {
                    let set = Set {
                        max_wait: Duration::from_secs(max_wait),
                        lease: Some(Duration::from_secs(2)),
                        ..Set::on(runtime.clone())
                    };
                    let client = build(&server, set);
                    let session = client.session.clone();
                    // Several at once: the callers that are not elected wait for the one that is.
                    let calls = on_threads(callers, move || block_on(client.call()));
                    threads.push((calls, session));
                }
            }
        }
    }
    for (calls, session) in threads {
        for thread in calls {
            let error = joined(thread).unwrap_err();
            assert!(error.why.contains("Tokio::on"), "{}", error.why);
            assert_eq!(error.denial, Some(Denial::NotRun));
        }
        assert_eq!(session.counts().logins, 0);
        assert_eq!(ureq(&session)().unwrap(), 200);
    }
}

/// A file store whose saves are slow.
struct SlowSaves(FileStore);

struct SlowLease(Box<dyn AsyncStoreLease>);

#[async_trait]
impl AsyncSessionStore for SlowSaves {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        let lease = AsyncSessionStore::lease(&self.0, key, terms).await?;
        Ok(Box::new(SlowLease(lease)))
    }
}

#[async_trait]
impl AsyncStoreLease for SlowLease {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        self.0.load().await
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.save(record).await
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.0.release().await
    }
}

/// A program that ends after its first call: the next one finds the token in the store.
#[test]
fn the_token_of_a_program_that_makes_one_call_is_saved() {
    for host in [Host::current_thread, Host::multi_thread] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start().unwrap();
        for _ in 0..2 {
            let store = SlowSaves(FileStore::at(folder.path()));
            let client = reqwest_builder(&server).store(store).build().unwrap();
            let host = host();
            let response = host.block_on(client.get(DEVICES).send()).unwrap();
            assert_eq!(response.status(), 200);
        }
        assert_eq!(server.counts().login_requests, 1);
    }
}
