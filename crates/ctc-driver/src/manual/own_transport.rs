use async_trait::async_trait;
use bytes::Bytes;
use ctc_driver::ctc_core::SendFailure::{MaybeSent, NotSent};
use ctc_driver::{AsyncTransport, BodyError, BoxTransportError};
use ctc_driver::{LoginRequest, LoginResponse, discard_body, read_body, read_login};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

type Sent<T> = Result<T, BoxTransportError>;

/// hyper's client, without TLS. It follows no redirects and keeps no cookies.
pub(crate) struct Hyper(Client<HttpConnector, Full<Bytes>>);

impl Hyper {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

/// A login that got no connection is not charged.
fn failed(error: Error) -> BoxTransportError {
    let stage = if error.is_connect() {
        NotSent
    } else {
        MaybeSent
    };
    BoxTransportError::with_failure(error, stage)
}

#[async_trait]
impl AsyncTransport for Hyper {
    type Request = Request<Full<Bytes>>;
    type Response = Response<Incoming>;
    type Error = BoxTransportError;

    async fn send(&self, request: Self::Request) -> Sent<Self::Response> {
        self.0.request(request).await.map_err(failed)
    }

    async fn send_login(&self, login: LoginRequest) -> Sent<LoginResponse> {
        let request = login.request.map(|form| Full::new(Bytes::from(form)));
        // A client for each login: its connection is a new one.
        let response = Self::new().send(request).await?;
        let read = read_login(response, login.body_limit).await;
        read.map_err(|error| BoxTransportError::with_failure(error, MaybeSent))
    }

    async fn discard(&self, response: Self::Response) {
        discard_body(response).await;
    }

    async fn read(
        &self,
        response: Self::Response,
        max_body: usize,
    ) -> Result<Response<Vec<u8>>, BodyError> {
        read_body(response, max_body).await
    }
}
