//! The two transports to the scripted server, and the requests that they take.

use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::ctc_core::{SendFailure, Target};
use ctc_driver::{
    AsyncTransport, LoginRequest, LoginResponse, Outgoing, Transport, TransportError,
};
use http::{HeaderMap, Method, Request, Response};

use super::clock::VirtualClock;
use super::run::give_way;
use super::server::{OnTheWire, Reply, Server};

pub(crate) const HOST: &str = "https://connect.calamp.com";

/// A request whose body is bytes or, for the session, a stream.
#[derive(Debug)]
pub(crate) struct Req {
    pub(crate) inner: Request<Vec<u8>>,
    stream: bool,
}

impl Req {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let inner = Request::builder()
            .method(method)
            .uri(format!("{HOST}{path}"))
            .body(Vec::new());
        Self {
            inner: inner.expect("a request"),
            stream: false,
        }
    }

    pub(crate) fn to(url: &str) -> Self {
        Self {
            inner: Request::get(url).body(Vec::new()).expect("a request"),
            stream: false,
        }
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        *self.inner.body_mut() = body.to_vec();
        self
    }

    pub(crate) fn stream(mut self) -> Self {
        self.stream = true;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.inner
            .headers_mut()
            .append(name, http::HeaderValue::from_static(value));
        self
    }
}

impl Outgoing for Req {
    type ReplayCopy = Self;

    fn method(&self) -> &Method {
        self.inner.method()
    }

    fn target(&self) -> Target<'_> {
        Target::from(self.inner.uri())
    }

    fn path(&self) -> &str {
        self.inner.uri().path()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.inner.headers_mut()
    }

    fn replay_copy(&self) -> Option<Self> {
        (!self.stream).then(|| Self {
            inner: self.inner.clone(),
            stream: false,
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the wire was cut")]
pub(crate) struct Cut(SendFailure);

impl TransportError for Cut {
    fn failure(&self) -> SendFailure {
        self.0
    }
}

/// The blocking twin. A hanging login lets virtual time pass until its timeout.
#[derive(Clone)]
pub(crate) struct Blocking(pub(crate) Server, pub(crate) VirtualClock);

/// The asynchronous twin. A hanging login never ends by itself.
#[derive(Clone)]
pub(crate) struct Async(pub(crate) Server);

impl Blocking {
    fn finish(&self, wire: &OnTheWire, timeout: Duration) -> Result<Response<String>, Cut> {
        match wire.reply() {
            Reply::Answer(response) => Ok(response),
            Reply::NotSent => Err(Cut(SendFailure::NotSent)),
            Reply::MaybeSent => Err(Cut(SendFailure::MaybeSent)),
            Reply::Panic => panic!("the HTTP stack has a bug"),
            Reply::Hang => {
                self.1.advance(timeout);
                Err(Cut(SendFailure::MaybeSent))
            }
        }
    }
}

impl Transport for Blocking {
    type Request = Req;
    type Response = Response<String>;
    type Error = Cut;

    fn send(&self, request: Req) -> Result<Response<String>, Cut> {
        let request = request.inner;
        let wire = self
            .0
            .arrive_call(request.uri().path(), request.headers(), request.body());
        wire.pass_blocking();
        self.finish(&wire, Duration::ZERO)
    }

    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, Cut> {
        let wire = self.0.arrive(&login.request);
        wire.pass_blocking();
        self.finish(&wire, login.timeout).map(LoginResponse::from)
    }
}

async fn finish(wire: &OnTheWire) -> Result<Response<String>, Cut> {
    match wire.reply() {
        Reply::Answer(response) => Ok(response),
        Reply::NotSent => Err(Cut(SendFailure::NotSent)),
        Reply::MaybeSent => Err(Cut(SendFailure::MaybeSent)),
        Reply::Panic => panic!("the HTTP stack has a bug"),
        Reply::Hang => std::future::pending().await,
    }
}

#[async_trait]
impl AsyncTransport for Async {
    type Request = Req;
    type Response = Response<String>;
    type Error = Cut;

    async fn send(&self, request: Req) -> Result<Response<String>, Cut> {
        let request = request.inner;
        give_way().await;
        let wire = self
            .0
            .arrive_call(request.uri().path(), request.headers(), request.body());
        give_way().await;
        wire.pass().await;
        finish(&wire).await
    }

    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, Cut> {
        give_way().await;
        let wire = self.0.arrive(&login.request);
        give_way().await;
        wire.pass().await;
        let response = finish(&wire).await?;
        drop(wire);
        give_way().await;
        Ok(response.into())
    }

    async fn discard(&self, _: Response<String>) {
        give_way().await;
    }
}
