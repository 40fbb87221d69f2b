//! The layer under an axum gateway whose bodies are streams, and over reqwest.

mod common;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use common::{DEVICES, Hyper, hyper, session};
use ctc_testkit::{Server, Violation};
use ctc_tower::{CtcLayer, CtcService};
use futures_util::stream;
use http::StatusCode;
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};

type Upstream = CtcService<Hyper<Body>, Body>;

/// A gateway: what comes in goes on to CTC with the session's key and token.
fn gateway(server: &Server) -> Router {
    let upstream = CtcLayer::streaming(session(server)).layer(hyper());
    Router::new().fallback(forward).with_state(upstream)
}

async fn forward(State(mut upstream): State<Upstream>, request: Request) -> Response {
    match upstream.call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

#[tokio::test]
async fn an_axum_gateway_passes_streams_on() {
    let server = Server::start().unwrap();
    let gateway = gateway(&server);

    let request = Request::get(format!("{DEVICES}/1001"))
        .body(Body::empty())
        .unwrap();
    let response = gateway.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("Truck 1"));

    let pieces = ["all ", "is ", "well"].map(Ok::<_, std::io::Error>);
    let note = Body::from_stream(stream::iter(pieces));
    let request = Request::post(format!("{DEVICES}/1001/notes"))
        .body(note)
        .unwrap();
    assert_eq!(
        gateway.clone().oneshot(request).await.unwrap().status(),
        StatusCode::CREATED
    );
    assert_eq!(server.notes(1001), ["all is well"]);

    // A call without a body is sent again after a 401, as everywhere.
    server.revoke_all();
    let request = Request::get(DEVICES).body(Body::empty()).unwrap();
    assert_eq!(gateway.oneshot(request).await.unwrap().status(), 200);
    assert_eq!((server.counts().logins, server.counts().violations), (2, 0));
}

#[tokio::test]
async fn a_gateways_clients_cannot_choose_the_host_or_smuggle_a_token() {
    let server = Server::start().unwrap();
    let gateway = gateway(&server);
    let request = Request::get("http://127.0.0.1:9/connect/services/devices")
        .body(Body::empty())
        .unwrap();
    let response = gateway.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);

    let request = Request::get("//127.0.0.1:9/x").body(Body::empty()).unwrap();
    assert_eq!(
        gateway.clone().oneshot(request).await.unwrap().status(),
        StatusCode::NOT_FOUND
    );

    let request = Request::get(DEVICES)
        .header("cookie", "authToken=smuggled; theme=dark")
        .header("calamp-services-app", "smuggled")
        .body(Body::empty())
        .unwrap();
    assert_eq!(gateway.oneshot(request).await.unwrap().status(), 200);
    let broken: Vec<Violation> = server
        .journal()
        .into_iter()
        .filter_map(|entry| entry.violation)
        .collect();
    assert_eq!(broken, []);
}

#[tokio::test]
async fn reqwest_is_a_service_like_any_other() {
    let server = Server::start().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    // As for every service inside: no redirects, no cookies.
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let over_reqwest = service_fn(move |request: http::Request<reqwest::Body>| {
        let client = client.clone();
        async move { Ok::<_, reqwest::Error>(client.execute(request.try_into()?).await?.into()) }
    });
    let service = CtcLayer::streaming(session(&server)).layer(over_reqwest);

    for _ in 0..2 {
        let request = http::Request::get(DEVICES)
            .body(reqwest::Body::default())
            .unwrap();
        let response: http::Response<reqwest::Body> =
            service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(
            !response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .is_empty()
        );
        server.revoke_all();
    }
    assert_eq!((server.counts().logins, server.counts().violations), (2, 0));
}

/// Over HTTP/2 a request's URI names the gateway itself, whatever its `Host` says.
#[tokio::test]
async fn a_gateway_takes_path_and_query_only() {
    let server = Server::start().unwrap();
    let request = || {
        let request = Request::get(format!("https://me@gateway.example:8443{DEVICES}?pg=1"));
        let request = request
            .version(http::Version::HTTP_2)
            .header("host", "gateway.example");
        request.body(Body::empty()).unwrap()
    };
    let layer = CtcLayer::streaming(session(&server));
    let refused = layer
        .clone()
        .layer(hyper())
        .oneshot(request())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ctc_tower::CallError::Stamp(_)),
        "{refused:?}"
    );
    assert_eq!(server.counts().calls, 0);

    let gateway = layer.gateway().layer(hyper());
    assert_eq!(
        gateway.clone().oneshot(request()).await.unwrap().status(),
        200
    );
    let entry = server.journal().pop().unwrap();
    assert_eq!(
        (entry.path.as_str(), entry.query.as_str()),
        (DEVICES, "pg=1")
    );
    assert_eq!(
        entry.header("host"),
        [format!("127.0.0.1:{}", server.port())]
    );
    assert_eq!(server.counts().violations, 0);

    // One that names no path names nothing that CTC has.
    let connect = Request::connect("elsewhere.example:443")
        .body(Body::empty())
        .unwrap();
    assert!(gateway.oneshot(connect).await.is_err());
}
