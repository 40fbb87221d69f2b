//! One address in many spellings: what key and token go to.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

#[path = "../../ctc-ureq/tests/common/spellings.rs"]
mod spellings;

use ctc_driver::Outgoing;
use ctc_reqwest::reqwest::{Method, Request};
use ctc_reqwest::{
    AsyncCaller, AsyncStreamingCaller, CallError, CallOptions, Client, Endpoint, Error, Outbound,
};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use spellings::SPELLINGS;

const DEVICES: &str = "/connect/services/devices";

fn client(endpoint: &Endpoint) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
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
        let native = Outbound::new(Request::new(Method::GET, url.parse().unwrap()));
        assert_eq!(endpoint.is_origin_of(native.target()), is_ours, "{url}");
    }
}

#[tokio::test]
async fn an_ipv6_address_in_full_is_called_like_any_other() {
    let Some((server, url)) = spellings::on_ipv6() else {
        return;
    };
    let client = client(&Endpoint::danger_plain_http(&url).unwrap());
    client.login().await.unwrap();
    let absolute = format!("{url}{DEVICES}");
    let native = Request::new(Method::GET, absolute.parse().unwrap());
    for response in [
        client.get(DEVICES).send().await,
        client.get(&absolute).send().await,
        client.get(server.url() + DEVICES).send().await,
        client.execute(native).await,
    ] {
        assert_eq!(response.unwrap().status(), 200);
    }
    let fetch = async |url: &str| {
        let request = http::Request::get(url).body(Vec::new()).unwrap();
        client.fetch(request).await
    };
    assert_eq!(fetch(&absolute).await.unwrap().status(), 200);
    assert_eq!((server.counts().logins, server.counts().calls), (1, 5));

    for user in ["me", "me:pw", ":pw"] {
        let with_user = format!("http://{user}@[::1]:{}{DEVICES}", server.port());
        let native = || Request::new(Method::GET, with_user.parse().unwrap());
        let options = CallOptions::default();
        let sent = client.get(&with_user).send().await;
        assert!(matches!(sent, Err(Error::Path(_))));
        let sent = client.execute(native()).await;
        assert!(matches!(sent, Err(Error::Stamp(_))), "{user}");
        let sent = client.execute_with(native(), &options).await;
        assert!(matches!(sent, Err(Error::Stamp(_))));
        let fetched = fetch(&with_user).await;
        assert!(matches!(fetched, Err(CallError::Stamp(_))));
    }
    assert_eq!((server.counts().logins, server.counts().calls), (1, 5));
}

/// As with every client. That the server cannot be reached would be wrong.
#[tokio::test]
async fn what_is_neither_a_path_nor_a_url_is_for_another_origin() {
    let server = Server::start().unwrap();
    let client = client(&Endpoint::danger_plain_http(&server.url()).unwrap());
    for uri in ["elsewhere.example", "elsewhere.example:443", "*"] {
        let request = || http::Request::get(uri).body(Vec::new()).unwrap();
        let fetched = client.fetch(request()).await;
        assert!(matches!(fetched, Err(CallError::Stamp(_))), "{fetched:?}");
        let streamed = client.stream(request()).await.map(drop);
        assert!(matches!(streamed, Err(CallError::Stamp(_))), "{streamed:?}");
    }
    assert_eq!(server.counts().connections, 0);
}
