//! A newcomer's hyper app: the session and a timeout, each by a layer.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use bytes::Bytes;
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_tower::{CtcLayer, Endpoint, SessionConfig};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let server = Server::start()?; // in place of the real one
    let session = SessionConfig::new()
        .endpoint(Endpoint::danger_plain_http(&server.url())?) // or Endpoint::us(), Endpoint::eu()
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()?;
    let hyper = Client::builder(TokioExecutor::new()).build_http(); // or build(your TLS connector)
    let ctc = CtcLayer::new(session.clone()).layer(hyper);
    let mut service = ServiceBuilder::new()
        .timeout(Duration::from_secs(10))
        .service(ctc.clone());

    for page in 1..=3 {
        let path = format!("/connect/services/devices?pg={page}");
        let request = Request::get(path).body(Full::<Bytes>::default())?;
        let response = service.ready().await?.call(request).await?;
        let status = response.status();
        let length = response.into_body().collect().await?.to_bytes().len();
        println!("Page {page}: {status}, {length} bytes. Now the server revokes the token.");
        server.revoke_all();
    }
    println!(
        "Logins: {}. This program did not notice them.",
        session.counts().logins
    );
    println!("Logged out: {:?}", ctc.driver().logout().await);
    Ok(())
}
