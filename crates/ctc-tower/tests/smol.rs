//! The layer without tokio: under smol, first login and all.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ctc_tower::{
    BoxFuture, CallError, CtcLayer, Denial, Endpoint, LogoutOutcome, Runtime, SessionConfig,
    SharedSession,
};
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

struct Smol;

impl Runtime for Smol {
    fn spawn(&self, task: BoxFuture<()>) {
        smol::spawn(task).detach();
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(async move {
            smol::Timer::after(duration).await;
        })
    }
}

fn session() -> SharedSession {
    let config = SessionConfig::new().endpoint(Endpoint::us()).app_key("key");
    let config = config.login_timeout(Duration::from_millis(300));
    config.credentials("u", "p").build().unwrap()
}

fn devices() -> Request<Full<Bytes>> {
    Request::get("/connect/devices")
        .body(Full::default())
        .unwrap()
}

/// Each token is good for two calls; a login takes a while.
#[test]
fn logins_renewals_and_logouts_work() {
    let (token, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let upstream = service_fn(move |request: Request<Full<Bytes>>| {
        let (token, calls) = (Arc::clone(&token), Arc::clone(&calls));
        async move {
            let mut response = Response::new(Full::<Bytes>::default());
            if request.uri().path().ends_with("/login") {
                smol::Timer::after(Duration::from_millis(20)).await;
                let number = token.fetch_add(1, Ordering::SeqCst) + 1;
                let cookie = format!("authToken=T{number}").parse().unwrap();
                response.headers_mut().insert("set-cookie", cookie);
            } else if request.uri().path().ends_with("/devices") {
                let call = calls.fetch_add(1, Ordering::SeqCst);
                let present = format!("authToken=T{}", token.load(Ordering::SeqCst));
                if request.headers()["cookie"] != *present || call == 2 {
                    *response.status_mut() = http::StatusCode::UNAUTHORIZED;
                }
            }
            Ok::<_, Infallible>(response)
        }
    });
    let session = session();
    let service = CtcLayer::new(session.clone()).runtime(Smol).layer(upstream);
    smol::block_on(async {
        for _ in 0..4 {
            let response = service.clone().oneshot(devices()).await.unwrap();
            assert_eq!(response.status(), 200);
        }
        assert!(matches!(
            service.driver().logout().await,
            LogoutOutcome::Accepted(_)
        ));
    });
    let counts = session.counts();
    assert_eq!((counts.logins, counts.replays, counts.calls), (2, 1, 5));
}

/// The timers are smol's as well: a login that hangs ends.
#[test]
fn a_login_that_hangs_is_bounded() {
    let upstream = service_fn(|_: Request<Full<Bytes>>| async {
        smol::future::pending::<()>().await;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = CtcLayer::new(session()).runtime(Smol).layer(upstream);
    let began = Instant::now();
    let error = smol::block_on(service.oneshot(devices())).unwrap_err();
    let CallError::Denied(denied) = error else {
        panic!("{error}");
    };
    assert!(matches!(denied.denial(), Denial::BackingOff { .. }));
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

/// Without a runtime of its own, and outside of tokio, it says what is missing.
#[test]
fn without_a_runtime_it_says_so() {
    let upstream = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = CtcLayer::new(session()).layer(upstream);
    let error = smol::block_on(service.oneshot(devices())).unwrap_err();
    let text = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    let text: Vec<_> = text.map(ToString::to_string).collect();
    assert!(text.join(": ").contains("runtime"), "{text:?}");
}
