//! The run, through ctc-ureq.

#[path = "life.rs"]
#[allow(
    clippy::duplicate_mod,
    reason = "the same life, through the other adapter"
)]
pub(crate) mod life;

use std::sync::Arc;

use ctc_driver::{
    CallError, Caller, Driver, LoginRequest, LoginResponse, Outgoing, SharedSession, Transport,
};
use ctc_ureq::ureq::tls::{Certificate, RootCerts, TlsConfig};
use ctc_ureq::ureq::{self, Agent};
use ctc_ureq::{Client, Outbound, SendError, UreqTransport, http_client_builder};
use http::{HeaderMap, Request, Response};

use crate::show::show;
use crate::store::Spoilt;
use crate::{DEVICES, Panics};
pub(crate) use ctc_ureq as adapter;

pub(crate) fn wait<T>(response: T) -> T {
    response
}

pub(crate) fn http_client(certificate: &[u8]) -> Agent {
    let root = Certificate::from_der(certificate).to_owned();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[root]))
        .build();
    http_client_builder().tls_config(tls).build().new_agent()
}

pub(crate) fn herd(client: &Client) {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(client.get(DEVICES).send().unwrap().status(), 200));
        }
    });
}

pub(crate) fn fetch(
    client: &Client,
    path: &str,
) -> Result<Response<Vec<u8>>, CallError<SendError>> {
    Caller::fetch(client, Request::get(path).body(Vec::new()).unwrap())
}

/// The adapter's transport, which prints what passes through it, and panics on demand.
pub(crate) struct Stack(UreqTransport, Panics);

pub(crate) fn stack(certificate: &[u8], panics: Panics) -> Stack {
    let transport = UreqTransport::new(http_client(certificate));
    show!(ctc_ureq::UreqTransport, &transport);
    Stack(transport, panics)
}

pub(crate) fn outbound(client: &Client, stamps: &HeaderMap) -> Outbound {
    let uri = client.session().endpoint().join(DEVICES).unwrap();
    let mut request = Request::get(uri).body(()).unwrap();
    request.headers_mut().clone_from(stamps);
    let outbound = Outbound::new(request);
    show!(ctc_ureq::Body, &outbound.body);
    show!(ctc_ureq::OutboundCopy, &outbound.replay_copy().unwrap());
    outbound
}

pub(crate) fn send(stack: &Stack, request: Outbound) {
    assert_eq!(stack.send(request).unwrap().status(), 200);
}

pub(crate) fn send_login(stack: &Stack, login: LoginRequest) -> LoginResponse {
    stack.send_login(login).unwrap()
}

impl Transport for Stack {
    type Request = Outbound;
    type Response = Response<ureq::Body>;
    type Error = SendError;

    fn send(&self, request: Outbound) -> Result<Response<ureq::Body>, SendError> {
        show!(ctc_ureq::Outbound, &request);
        assert!(self.1 != Panics::AtCalls, "{request:?}");
        let response = self.0.send(request)?;
        println!("{response:?} {response:#?}");
        Ok(response)
    }

    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        println!("{login:?} {login:#?}");
        assert!(self.1 != Panics::AtLogins, "{login:?}");
        let response = self.0.send_login(login)?;
        println!("{response:?} {response:#?}");
        Ok(response)
    }
}

/// Makes calls with a driver over a [`Stack`].
pub(crate) fn drive(session: &SharedSession, stack: Stack, client: &Client, store: Option<Spoilt>) {
    let store = store.map(|store| Arc::new(store) as _);
    let driver = Driver::new(session.clone(), stack, store);
    show!(ctc_driver::Driver<Stack>, &driver);
    let response = driver.execute(
        outbound(client, &HeaderMap::new()),
        &ctc_driver::CallOptions::new(),
    );
    println!("{response:?} {response:#?}");
    response.unwrap();
}
