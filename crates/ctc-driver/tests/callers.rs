//! `Caller` and `AsyncCaller` over a stack in memory: bare paths, the options of one call, bodies
//! in pieces.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use ctc_driver::ctc_core::{Endpoint, SendFailure, Unauthorized};
use ctc_driver::{
    AsyncCaller, AsyncDriver, AsyncTransport, BodyError, BoxFuture, CallError, CallOptions, Caller,
    Driver, LoginRequest, LoginResponse, Outgoing, Replay, Runtime, SessionConfig, SharedSession,
    Transport, TransportError, read_body,
};
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};

#[derive(Debug, thiserror::Error)]
#[error("the line was cut")]
struct Cut;

impl TransportError for Cut {}

/// A server that refuses its first token, answers with what it was sent, and notes where that went.
#[derive(Clone, Default)]
struct Stack(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    logins: u32,
    /// Names of headers that each response has.
    sets: Vec<&'static str>,
    seen: Vec<String>,
    breaks_off: bool,
}

impl Stack {
    fn login(&self) -> LoginResponse {
        let mut state = self.0.lock().unwrap();
        state.logins += 1;
        Response::builder()
            .header("set-cookie", format!("authToken=T{}", state.logins))
            .body(vec![])
            .unwrap()
            .into()
    }

    fn response(&self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        let mut state = self.0.lock().unwrap();
        state
            .seen
            .push(format!("{} {}", request.method(), request.uri()));
        let status = if request.headers()["cookie"] == "authToken=T1" {
            401
        } else {
            200
        };
        let response = Response::builder().status(status).header("x-kept", "yes");
        let sets = state.sets.iter();
        let response = sets.fold(response, |response, name| response.header(*name, "v"));
        response.body(request.into_body()).unwrap()
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }
}

impl Transport for Stack {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = Cut;

    fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Cut> {
        Ok(self.response(request))
    }

    fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, Cut> {
        Ok(self.login())
    }
}

/// A body in frames, each in two pieces of memory.
struct Pieces(VecDeque<Result<Frame<Chain<Bytes, Bytes>>, Cut>>);

impl Pieces {
    fn of(body: &[u8], breaks_off: bool) -> Self {
        let mut frames: VecDeque<_> = body
            .chunks(4)
            .map(|chunk| {
                let (head, tail) = chunk.split_at(chunk.len() / 2);
                Ok(Frame::data(
                    Bytes::copy_from_slice(head).chain(Bytes::copy_from_slice(tail)),
                ))
            })
            .collect();
        frames.push_back(if breaks_off {
            Err(Cut)
        } else {
            Ok(Frame::trailers(HeaderMap::new()))
        });
        Self(frames)
    }
}

impl Body for Pieces {
    type Data = Chain<Bytes, Bytes>;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Cut>>> {
        Poll::Ready(self.0.pop_front())
    }
}

#[async_trait]
impl AsyncTransport for Stack {
    type Request = Request<Vec<u8>>;
    type Response = Response<Pieces>;
    type Error = Cut;

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Pieces>, Cut> {
        let breaks_off = self.0.lock().unwrap().breaks_off;
        Ok(self
            .response(request)
            .map(|body| Pieces::of(&body, breaks_off)))
    }

    async fn read(
        &self,
        response: Response<Pieces>,
        max_body: usize,
    ) -> Result<Response<Vec<u8>>, BodyError> {
        read_body(response, max_body).await
    }

    async fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, Cut> {
        Ok(self.login())
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
    SessionConfig::new()
        .endpoint(Endpoint::eu())
        .app_key("k")
        .credentials("u", "p")
        .build()
        .unwrap()
}

type Fetched = Result<Response<Vec<u8>>, CallError<Cut>>;
type Fetch = Box<dyn Fn(Request<Vec<u8>>) -> Fetched>;

/// Both kinds, each logged in with the token that will be refused.
fn both() -> [(Stack, Fetch); 2] {
    let (one, two) = (Stack::default(), Stack::default());
    let blocking = Driver::new(session(), one.clone(), None);
    blocking.login(&CallOptions::default()).unwrap();
    let asynchronous = AsyncDriver::new(session(), two.clone(), Inline, None);
    asynchronous
        .login(&CallOptions::default())
        .now_or_never()
        .expect("no waiting")
        .unwrap();
    let fetch = move |request| {
        asynchronous
            .fetch(request)
            .now_or_never()
            .expect("no waiting")
    };
    [
        (one, Box::new(move |request| blocking.fetch(request))),
        (two, Box::new(fetch)),
    ]
}

#[test]
fn a_bare_path_goes_to_the_endpoint_and_the_whole_answer_comes_back() {
    for (stack, fetch) in both() {
        let response = fetch(
            Request::put("/devices?pg=1")
                .body(b"whole bodies in and out".to_vec())
                .unwrap(),
        );
        let response = response.unwrap();
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["x-kept"].as_bytes()
            ),
            (200, &b"yes"[..])
        );
        assert_eq!(response.body(), b"whole bodies in and out");
        assert_eq!(
            stack.seen(),
            ["PUT https://connect.calamp.co.uk/devices?pg=1"; 2],
            "and a replay"
        );
    }
}

