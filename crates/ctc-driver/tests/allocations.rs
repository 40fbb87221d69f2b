//! While the session is open, a call's session work allocates nothing. Counted by a global
//! allocator, which is why this test stands alone.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use allocation_counter::measure;
use ctc_driver::__adapter::by_hand::{admit, observe, try_stamp};
use ctc_driver::SharedSession;
use ctc_driver::ctc_core::{
    Admit, AppKey, Call, Credentials, Endpoint, Session, Settings, Verdict,
};
use http::{HeaderMap, Request, Response, StatusCode};

/// An open session.
fn open() -> SharedSession {
    let credentials = Credentials::new("ada@example.com", "s3cret!").unwrap();
    let key = AppKey::new("my-key").unwrap();
    let mut session = Session::new(Endpoint::us(), key, credentials, Settings::default()).unwrap();
    let now = std::time::Instant::now();
    let Admit::Login(order) = session.admit(&mut Call::new(true), now) else {
        panic!("not elected")
    };
    let cookie = format!("authToken={}; Path=/connect", "A".repeat(256));
    let response = Response::builder()
        .header("set-cookie", cookie)
        .body(())
        .unwrap();
    let reader = session.login_reader();
    let reading = reader.read(response.status(), response.headers(), &[]);
    drop(session.login_response(order.ticket, reading, now));
    let session = SharedSession::new(session);
    // The first look publishes the pass, and the first stamp of a thread makes its copy of it.
    assert!(matches!(
        admit(&session, &mut Call::new(true)),
        Admit::Proceed(_)
    ));
    assert!(try_stamp(&session, &mut Call::new(true), &mut request()).unwrap());
    session
}

fn request() -> Request<()> {
    let builder = Request::get("https://connect.calamp.com/connect/services/devices?pg=1");
    let builder = builder
        .header("accept", "application/json")
        .header("user-agent", "probe/1");
    builder
        .header("x-request-id", "0123456789")
        .header("accept-encoding", "identity")
        .body(())
        .unwrap()
}

fn ordinary_answer() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in [
        "date",
        "content-type",
        "content-length",
        "server",
        "cache-control",
        "vary",
    ] {
        headers.insert(name, "something".parse().unwrap());
    }
    headers
}

#[test]
fn a_call_on_an_open_session_allocates_nothing() {
    let (session, headers) = (open(), ordinary_answer());
    let mut requests = [request(), request(), request()];
    for request in &mut requests {
        let used = measure(|| {
            let mut call = Call::new(true);
            assert!(try_stamp(&session, &mut call, request).unwrap());
            let verdict = observe(
                &session,
                &mut call,
                || unreachable!(),
                StatusCode::OK,
                &headers,
            );
            assert_eq!(verdict, Verdict::Deliver);
        });
        assert_eq!((used.count_total, used.bytes_total), (0, 0));
        assert_eq!(request.headers().len(), 6);
    }
}

#[test]
fn the_counter_counts() {
    let used = measure(|| drop(std::hint::black_box(vec![0_u8; 100])));
    assert!(used.count_total > 0);
}
