//! The example's transport, put through the conformance suite.

#[allow(dead_code, reason = "the example's main is not called here")]
#[path = "../own_http_stack.rs"]
mod own_http_stack;

use bytes::Bytes;
use ctc_driver::ctc_core::Unauthorized;
use ctc_testkit::conformance::{AsyncStack, BoxError, Payload};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use own_http_stack::HyperTransport;

struct Hyper;

impl AsyncStack for Hyper {
    type Transport = HyperTransport;

    fn transport(&self) -> HyperTransport {
        HyperTransport::new()
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<Request<Full<Bytes>>> {
        let body = match payload {
            Payload::Empty => Bytes::new(),
            Payload::Bytes(bytes) => bytes.into(),
            Payload::Stream(_) => return None,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .body(Full::new(body))
            .ok()?;
        *request.headers_mut() = headers;
        Some(request)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Vec<u8>, BoxError> {
        Ok(response.into_body().collect().await?.to_bytes().to_vec())
    }

    fn unauthorized(&self, response: &Response<Incoming>) -> Option<Unauthorized> {
        response.extensions().get().cloned()
    }
}

ctc_testkit::conformance_tests!(async, Hyper);
