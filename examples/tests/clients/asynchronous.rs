//! The cases over ctc-reqwest.

#[path = "cases.rs"]
mod cases;

use std::sync::Arc;

use ctc_reqwest::reqwest::redirect::Policy;
use ctc_reqwest::reqwest::{self, multipart::Form, multipart::Part};
use ctc_reqwest::{
    AsyncSessionStore, AsyncStreamingCaller, MemoryStore, Outbound, RequestBuilder,
    ReqwestTransport, SharedSession, Tokio,
};
use serde::de::DeserializeOwned;

pub(crate) use ctc_reqwest as adapter;

pub(crate) type Response = reqwest::Response;

/// reqwest's form is a stream.
pub(crate) const FORMS_ARE_REPLAYED: bool = false;

pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

pub(crate) fn json<T: DeserializeOwned>(response: Response) -> Option<T> {
    wait(response.json()).ok()
}

pub(crate) fn text(response: Response) -> String {
    wait(response.text()).unwrap()
}

pub(crate) fn form(request: RequestBuilder) -> RequestBuilder {
    let photo = Part::bytes(b"PNG".to_vec()).file_name("truck.png");
    let form = Form::new().text("note", "left door").part("photo", photo);
    request.multipart(form)
}

pub(crate) fn follows(http: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    http.redirect(Policy::default())
}

pub(crate) fn own_http_client(builder: adapter::ClientBuilder) -> adapter::ClientBuilder {
    builder.http_client(adapter::http_client_builder().build().unwrap())
}

pub(crate) fn outbound(request: http::Request<Vec<u8>>) -> Outbound {
    Outbound::try_from(request).unwrap()
}

/// Returns how many chunks a body has, and how many bytes.
pub(crate) fn streamed(client: &adapter::Client, path: &str) -> (usize, usize) {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    wait(async {
        let mut body = client.stream(request).await.unwrap().into_body();
        let (mut chunks, mut bytes) = (0, 0);
        while let Some(chunk) = body.chunk().await.unwrap() {
            chunks += 1;
            bytes += chunk.len();
        }
        (chunks, bytes)
    })
}

pub(crate) fn a_store() -> Arc<dyn AsyncSessionStore> {
    Arc::new(MemoryStore::new())
}

pub(crate) fn status_of(session: SharedSession, outbound: Outbound) -> Option<u16> {
    let http = adapter::http_client_builder().build().unwrap();
    let transport = ReqwestTransport::new(http);
    let driver = ctc_driver::AsyncDriver::new(session, transport, Tokio::current(), None);
    let response = wait(async { driver.execute(outbound, &Default::default()).await });
    Some(response.ok()?.0.status().as_u16())
}
