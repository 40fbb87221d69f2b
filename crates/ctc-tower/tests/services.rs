//! The layer's service as a `Service` among others, and as a caller.

mod common;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use bytes::Bytes;
use common::{DEVICES, Hyper, ServerResponse, ctc, devices, get, hyper, session};
use ctc_testkit::{DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_tower::{
    AsyncCaller, AsyncStreamingCaller, CallError, CallOptions, Credentials, CtcLayer, CtcService,
    Denial, LoginFailure, Replay, ServiceCaller, Unauthorized,
};
use futures_util::future::join_all;
use futures_util::task::noop_waker;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::buffer::Buffer;
use tower::util::{BoxCloneService, BoxCloneSyncService};
use tower::{Layer, Service, ServiceExt};

#[tokio::test]
async fn clones_share_one_session() {
    let server = Server::start().unwrap();
    let service = ctc(&server);
    let calls = join_all((0..50).map(|_| service.clone().oneshot(devices()))).await;
    assert!(
        calls
            .into_iter()
            .all(|response| response.unwrap().status() == 200)
    );
    // A second service over another client shares it too, if it is given the same session.
    let second = CtcLayer::new(service.driver().session().clone()).layer(hyper::<Full<Bytes>>());
    assert_eq!(second.oneshot(devices()).await.unwrap().status(), 200);
    assert_eq!(server.counts().logins, 1);
}

#[tokio::test]
async fn a_call_without_a_clone_is_one_like_any_other() {
    let server = Server::start().unwrap();
    let service = ctc(&server);
    drop(service.execute(devices()));
    assert_eq!(server.counts().connections, 0);
    assert_eq!(service.execute(devices()).await.unwrap().status(), 200);
    // What is kept of a request for its second sending is all of it.
    server.revoke_all();
    let mut request = get("/connect/test/echo?a=b").map(|_| Full::from("kept"));
    *request.method_mut() = http::Method::PUT;
    for value in ["one", "two"] {
        let value = http::HeaderValue::from_static(value);
        request.headers_mut().append("x-kept", value);
    }
    let response = service.execute(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(seen["method"], "PUT");
    assert_eq!(seen["query"], "a=b");
    assert_eq!(seen["bodyLength"], 4);
    assert_eq!(seen["headers"]["x-kept"], serde_json::json!(["one", "two"]));
    let counts = server.counts();
    assert_eq!((counts.logins, counts.unauthorized), (2, 1));
}

#[tokio::test]
async fn it_is_always_ready_and_does_nothing_until_polled() {
    let server = Server::start().unwrap();
    let mut service = ctc(&server);
    let waker = noop_waker();
    assert!(matches!(
        service.poll_ready(&mut Context::from_waker(&waker)),
        Poll::Ready(Ok(()))
    ));
    drop(service.call(devices()));
    assert_eq!(
        (server.counts().connections, server.counts().login_requests),
        (0, 0)
    );
    assert_eq!(service.call(devices()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn it_goes_where_services_go() {
    let server = Server::start().unwrap();
    let boxed = BoxCloneService::new(ctc(&server));
    assert_eq!(
        boxed.clone().oneshot(devices()).await.unwrap().status(),
        200
    );
    let sync = BoxCloneSyncService::new(ctc(&server));
    assert_eq!(sync.oneshot(devices()).await.unwrap().status(), 200);

    let buffered = Buffer::new(ctc(&server), 4);
    let calls = join_all((0..10).map(|_| buffered.clone().oneshot(devices()))).await;
    assert!(
        calls
            .into_iter()
            .all(|response| response.unwrap().status() == 200)
    );

    // And a boxed service goes inside.
    let service =
        CtcLayer::new(session(&server)).layer(BoxCloneService::new(hyper::<Full<Bytes>>()));
    assert_eq!(service.oneshot(devices()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_service_that_is_never_ready_sends_nothing() {
    let server = Server::start().unwrap();
    let service = CtcLayer::new(session(&server)).layer(Broken);
    let error = service.oneshot(devices()).await.unwrap_err();
    let CallError::Denied(denied) = &error else {
        panic!("{error:?}")
    };
    let Denial::BackingOff { cause, .. } = denied.denial() else {
        panic!("{denied:?}")
    };
    assert_eq!(*cause, LoginFailure::NotSent);
    let source = denied
        .source()
        .and_then(Error::source)
        .expect("the service's own error");
    assert_eq!(source.to_string(), "out of order");
}

#[derive(Clone)]
struct Broken;

impl Service<Request<Full<Bytes>>> for Broken {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = std::future::Pending<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("out of order")))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        std::future::pending()
    }
}

#[tokio::test]
async fn a_path_alone_goes_to_the_endpoint_without_the_host_it_came_with() {
    let server = Server::start().unwrap();
    let mut request = devices();
    request
        .headers_mut()
        .insert("host", "gateway.example".parse().unwrap());
    assert_eq!(ctc(&server).oneshot(request).await.unwrap().status(), 200);
    let journal = server.journal();
    let call = journal.last().expect("a call");
    assert_eq!(call.header("host"), [server.address().to_string()]);

    let elsewhere = Request::get("http://127.0.0.1:9/x")
        .body(Full::default())
        .unwrap();
    let error = ctc(&server).oneshot(elsewhere).await.unwrap_err();
    assert!(matches!(error, CallError::Stamp(_)), "{error:?}");
}

#[tokio::test]
async fn options_in_a_requests_extensions_hold_for_that_request() {
    let server = Server::start().unwrap();
    let service = ctc(&server);
    let note = |options: Option<CallOptions>| {
        let mut request = Request::post(format!("{DEVICES}/1001/notes"))
            .body(Full::from("checked"))
            .unwrap();
        options.and_then(|options| request.extensions_mut().insert(options));
        service.clone().oneshot(request)
    };
    assert_eq!(note(None).await.unwrap().status(), StatusCode::CREATED);

    server.revoke_all();
    let response = note(None).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.extensions().get(),
        Some(&Unauthorized::NotReplayable)
    );
    server.revoke_all();
    let allowed = CallOptions::new().replay(Replay::Always);
    assert_eq!(
        note(Some(allowed)).await.unwrap().status(),
        StatusCode::CREATED
    );
    assert_eq!(server.notes(1001).len(), 2);
}

#[tokio::test]
async fn login_and_logout_go_by_the_driver() {
    let server = Server::start().unwrap();
    let service = ctc(&server);
    service.driver().login(&CallOptions::new()).await.unwrap();
    service.driver().logout().await;
    let response: ServerResponse = service.oneshot(devices()).await;
    assert!(matches!(
        response.unwrap_err(),
        CallError::Denied(denied) if *denied.denial() == Denial::Closed
    ));
    assert_eq!(
        (
            server.counts().logins,
            server.counts().logouts,
            server.counts().calls
        ),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn it_is_a_caller() {
    let server = Server::start().unwrap();
    let service: CtcService<Hyper, Full<Bytes>> = ctc(&server);
    let request = Request::get(format!("{DEVICES}/1001"))
        .body(Vec::new())
        .unwrap();
    let response = service.fetch(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        String::from_utf8(response.into_body())
            .unwrap()
            .contains("Truck 1")
    );
}

/// The session brings its source along: a layer has nothing to be told.
#[tokio::test]
async fn a_session_with_a_source_asks_it_in_each_login() {
    let server = Server::start().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let questions = Arc::clone(&asked);
    let session = session(&server);
    session.set_credentials_source(move || {
        let is_old = questions.fetch_add(1, SeqCst) == 0;
        let password = if is_old { "0ld!" } else { DEFAULT_PASSWORD };
        Ok(Credentials::new(DEFAULT_USERNAME, password)?)
    });
    let service = CtcLayer::new(session).layer(hyper::<Full<Bytes>>());
    let calls = join_all((0..200).map(|_| service.clone().oneshot(devices()))).await;
    assert!(
        calls
            .into_iter()
            .all(|response| response.unwrap().status() == 200)
    );
    assert_eq!((asked.load(SeqCst), server.counts().login_requests), (2, 2));
}

/// hyper announces no length of an empty body; some servers require one.
#[tokio::test]
async fn an_empty_post_of_a_caller_has_its_length() {
    let server = Server::start().unwrap();
    let service = ctc(&server);
    let layers = ServiceCaller::new(service.clone());
    let echo = |method: &Method| {
        let request = Request::builder().method(method).uri("/connect/test/echo");
        request.body(Vec::new()).unwrap()
    };
    let lengths = [
        (Method::POST, vec!["0"]),
        (Method::PUT, vec!["0"]),
        (Method::PATCH, vec!["0"]),
        (Method::GET, vec![]),
    ];
    for (method, length) in lengths {
        service.fetch(echo(&method)).await.unwrap();
        service.stream(echo(&method)).await.unwrap();
        layers.fetch(echo(&method)).await.unwrap();
        layers.stream(echo(&method)).await.unwrap();
        let journal = server.journal();
        for entry in &journal[journal.len() - 4..] {
            assert_eq!(entry.method, method.as_str());
            assert_eq!(entry.header("content-length"), length, "{method}");
        }
    }
}
