//! Your own runtime: smol. All that it needs is `impl Runtime`, two one-line methods.
//!
//! The HTTP client is ureq, on smol's threads for blocking work: this turns any blocking
//! `Transport` into an asynchronous one. It runs against a CTC test server on this machine: `cargo
//! run --example smol`.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{
    AsyncDriver, AsyncTransport, BodyError, BoxFuture, CallOptions, LoginRequest, LoginResponse,
    Outgoing, Runtime, SessionConfig, Transport,
};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_ureq::{Outbound, UreqTransport, http_client_builder};
use http::Request;

/// The runtime, which runs logins as its tasks, and waits with its timers.
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

/// A blocking HTTP client, with each request on a thread of smol's pool.
struct Unblock<T>(Arc<T>);

impl<T> Unblock<T> {
    async fn run<R: Send + 'static>(&self, work: impl FnOnce(&T) -> R + Send + 'static) -> R
    where
        T: Send + Sync + 'static,
    {
        let transport = Arc::clone(&self.0);
        smol::unblock(move || work(&transport)).await
    }
}

#[async_trait]
impl<T> AsyncTransport for Unblock<T>
where
    T: Transport<Request: Outgoing<ReplayCopy: Send> + Send, Response: Send> + 'static,
{
    type Request = T::Request;
    type Response = T::Response;
    type Error = T::Error;

    async fn send(&self, request: T::Request) -> Result<T::Response, T::Error> {
        self.run(move |transport| transport.send(request)).await
    }

    async fn send_login(&self, mut login: LoginRequest) -> Result<LoginResponse, T::Error> {
        // A thread cannot be stopped, so it must end before the driver gives up.
        login.timeout = login.timeout * 9 / 10;
        self.run(move |transport| transport.send_login(login)).await
    }

    async fn discard(&self, response: T::Response) {
        self.run(move |transport| transport.discard(response)).await;
    }

    async fn read(
        &self,
        response: T::Response,
        max_body: usize,
    ) -> Result<http::Response<Vec<u8>>, BodyError> {
        self.run(move |transport| transport.read(response, max_body))
            .await
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start()?;
    let session = SessionConfig::new()
        .endpoint(Endpoint::danger_plain_http(&server.url())?) // or Endpoint::us(), Endpoint::eu()
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()?;
    let ureq = UreqTransport::from_config(http_client_builder().build());
    let ctc = AsyncDriver::new(session, Unblock(Arc::new(ureq)), Smol, None);
    let devices = format!("{}/connect/services/devices?pgsize=2", server.url());
    let options = CallOptions::default();
    let call = || -> Result<_, Box<dyn Error>> {
        let request = Request::get(&devices).body(())?;
        Ok(ctc.execute(Outbound::new(request), &options))
    };
    smol::block_on(async {
        let (a, b) = smol::future::zip(call()?, call()?).await;
        println!("Two tasks got {} and {}.", a?.status(), b?.status());
        server.revoke_all();
        let status = call()?.await?.status();
        println!("The server revoked the token; the next call got {status}.");
        println!("Logged out: {}.", ctc.logout().await);
        let counts = server.counts();
        println!(
            "done: {} calls, {} logins, {} responses of 401, {} violations",
            counts.calls, counts.logins, counts.unauthorized, counts.violations
        );
        Ok(())
    })
}
