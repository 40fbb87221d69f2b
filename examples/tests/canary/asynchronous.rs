//! The run, through ctc-reqwest.

#[path = "life.rs"]
pub(crate) mod life;

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use ctc_driver::{
    AsyncCaller, AsyncDriver, AsyncTransport, CallError, LoginRequest, LoginResponse, Outgoing,
    SharedSession, Tokio,
};
use ctc_reqwest::reqwest::Certificate;
use ctc_reqwest::{Client, Inbound, Outbound, ReqwestTransport, SendError, http_client_builder};
use http::{HeaderMap, Request, Response};
use tokio::runtime::Runtime;

use crate::show::show;
use crate::store::Spoilt;
use crate::{DEVICES, Panics};
pub(crate) use ctc_reqwest as adapter;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

pub(crate) fn wait<T>(response: impl Future<Output = T>) -> T {
    RUNTIME.block_on(response)
}

pub(crate) fn http_client(certificate: &[u8]) -> ctc_reqwest::reqwest::Client {
    let root = Certificate::from_der(certificate).unwrap();
    http_client_builder()
        .tls_certs_only([root])
        .build()
        .unwrap()
}

pub(crate) fn herd(client: &Client) {
    let calls = (0..8).map(|_| client.get(DEVICES).send());
    for response in wait(futures_util::future::join_all(calls)) {
        assert_eq!(response.unwrap().status(), 200);
    }
}

pub(crate) fn fetch(
    client: &Client,
    path: &str,
) -> Result<Response<Vec<u8>>, CallError<SendError>> {
    wait(AsyncCaller::fetch(
        client,
        Request::get(path).body(Vec::new()).unwrap(),
    ))
}

/// The adapter's transport, which prints what passes through it, and panics on demand.
pub(crate) struct Stack(ReqwestTransport, Panics);

pub(crate) fn stack(certificate: &[u8], panics: Panics) -> Stack {
    let transport = ReqwestTransport::new(http_client(certificate));
    show!(ctc_reqwest::ReqwestTransport, &transport);
    Stack(transport, panics)
}

pub(crate) fn outbound(client: &Client, stamps: &HeaderMap) -> Outbound {
    let outbound = Outbound::new(client.get(DEVICES).headers(stamps.clone()).build().unwrap());
    show!(ctc_reqwest::OutboundCopy, &outbound.replay_copy().unwrap());
    outbound
}

pub(crate) fn send(stack: &Stack, request: Outbound) {
    assert_eq!(wait(stack.send(request)).unwrap().0.status(), 200);
}

pub(crate) fn send_login(stack: &Stack, login: LoginRequest) -> LoginResponse {
    wait(stack.send_login(login)).unwrap()
}

#[async_trait]
impl AsyncTransport for Stack {
    type Request = Outbound;
    type Response = Inbound;
    type Error = SendError;

    async fn send(&self, request: Outbound) -> Result<Inbound, SendError> {
        show!(ctc_reqwest::Outbound, &request);
        assert!(self.1 != Panics::AtCalls, "{request:?}");
        let response = self.0.send(request).await?;
        show!(ctc_reqwest::Inbound, &response);
        Ok(response)
    }

    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        println!("{login:?} {login:#?}");
        assert!(self.1 != Panics::AtLogins, "{login:?}");
        let response = self.0.send_login(login).await?;
        println!("{response:?} {response:#?}");
        Ok(response)
    }
}

/// Makes calls with a driver over a [`Stack`].
pub(crate) fn drive(session: &SharedSession, stack: Stack, client: &Client, store: Option<Spoilt>) {
    let store = store.map(|store| Arc::new(store) as _);
    let driver = AsyncDriver::new(session.clone(), stack, Tokio::current(), store);
    show!(ctc_driver::AsyncDriver<Stack>, &driver);
    let response = wait(driver.execute(
        outbound(client, &HeaderMap::new()),
        &ctc_driver::CallOptions::new(),
    ));
    println!("{response:?} {response:#?}");
    response.unwrap();
}
