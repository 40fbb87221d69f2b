//! hyper on smol: asynchronous, without tokio's runtime, a connection for each request.

use std::{sync::Arc, time::Duration};

use ctc_driver::ctc_core::SendFailure::NotSent;
use ctc_driver::{AsyncCaller, AsyncDriver, AsyncTransport, BoxFuture};
use ctc_driver::{BoxTransportError, FnTransport, Runtime};
use http::{Request, Response, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, client::conn::http1::handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;

use crate::smol_tls::connect;

pub(crate) fn client(url: &str) -> impl AsyncCaller + use<> {
    let tls = crate::trusting(None);
    AsyncDriver::new(crate::session(url), transport(tls), Smol, None)
}

pub(crate) fn transport(tls: ClientConfig) -> impl AsyncTransport<Request = Request<Vec<u8>>> {
    let tls = Arc::new(tls);
    FnTransport::asynchronous(move |request| send(Arc::clone(&tls), request))
}

async fn send(
    tls: Arc<ClientConfig>,
    request: Request<Vec<u8>>,
) -> Result<Response<Bytes>, crate::AnyError> {
    let mut request = request.map(|body| Full::new(Bytes::from(body)));
    let host = request.uri().authority().cloned().ok_or("no host")?;
    let path = request.uri().path_and_query().cloned().ok_or("no path")?;
    let stream = connect(tls, request.uri()).await;
    let stream = stream.map_err(|error| BoxTransportError::with_failure(error, NotSent))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    smol::spawn(connection).detach();
    request.headers_mut().insert(HOST, host.as_str().parse()?);
    *request.uri_mut() = path.into();
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

pub(crate) struct Smol;

impl Runtime for Smol {
    fn spawn(&self, task: BoxFuture<()>) {
        smol::spawn(task).detach();
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(async move { _ = smol::Timer::after(duration).await })
    }
}
