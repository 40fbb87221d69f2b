//! Layers over the session's service as an `AsyncCaller`.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use ctc_tower::{
    AsyncCaller, AsyncStreamingCaller, CallError, CallFailure, CallOptions, CtcLayer, Endpoint,
    Failure, ServiceCaller, SessionConfig, SharedSession,
};
use http::{Request, Response};
use http_body_util::Full;
use tower::util::BoxCloneService;
use tower::{BoxError, Layer, ServiceExt, service_fn};

fn session() -> SharedSession {
    let config = SessionConfig::new().endpoint(Endpoint::us()).app_key("k");
    config.credentials("u", "p").build().unwrap()
}

/// A server that hangs on one path.
async fn upstream(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/hangs" {
        std::future::pending::<()>().await;
    }
    let response = Response::builder().header("set-cookie", "authToken=T");
    Ok(response.body(Full::from("0123456789")).unwrap())
}

/// What a layer makes of the errors below it.
#[derive(Debug)]
struct Wrapped(BoxError);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a layer failed")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

type Layered = BoxCloneService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

fn layered(session: &SharedSession, wrap: fn(BoxError) -> BoxError) -> Layered {
    let inside = CtcLayer::new(session.clone()).layer(service_fn(upstream));
    let wrapped = inside.map_err(move |error| wrap(BoxError::from(error)));
    wrapped.boxed_clone()
}

fn get(path: &str, options: CallOptions) -> Request<Vec<u8>> {
    let mut request = Request::get(path).body(vec![]).unwrap();
    request.extensions_mut().insert(options);
    request
}

#[tokio::test]
async fn layers_are_a_caller_with_its_limits() {
    let caller = ServiceCaller::new(layered(&session(), |error| error));
    let response = caller.fetch(get("/devices", CallOptions::new())).await;
    assert_eq!(response.unwrap().body(), b"0123456789");
    let short = CallOptions::new().max_body(9);
    let error = caller.fetch(get("/devices", short)).await.unwrap_err();
    assert!(matches!(error, CallError::Body(_)), "{error:?}");
    let quick = CallOptions::new().timeout(Duration::from_millis(50));
    let error = caller.fetch(get("/hangs", quick)).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut(late) if late.was_sent()));
    caller.sleep(Duration::from_millis(1)).await;
}

#[tokio::test]
async fn a_denial_is_one_however_layers_wrap_it() {
    for wrap in [(|error| error) as fn(BoxError) -> BoxError, |error| {
        Wrapped(error).into()
    }] {
        let session = session();
        session.close();
        let caller = ServiceCaller::new(layered(&session, wrap));
        let error = caller.fetch(get("/devices", CallOptions::new())).await;
        let error = error.unwrap_err();
        assert!(error.denied().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn a_layers_own_error_says_what_the_session_said() {
    let caller = ServiceCaller::new(layered(&session(), |error| Wrapped(error).into()));
    let elsewhere = get("https://elsewhere.example/", CallOptions::new());
    let error = caller.fetch(elsewhere).await.unwrap_err();
    assert!(!error.was_sent(), "{error:?}");
    assert!(matches!(error.failure(), Failure::NotSent(_)), "{error:?}");
}

#[tokio::test]
async fn services_and_layers_hand_out_a_body_as_it_comes() {
    let none = || CallOptions::new().max_body(0);
    let service = CtcLayer::new(session()).layer(service_fn(upstream));
    let layers = ServiceCaller::new(layered(&session(), |error| error));
    let of_service = service.stream(get("/devices", none())).await.unwrap();
    let of_layers = layers.stream(get("/devices", none())).await.unwrap();
    for response in [of_service, of_layers] {
        let mut body = response.into_body();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "0123456789");
        assert!(body.chunk().await.unwrap().is_none());
    }
    let quick = || none().timeout(Duration::from_millis(50));
    let late = service.stream(get("/hangs", quick())).await.unwrap_err();
    assert!(matches!(late, CallError::TimedOut(_)), "{late:?}");
    let late = layers.stream(get("/hangs", quick())).await.unwrap_err();
    assert!(matches!(late, CallError::TimedOut(_)), "{late:?}");
}