#[test]
fn options_in_the_extensions_are_for_this_call() {
    for (stack, fetch) in both() {
        let post = || Request::post("/devices").body(b"x".to_vec()).unwrap();
        let response = fetch(post()).unwrap();
        assert_eq!(
            response.extensions().get(),
            Some(&Unauthorized::NotReplayable)
        );
        assert_eq!(stack.seen().len(), 1);
    }
    for (stack, fetch) in both() {
        let mut post = Request::post("/devices").body(b"x".to_vec()).unwrap();
        post.extensions_mut()
            .insert(CallOptions::new().replay(Replay::Always));
        assert_eq!(fetch(post).unwrap().status(), 200);
        assert_eq!(stack.seen().len(), 2);
    }
}

#[test]
fn a_body_that_breaks_off_is_no_answer() {
    let [_, (stack, fetch)] = both();
    stack.0.lock().unwrap().breaks_off = true;
    let response = fetch(
        Request::get("/devices")
            .body(b"half of it".to_vec())
            .unwrap(),
    );
    assert!(matches!(response, Err(CallError::Body(_))), "{response:?}");
}

#[test]
fn a_driver_hands_out_what_it_was_made_of() {
    let (stack, session) = (Stack::default(), session());
    let blocking = Driver::new(session.clone(), stack.clone(), None);
    let asynchronous = AsyncDriver::new(session.clone(), stack.clone(), Inline, None);
    for transport in [blocking.transport(), asynchronous.transport()] {
        assert!(Arc::ptr_eq(&transport.0, &stack.0));
    }
    for shared in [
        blocking.session(),
        blocking.clone().session(),
        asynchronous.session(),
    ] {
        assert_eq!(shared.number(), session.number());
    }
    assert_eq!(session.endpoint(), Endpoint::eu());
    let later = self::session();
    assert!(later.number() > session.number() && session.number() > 0);
}

#[test]
fn options_are_what_was_set() {
    let options = CallOptions::new().max_wait(Duration::from_secs(5));
    assert_eq!(
        (options.replay, options.max_wait),
        (Replay::Idempotent, Duration::from_secs(5))
    );
}

#[test]
fn an_error_of_sockets_says_whether_anything_was_sent() {
    for (kind, failure, told) in [
        (
            io::ErrorKind::ConnectionRefused,
            SendFailure::NotSent,
            "the call was not sent",
        ),
        (
            io::ErrorKind::ConnectionReset,
            SendFailure::MaybeSent,
            "the call got no response",
        ),
        (
            io::ErrorKind::TimedOut,
            SendFailure::MaybeSent,
            "the call got no response",
        ),
    ] {
        let error = io::Error::from(kind);
        assert_eq!(error.failure(), failure, "{kind}");
        assert!(
            CallError::Transport(error).to_string().starts_with(told),
            "{kind}"
        );
    }
}

#[test]
fn the_driver_marks_every_cookie_of_a_response_as_sensitive_and_nothing_else() {
    for names in [
        &["set-cookie", "set-cookie"][..],
        &["set-cookie", "x-other", "set-cookie"],
        &["x-other"],
    ] {
        for (stack, fetch) in both() {
            stack.0.lock().unwrap().sets = names.to_vec();
            let response = fetch(Request::get("/devices").body(vec![]).unwrap()).unwrap();
            assert_eq!(response.headers().len(), 1 + names.len());
            for (name, value) in response.headers() {
                assert_eq!(
                    value.is_sensitive(),
                    name == "set-cookie",
                    "{name} of {names:?}"
                );
            }
        }
    }
}

#[test]
fn a_request_is_known_by_its_path_and_completed_when_it_has_no_host() {
    let mut request = Request::get("/connect/results?q=1").body(()).unwrap();
    assert_eq!(Outgoing::path(&request), "/connect/results");
    request.complete(&Endpoint::us());
    assert_eq!(
        request.uri(),
        "https://connect.calamp.com/connect/results?q=1"
    );
    let mut elsewhere = Request::get("https://elsewhere.example/").body(()).unwrap();
    elsewhere.complete(&Endpoint::us());
    assert_eq!(elsewhere.uri(), "https://elsewhere.example/");
}
