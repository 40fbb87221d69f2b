//! The layer's transport over hyper's client, put through the conformance suite.

use std::convert::Infallible;

use bytes::Bytes;
use ctc_testkit::conformance::{AsyncStack, BoxError, Payload};
use ctc_tower::{Bodies, Outbound, TowerTransport};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as HttpBody, Frame, Incoming};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

/// Bytes or a stream, as a gateway has it.
type Boxed = BoxBody<Bytes, Infallible>;

fn boxed(bytes: Bytes) -> Boxed {
    Full::new(bytes).boxed()
}

fn boxed_bodies() -> Bodies<Boxed> {
    Bodies::custom(boxed, |body| {
        body.is_end_stream().then(|| boxed(Bytes::new()))
    })
}

type HyperClient<B> = Client<HttpConnector, B>;

fn hyper<B: HttpBody<Data: Send> + Send>() -> HyperClient<B> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn read(response: Response<Incoming>) -> Result<Vec<u8>, BoxError> {
    Ok(response.into_body().collect().await?.to_bytes().to_vec())
}

/// Bodies that can be cloned: [`ctc_tower::CtcLayer::new`].
struct Cloning;

impl AsyncStack for Cloning {
    type Transport = TowerTransport<HyperClient<Full<Bytes>>, Full<Bytes>>;

    fn transport(&self) -> Self::Transport {
        TowerTransport::with_bodies(hyper(), Bodies::cloning())
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<Outbound<Full<Bytes>>> {
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
        Some(Outbound::with_bodies(request, Bodies::cloning()))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Vec<u8>, BoxError> {
        read(response).await
    }
}

ctc_testkit::conformance_tests!(async, Cloning, strict);

/// Bodies that are streams: [`ctc_tower::CtcLayer::with_bodies`].
struct Streaming;

impl AsyncStack for Streaming {
    type Transport = TowerTransport<HyperClient<Boxed>, Boxed>;

    fn transport(&self) -> Self::Transport {
        TowerTransport::with_bodies(hyper(), boxed_bodies())
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<Outbound<Boxed>> {
        let body = match payload {
            Payload::Empty => boxed(Bytes::new()),
            // Bytes cannot be told from a stream here, so they are not sent again.
            Payload::Bytes(_) => return None,
            Payload::Stream(pieces) => {
                let frames = pieces
                    .into_iter()
                    .map(|piece| Ok(Frame::data(Bytes::from(piece))));
                BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)))
            }
        };
        let mut request = Request::builder().method(method).uri(url).body(body).ok()?;
        *request.headers_mut() = headers;
        Some(Outbound::with_bodies(request, boxed_bodies()))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Vec<u8>, BoxError> {
        read(response).await
    }
}

mod streaming {
    use super::Streaming;

    ctc_testkit::conformance_tests!(async, Streaming, strict);
}
