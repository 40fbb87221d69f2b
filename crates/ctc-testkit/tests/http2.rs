//! The server over HTTP/2: the same logins, calls and faults.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use bytes::Bytes;
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Rule,
    Server,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};

/// Opens a connection that begins with HTTP/2.
async fn connect(address: std::net::SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: http::request::Builder,
    body: String,
) -> hyper::Result<Response<Bytes>> {
    let request = request.body(Full::from(body)).unwrap();
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

#[test]
fn logins_calls_and_faults_over_http2() {
    let server = Server::builder().http2(true).start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let mut accounts = connect(server.token_address()).await;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", DEFAULT_CLIENT_ID)
            .append_pair("scope", "openid")
            .append_pair("username", DEFAULT_USERNAME)
            .append_pair("password", DEFAULT_PASSWORD)
            .finish();
        let login = Request::post(server.token_url())
            .header("content-type", "application/x-www-form-urlencoded");
        let response = send(&mut accounts, login, form).await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        let bearer = format!("Bearer {}", body["access_token"].as_str().unwrap());

        let mut api = connect(server.address()).await;
        let call = || {
            Request::get(format!("{}/connect/services/devices", server.url()))
                .header("calamp-services-app", DEFAULT_APP_KEY)
                .header("authorization", &bearer)
        };
        for _ in 0..2 {
            let response = send(&mut api, call(), String::new()).await.unwrap();
            assert_eq!(response.status(), 200);
        }
        server.inject(Rule::once(Matcher::AnyCall, Fault::status(503)));
        let response = send(&mut api, call(), String::new()).await.unwrap();
        assert_eq!(response.status(), 503);
        server.inject(Rule::once(Matcher::AnyCall, Fault::lost_response()));
        send(&mut api, call(), String::new()).await.unwrap_err();
    });
    let counts = server.counts();
    assert_eq!((counts.logins, counts.calls, counts.connections), (1, 4, 2));
    assert_eq!(counts.violations, 0);
}
