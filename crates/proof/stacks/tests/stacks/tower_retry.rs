//! tower: hyper on tokio under the application's own layers, here one that retries.

use std::future::{Ready, ready};

use ctc_tower::{AsyncCaller, CtcLayer, ServiceCaller};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, retry::Policy};

pub(crate) fn client(url: &str) -> impl AsyncCaller + use<> {
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let ctc = CtcLayer::new(crate::session(url));
    let layers = ServiceBuilder::new().retry(WhileBusy(3)).layer(ctc);
    ServiceCaller::new(layers.service(hyper))
}

/// Repeats an idempotent call after a 503, at most this many times.
#[derive(Clone)]
struct WhileBusy(u32);

impl<B, E> Policy<Request<Full<Bytes>>, Response<B>, E> for WhileBusy {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        request: &mut Request<Full<Bytes>>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<Ready<()>> {
        let busy = matches!(result, Ok(it) if it.status() == StatusCode::SERVICE_UNAVAILABLE);
        self.0 = self.0.checked_sub(1)?;
        (busy && request.method().is_idempotent()).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}
