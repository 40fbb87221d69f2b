//! The plain stack as an asynchronous one, on smol: each request on a thread of smol's pool.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::{AsyncTransport, BoxFuture, LoginRequest, LoginResponse, Runtime, Transport};
use ctc_testkit::conformance::{AsyncStack, BlockingStack, BoxError, Certificate, Payload};
use http::{HeaderMap, Method};

use super::plain_stack::{PlainError, PlainStack, PlainTransport};

type Request = <PlainTransport as Transport>::Request;
type Response = <PlainTransport as Transport>::Response;

/// How much earlier than the driver a thread gives up.
const EARLIER: Duration = Duration::from_millis(20);

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

pub(crate) struct OnThreads(Arc<PlainTransport>);

impl OnThreads {
    fn new(transport: PlainTransport) -> Self {
        Self(Arc::new(transport))
    }

    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&PlainTransport) -> R + Send + 'static,
    ) -> R {
        let transport = Arc::clone(&self.0);
        smol::unblock(move || work(&transport)).await
    }
}

#[async_trait]
impl AsyncTransport for OnThreads {
    type Request = Request;
    type Response = Response;
    type Error = PlainError;

    async fn send(&self, request: Request) -> Result<Response, PlainError> {
        self.run(move |transport| transport.send(request)).await
    }

    async fn send_login(&self, mut login: LoginRequest) -> Result<LoginResponse, PlainError> {
        // A thread cannot be stopped, so it must end before the driver gives up. The error is
        // returned only then, so that a login takes all of its time.
        login.timeout = login.timeout.saturating_sub(EARLIER);
        let sent = self.run(move |transport| transport.send_login(login)).await;
        if sent.is_err() {
            smol::Timer::after(2 * EARLIER).await;
        }
        sent
    }

    async fn discard(&self, response: Response) {
        self.run(move |transport| transport.discard(response)).await;
    }
}

pub(crate) struct SmolStack;

impl AsyncStack for SmolStack {
    type Transport = OnThreads;

    fn transport(&self) -> OnThreads {
        OnThreads::new(PlainStack(None).transport())
    }

    fn transport_trusting(&self, certificate: Certificate<'_>) -> Option<OnThreads> {
        Some(OnThreads::new(
            PlainStack(None).transport_trusting(certificate)?,
        ))
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<Request> {
        PlainStack(None).request(method, url, headers, payload)
    }

    async fn read(&self, response: Response) -> Result<Vec<u8>, BoxError> {
        smol::unblock(move || PlainStack(None).read(response)).await
    }

    fn runtime(&self) -> Box<dyn Runtime> {
        Box::new(Smol)
    }
}
