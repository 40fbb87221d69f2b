//! An HTTP stack of your own: hyper, which this project ships no adapter for.
//!
//! All that it takes is `impl AsyncTransport`, below. In return it gets everything that the shipped
//! adapters have: one login for many tasks, the renewal of an invalidated token, fair use, a store
//! if you want one. The example `smol` shows a runtime of your own.
//!
//! It runs against a CTC server on this machine: `cargo run --example own_http_stack`. To speak to
//! the real one, put a TLS connector in the place of `HttpConnector`.
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;

use async_trait::async_trait;
use bytes::Bytes;
use ctc_driver::{
    AsyncDriver, AsyncTransport, BodyError, CallOptions, LoginRequest, LoginResponse,
    SharedSession, Tokio, TransportError,
    ctc_core::{AppKey, Credentials, Endpoint, SendFailure, Session, Settings},
    read_body,
};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// The stack: hyper's pooling client. It follows no redirects and keeps no cookies, as it must be.
#[derive(Debug)]
pub(crate) struct HyperTransport(Client<HttpConnector, Full<Bytes>>);

/// Its error. A connection that was never made is told apart, since such a login does not count.
#[derive(Debug, thiserror::Error)]
#[error("the request got no answer")]
pub(crate) struct HyperError(#[from] hyper_util::client::legacy::Error);

impl TransportError for HyperError {
    fn failure(&self) -> SendFailure {
        if self.0.is_connect() {
            SendFailure::NotSent
        } else {
            SendFailure::MaybeSent
        }
    }
}

#[async_trait]
impl AsyncTransport for HyperTransport {
    type Request = Request<Full<Bytes>>;
    type Response = Response<Incoming>;
    type Error = HyperError;

    async fn send(&self, request: Self::Request) -> Result<Self::Response, HyperError> {
        Ok(self.0.request(request).await?)
    }

    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, HyperError> {
        // A client for each login: none goes out on a connection that the server has just closed.
        let form = login.request.map(|form| Full::new(Bytes::from(form)));
        let (head, mut body) = Self::new().0.request(form).await?.into_parts();
        let mut response = LoginResponse::new(head.status, head.headers);
        // A body that breaks off holds no token, which the session sees by itself.
        while response.body().len() < login.body_limit
            && let Some(Ok(frame)) = body.frame().await
        {
            let data = frame.into_data().unwrap_or_default();
            response.append_body(&data, login.body_limit);
        }
        Ok(response)
    }

    async fn discard(&self, response: Self::Response) {
        drain(response.into_body()).await;
    }

    async fn read(
        &self,
        response: Self::Response,
        max_body: usize,
    ) -> Result<Response<Vec<u8>>, BodyError> {
        read_body(response, max_body).await
    }
}

impl HyperTransport {
    /// A transport with connections of its own.
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

/// Reads a short body to its end, so that its connection can be used again.
async fn drain(body: Incoming) {
    // Too long or broken off: then the connection is closed, and that is all.
    let _ = Limited::new(body, 64 * 1024).collect().await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start()?;
    println!(
        "A CTC server runs at {}. Nobody has logged in yet.",
        server.url()
    );

    let session = Session::new(
        Endpoint::danger_plain_http(&server.url())?, /* this machine only: Endpoint::us() or
                                                      * ::eu() is the real one */
        AppKey::new(DEFAULT_APP_KEY)?,
        Credentials::new(DEFAULT_USERNAME, DEFAULT_PASSWORD)?,
        Settings::default(),
    )?;
    let ctc = AsyncDriver::new(
        SharedSession::new(session),
        HyperTransport::new(),
        Tokio::current(),
        None,
    );
    let devices = format!("{}/connect/services/devices?pg=1&pgsize=2", server.url());
    let call = || Request::get(&devices).body(Full::default());

    println!("\nThree tasks ask for devices at the same moment; none has a token.");
    let options = CallOptions::default();
    let (a, b, c) = tokio::join!(
        ctc.execute(call()?, &options),
        ctc.execute(call()?, &options),
        ctc.execute(call()?, &options),
    );
    println!(
        "  They got {}, {} and {}.",
        a?.status(),
        b?.status(),
        c?.status()
    );
    println!(
        "  The server saw {} login: one did it for all three.",
        server.counts().logins
    );

    println!("\nThe server revokes the token. We do not know that, and just call.");
    server.revoke_all();
    let response = ctc.execute(call()?, &options).await?;
    let counts = server.counts();
    println!("  We got {}.", response.status());
    println!(
        "  The server saw {} response of 401, and then login number {}.",
        counts.unauthorized, counts.logins
    );
    let text = String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?;
    println!("  It begins: {text:.60}…");

    println!("\nWe log out.");
    println!("  The server's word: {:?}", ctc.logout().await);
    match ctc.execute(call()?, &options).await {
        Ok(response) => println!(
            "  A call after that got {}, and should not have.",
            response.status()
        ),
        Err(error) => println!("  A call after that is not even sent: {error}."),
    }

    let counts = server.counts();
    println!(
        "\ndone: {} calls, {} logins, {} responses of 401, {} violations",
        counts.calls, counts.logins, counts.unauthorized, counts.violations
    );
    Ok(())
}
