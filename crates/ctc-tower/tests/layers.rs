//! tower's own layers on either side of the session's.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::{Hyper, ctc, devices, hyper, session, tokens};
use ctc_testkit::{Fault, Matcher, Rule, Server, When};
use ctc_tower::{CallError, CtcLayer, Denial, LoginFailure};
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::load_shed::error::Overloaded;
use tower::retry::Policy;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

const SOON: Duration = Duration::from_secs(10);

/// Once more after a 503: what a program puts around the layer, which itself repeats nothing but a
/// 401.
#[derive(Clone)]
struct RetryUnavailable;

impl<E> Policy<Request<Full<Bytes>>, Response<Incoming>, E> for RetryUnavailable {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Full<Bytes>>,
        response: &mut Result<Response<Incoming>, E>,
    ) -> Option<Self::Future> {
        let again = response
            .as_ref()
            .is_ok_and(|response| response.status() == StatusCode::SERVICE_UNAVAILABLE);
        again.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn outer_retry_after_an_inner_renewal_uses_the_new_token() {
    let server = Server::start().unwrap();
    let service = ServiceBuilder::new()
        .retry(RetryUnavailable)
        .layer(CtcLayer::new(session(&server)))
        .service(hyper());
    service.clone().oneshot(devices()).await.unwrap();
    server.revoke_all();
    // The dead token's 401 goes by; the replay with the new token meets the 503.
    server.inject(Rule::once(Matcher::AnyCall, Fault::status(503)).after(1));

    let response = service.oneshot(devices()).await.unwrap();
    assert_eq!(response.status(), 200);
    let tokens = tokens(&server);
    assert_eq!(tokens.len(), 4, "first call, 401, 503, retry");
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2]);
    assert_eq!(
        tokens[2], tokens[3],
        "the retry goes out with the renewed token"
    );
    assert_eq!(
        (server.counts().logins, server.counts().needless_logins),
        (2, 0)
    );
}

#[tokio::test]
async fn inner_retry_sends_the_same_token_and_costs_no_login() {
    let server = Server::start().unwrap();
    let service = ServiceBuilder::new()
        .layer(CtcLayer::new(session(&server)))
        .retry(RetryUnavailable)
        .service(hyper());
    server.inject(Rule::once(Matcher::AnyCall, Fault::status(503)));
    assert_eq!(service.oneshot(devices()).await.unwrap().status(), 200);
    let tokens = tokens(&server);
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0], tokens[1]);
    assert_eq!(server.counts().logins, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn outer_timeout_ends_a_call_not_the_login_that_others_wait_for() {
    let server = Server::start().unwrap();
    let patient = ctc(&server);
    let hasty = ServiceBuilder::new()
        .timeout(Duration::from_millis(50))
        .service(patient.clone());
    server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::Before },
    ));

    // The hasty call is first: it is the one that began the login.
    let hasty = tokio::spawn(hasty.oneshot(devices()));
    server.wait_until(|counts| counts.held == 1, SOON).unwrap();
    let patient = tokio::spawn(patient.oneshot(devices()));
    let error = hasty.await.unwrap().unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");

    server.release();
    assert_eq!(patient.await.unwrap().unwrap().status(), 200);
    assert_eq!(
        (server.counts().logins, server.counts().login_requests),
        (1, 1)
    );
}

#[tokio::test]
async fn inner_timeout_bounds_the_login_as_well() {
    let server = Server::start().unwrap();
    let service = ServiceBuilder::new()
        .layer(CtcLayer::new(session(&server)))
        .timeout(Duration::from_millis(50))
        .service(hyper());
    server.inject(Rule::once(Matcher::Login, Fault::Hang { act: false }));
    let error = service.clone().oneshot(devices()).await.unwrap_err();
    let CallError::Denied(denied) = &error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(denied.denial(), Denial::BackingOff { .. }),
        "{denied:?}"
    );
    assert!(chain(&error).contains("timed out"), "{}", chain(&error));
    // The next call hears the same at once.
    service.oneshot(devices()).await.unwrap_err();
    assert_eq!(server.counts().login_requests, 1);
}

#[tokio::test]
async fn inner_concurrency_limit_holds_for_the_login_too() {
    let server = Server::start().unwrap();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let watched = watched(hyper(), Arc::clone(&running), Arc::clone(&most));
    let service = ServiceBuilder::new()
        .layer(CtcLayer::new(session(&server)))
        .concurrency_limit(1)
        .service(watched);
    for round in 1..=2 {
        let calls = join_all((0..20).map(|_| service.clone().oneshot(devices()))).await;
        assert!(
            calls
                .into_iter()
                .all(|response| response.unwrap().status() == 200)
        );
        assert_eq!(
            most.load(Ordering::SeqCst),
            1,
            "logins and calls, one at a time"
        );
        assert_eq!(server.counts().logins, round);
        server.revoke_all();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_load_shedding_of_a_login_counts_as_not_sent() {
    let server = Server::start().unwrap();
    let inner = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .service(hyper());
    let service = CtcLayer::new(session(&server)).layer(inner.clone());
    // Somebody else has the only place inside.
    server.inject(Rule::once(
        Matcher::Path("/elsewhere".into()),
        Fault::Hold { when: When::Before },
    ));
    let elsewhere = Request::get(format!("{}/elsewhere", server.url()))
        .body(Full::default())
        .unwrap();
    let other = tokio::spawn(inner.oneshot(elsewhere));
    server.wait_until(|counts| counts.held == 1, SOON).unwrap();

    let error = service.clone().oneshot(devices()).await.unwrap_err();
    let CallError::Denied(denied) = &error else {
        panic!("{error:?}")
    };
    let Denial::BackingOff { cause, .. } = denied.denial() else {
        panic!("{denied:?}")
    };
    assert_eq!(*cause, LoginFailure::NotSent);
    assert_eq!(server.counts().login_requests, 0);
    server.release();
    other.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn outer_limit_and_load_shedding_refuse_what_is_too_much() {
    let server = Server::start().unwrap();
    let service = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .layer(CtcLayer::new(session(&server)))
        .service(hyper());
    server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::Before },
    ));
    let first = tokio::spawn(service.clone().oneshot(devices()));
    server.wait_until(|counts| counts.held == 1, SOON).unwrap();
    let error: BoxError = service.oneshot(devices()).await.unwrap_err();
    assert!(error.is::<Overloaded>(), "{error}");
    server.release();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn inner_rate_limit_works_through_a_buffer() {
    let server = Server::start().unwrap();
    let inner = ServiceBuilder::new()
        .buffer::<Request<Full<Bytes>>>(16)
        .rate_limit(3, Duration::from_millis(100))
        .service(hyper());
    let service = CtcLayer::new(session(&server)).layer(inner);
    let begin = std::time::Instant::now();
    // The login and five calls: the second three have to wait for the next tenth of a second.
    let calls = join_all((0..5).map(|_| service.clone().oneshot(devices()))).await;
    assert!(
        calls
            .into_iter()
            .all(|response| response.unwrap().status() == 200)
    );
    assert!(
        begin.elapsed() >= Duration::from_millis(100),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(server.counts().logins, 1);
}

/// The service, with its requests under way counted.
fn watched(
    service: Hyper,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<Incoming>,
    Error = hyper_util::client::legacy::Error,
    Future: Send,
> + Clone
+ Send
+ 'static {
    service_fn(move |request| {
        let (service, running, most) = (service.clone(), Arc::clone(&running), Arc::clone(&most));
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let response = service.oneshot(request).await;
            running.fetch_sub(1, Ordering::SeqCst);
            response
        }
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
