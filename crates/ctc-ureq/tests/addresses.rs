//! One address in many spellings: what key and token go to.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

#[path = "common/spellings.rs"]
mod spellings;

use ctc_driver::Outgoing;
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_ureq::{
    CallError, CallOptions, Caller, Client, Endpoint, Error, Outbound, StreamingCaller,
};
use http::Request;
use spellings::SPELLINGS;

const DEVICES: &str = "/connect/services/devices";

fn client(endpoint: &Endpoint) -> Client {
    Client::builder()
        .endpoint(endpoint.clone())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()
        .unwrap()
}

#[test]
fn spellings_of_an_address_are_ours_or_foreign_however_a_call_is_made() {
    for &(endpoint, url, is_ours) in SPELLINGS {
        let endpoint = Endpoint::new(endpoint).unwrap();
        let built = client(&endpoint).get(url).build();
        match &built {
            Ok(_) => assert!(is_ours, "{endpoint} {url}"),
            Err(error) => assert!(!is_ours && matches!(error, Error::Path(_)), "{url} {error}"),
        }
        let native = Outbound::new(Request::get(url).body(()).unwrap());
        assert_eq!(endpoint.is_origin_of(native.target()), is_ours, "{url}");
    }
}

#[test]
fn an_ipv6_address_in_full_is_called_like_any_other() {
    let Some((server, url)) = spellings::on_ipv6() else {
        return;
    };
    let client = client(&Endpoint::danger_plain_http(&url).unwrap());
    client.login().unwrap();
    let absolute = format!("{url}{DEVICES}");
    let native = || Request::get(&absolute).body(()).unwrap();
    for response in [
        client.get(DEVICES).send(),
        client.get(&absolute).send(),
        client.get(server.url() + DEVICES).send(),
        client.execute(native()),
    ] {
        assert_eq!(response.unwrap().status(), 200);
    }
    let fetched = client.fetch(native().map(|()| Vec::new())).unwrap();
    assert_eq!(fetched.status(), 200);
    assert_eq!((server.counts().logins, server.counts().calls), (1, 5));

    let with_user = format!("http://me@[::1]:{}{DEVICES}", server.port());
    let native = || Request::get(&with_user).body(()).unwrap();
    let options = CallOptions::default();
    assert!(matches!(client.get(&with_user).send(), Err(Error::Path(_))));
    assert!(matches!(client.execute(native()), Err(Error::Stamp(_))));
    let sent = client.execute_with(native(), &options);
    assert!(matches!(sent, Err(Error::Stamp(_))));
    let fetched = client.fetch(native().map(|()| Vec::new()));
    assert!(matches!(fetched, Err(CallError::Stamp(_))));
    assert_eq!((server.counts().logins, server.counts().calls), (1, 5));
}

#[test]
fn what_is_neither_a_path_nor_a_url_is_for_another_origin() {
    let server = Server::start().unwrap();
    let client = client(&Endpoint::danger_plain_http(&server.url()).unwrap());
    for uri in ["elsewhere.example", "elsewhere.example:443", "*"] {
        let request = || Request::get(uri).body(Vec::new()).unwrap();
        let fetched = client.fetch(request());
        assert!(matches!(fetched, Err(CallError::Stamp(_))), "{fetched:?}");
        let streamed = client.stream(request()).map(drop);
        assert!(matches!(streamed, Err(CallError::Stamp(_))), "{streamed:?}");
    }
    assert_eq!(server.counts().connections, 0);
}
