//! One address in many spellings: what key and token go to.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

mod common;
#[path = "../../ctc-ureq/tests/common/spellings.rs"]
mod spellings;

use std::convert::Infallible;

use bytes::Bytes;
use common::{DEVICES, get, hyper};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME};
use ctc_tower::{CallError, CtcLayer, Endpoint, SessionConfig, SharedSession};
use http::{Request, Response};
use http_body_util::Full;
use spellings::SPELLINGS;
use tower::{Layer, ServiceExt, service_fn};

fn session(endpoint: Endpoint) -> SharedSession {
    let config = SessionConfig::new().endpoint(endpoint);
    let config = config.app_key(DEFAULT_APP_KEY);
    let config = config.credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    config.build().unwrap()
}

#[tokio::test]
async fn spellings_of_an_address_are_ours_or_foreign() {
    for &(endpoint, url, is_ours) in SPELLINGS {
        let server = service_fn(async |_: Request<Full<Bytes>>| {
            let response = Response::builder().header("set-cookie", "authToken=AAAA");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        });
        let session = session(Endpoint::new(endpoint).unwrap());
        let sent = CtcLayer::new(session).layer(server).oneshot(get(url)).await;
        match sent {
            Ok(_) => assert!(is_ours, "{endpoint} {url}"),
            Err(CallError::Stamp(_)) => assert!(!is_ours, "{endpoint} {url}"),
            Err(error) => panic!("{endpoint} {url}: {error}"),
        }
    }
}

#[tokio::test]
async fn an_ipv6_address_in_full_is_called_like_any_other() {
    let Some((server, url)) = spellings::on_ipv6() else {
        return;
    };
    let session = session(Endpoint::danger_plain_http(&url).unwrap());
    let service = CtcLayer::new(session).layer(hyper());
    for url in [
        DEVICES.to_owned(),
        format!("{url}{DEVICES}"),
        server.url() + DEVICES,
    ] {
        let response = service.clone().oneshot(get(&url)).await;
        assert_eq!(response.unwrap().status(), 200, "{url}");
    }
    let with_user = format!("http://me@[::1]:{}{DEVICES}", server.port());
    let refused = service.oneshot(get(&with_user)).await;
    assert!(matches!(refused, Err(CallError::Stamp(_))));
    assert_eq!((server.counts().logins, server.counts().calls), (1, 3));
}
