//! The cases over ctc-ureq.

#[expect(
    clippy::duplicate_mod,
    reason = "the cases are compiled once for each client"
)]
#[path = "cases.rs"]
mod cases;

use std::io::Read;
use std::sync::Arc;

use ctc_ureq::ureq::config::ConfigBuilder;
use ctc_ureq::ureq::typestate::AgentScope;
use ctc_ureq::ureq::unversioned::multipart::{Form, Part};
use ctc_ureq::{
    MemoryStore, Outbound, RequestBuilder, ResponseExt, SessionStore, SharedSession,
    StreamingCaller, UreqTransport,
};
use serde::de::DeserializeOwned;

pub(crate) use ctc_ureq as adapter;

pub(crate) type Response = http::Response<ctc_ureq::ureq::Body>;

/// The form is read into memory.
pub(crate) const FORMS_ARE_REPLAYED: bool = true;

pub(crate) fn wait<T>(done: T) -> T {
    done
}

pub(crate) fn json<T: DeserializeOwned>(response: Response) -> Option<T> {
    response.json().ok()
}

pub(crate) fn text(mut response: Response) -> String {
    response.body_mut().read_to_string().unwrap()
}

pub(crate) fn form(request: RequestBuilder) -> RequestBuilder {
    let photo = Part::bytes(b"PNG").file_name("truck.png");
    let form = Form::new().text("note", "left door").part("photo", photo);
    request.multipart(form)
}

pub(crate) fn follows(http: ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> {
    http.max_redirects(10)
}

pub(crate) fn own_http_client(builder: adapter::ClientBuilder) -> adapter::ClientBuilder {
    builder.http_config(adapter::http_client_builder().build())
}

pub(crate) fn outbound(request: http::Request<Vec<u8>>) -> Outbound {
    Outbound::from(request)
}

/// Returns how many chunks a body has, and how many bytes.
pub(crate) fn streamed(client: &adapter::Client, path: &str) -> (usize, usize) {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let mut body = client.stream(request).unwrap().into_body();
    let (mut chunks, mut bytes) = (0, 0);
    let mut chunk = [0; 8192];
    loop {
        match body.read(&mut chunk).unwrap() {
            0 => return (chunks, bytes),
            length => (chunks, bytes) = (chunks + 1, bytes + length),
        }
    }
}

pub(crate) fn a_store() -> Arc<dyn SessionStore> {
    Arc::new(MemoryStore::new())
}

pub(crate) fn status_of(session: SharedSession, outbound: Outbound) -> Option<u16> {
    let transport = UreqTransport::from_config(adapter::http_client_builder().build());
    let driver = ctc_driver::Driver::new(session, transport, None);
    let response = driver.execute(outbound, &Default::default());
    Some(response.ok()?.status().as_u16())
}
