//! The transport, put through the conformance suite.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use std::io::{Cursor, Read};
use std::sync::Arc;

use ctc_testkit::conformance::{BlockingStack, BoxError, Certificate, Payload};
use ctc_ureq::ureq::tls::{Certificate as Root, RootCerts, TlsConfig};
use ctc_ureq::{Body, Outbound, UreqTransport, http_client_builder, ureq};
use http::{HeaderMap, Method, Request, Response};

struct Ureq;

impl BlockingStack for Ureq {
    type Transport = UreqTransport;

    fn transport(&self) -> UreqTransport {
        UreqTransport::from_config(http_client_builder().build())
    }

    fn transport_trusting(&self, certificate: Certificate<'_>) -> Option<UreqTransport> {
        // The program chooses the provider; it is there already when another test was first.
        let _: Result<(), Arc<_>> = rustls::crypto::ring::default_provider().install_default();
        let root = Root::from_der(certificate.der).to_owned();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[root]))
            .build();
        let config = http_client_builder().tls_config(tls).build();
        Some(UreqTransport::from_config(config))
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<Outbound> {
        let body = match payload {
            Payload::Empty => Body::empty(),
            Payload::Bytes(bytes) => Body::from(bytes),
            Payload::Stream(pieces) => {
                let nothing: Box<dyn Read + Send + Sync> = Box::new(std::io::empty());
                let chain =
                    |all: Box<dyn Read + Send + Sync>, piece| -> Box<dyn Read + Send + Sync> {
                        Box::new(all.chain(Cursor::new(piece)))
                    };
                Body::from_reader(pieces.into_iter().fold(nothing, chain))
            }
        };
        let mut request = Request::builder().method(method).uri(url).body(body).ok()?;
        *request.headers_mut() = headers;
        Some(Outbound::new(request))
    }

    fn read(&self, mut response: Response<ureq::Body>) -> Result<Vec<u8>, BoxError> {
        Ok(response
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()?)
    }
}

ctc_testkit::conformance_tests!(blocking, Ureq, strict);
