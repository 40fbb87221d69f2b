//! The layer's transport over hyper's client, put through the conformance suite.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use ctc_driver::ctc_core::Unauthorized;
use ctc_testkit::conformance::{AsyncStack, BoxError, Payload};
use ctc_tower::{Outbound, TowerTransport};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

/// Bytes or a stream, as a gateway has it.
struct Body(BoxBody<Bytes, Infallible>);

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Full::new(bytes).boxed())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
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
        TowerTransport::new(hyper())
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
        let mut request = Request::builder().method(method).uri(url).body(Full::new(body)).ok()?;
        *request.headers_mut() = headers;
        Some(Outbound::new(request))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Vec<u8>, BoxError> {
        read(response).await
    }

    fn unauthorized(&self, response: &Response<Incoming>) -> Option<Unauthorized> {
        response.extensions().get().cloned()
    }
}

ctc_testkit::conformance_tests!(async, Cloning);

/// Bodies that are streams: [`ctc_tower::CtcLayer::streaming`].
struct Streaming;

impl AsyncStack for Streaming {
    type Transport = TowerTransport<HyperClient<Body>, Body>;

    fn transport(&self) -> Self::Transport {
        TowerTransport::new(hyper())
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<Outbound<Body>> {
        let body = match payload {
            Payload::Empty => Body::from(Bytes::new()),
            // Bytes cannot be told from a stream here, so they are not sent again.
            Payload::Bytes(_) => return None,
            Payload::Stream(pieces) => {
                let frames = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece))));
                Body(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames))))
            }
        };
        let mut request = Request::builder().method(method).uri(url).body(body).ok()?;
        *request.headers_mut() = headers;
        Some(Outbound::streaming(request))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Vec<u8>, BoxError> {
        read(response).await
    }

    fn unauthorized(&self, response: &Response<Incoming>) -> Option<Unauthorized> {
        response.extensions().get().cloned()
    }
}

mod streaming {
    use super::Streaming;

    ctc_testkit::conformance_tests!(async, Streaming);
}
