//! The transport, put through the conformance suite.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use std::sync::Arc;

use bytes::Bytes;
use ctc_reqwest::reqwest::{self, Body, Certificate as Root, Request};
use ctc_reqwest::{Inbound, Outbound, ReqwestTransport, http_client_builder};
use ctc_testkit::conformance::{AsyncStack, BoxError, Certificate, Payload};
use http::{HeaderMap, Method};

struct Reqwest;

impl AsyncStack for Reqwest {
    type Transport = ReqwestTransport;

    fn transport(&self) -> ReqwestTransport {
        install_crypto_provider();
        ReqwestTransport::new(http_client_builder().build().unwrap())
    }

    fn transport_trusting(&self, certificate: Certificate<'_>) -> Option<ReqwestTransport> {
        install_crypto_provider();
        let root = Root::from_der(certificate.der).unwrap();
        Some(ReqwestTransport::new(
            http_client_builder()
                .tls_certs_only([root])
                .build()
                .unwrap(),
        ))
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<Outbound> {
        let mut request = Request::new(method, url.parse().unwrap());
        *request.headers_mut() = headers;
        *request.body_mut() = match payload {
            Payload::Empty => None,
            Payload::Bytes(bytes) => Some(Body::from(bytes)),
            Payload::Stream(pieces) => {
                let pieces = pieces
                    .into_iter()
                    .map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
                Some(Body::wrap_stream(futures_util::stream::iter(pieces)))
            }
        };
        Some(Outbound::new(request))
    }

    async fn read(&self, response: Inbound) -> Result<Vec<u8>, BoxError> {
        // A native response is the caller's: its own errors name the URL unless told not to.
        Ok(response
            .0
            .bytes()
            .await
            .map_err(reqwest::Error::without_url)?
            .to_vec())
    }
}

/// The program chooses the provider; here that is the test.
fn install_crypto_provider() {
    // It fails when another test was first, which is as good.
    let _: Result<(), Arc<_>> = rustls::crypto::ring::default_provider().install_default();
}

ctc_testkit::conformance_tests!(async, Reqwest, strict);
