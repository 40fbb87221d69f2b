//! The walk, through ctc-reqwest.

#[path = "walk.rs"]
pub(crate) mod walk;

use ctc_reqwest::reqwest::{Client, redirect::Policy};
use ctc_reqwest::{RequestBuilder, http_client_builder};
use ctc_testkit::{Fault, Matcher, Rule, Server};

use crate::Report;
pub(crate) use ctc_reqwest as adapter;

pub(crate) fn wait<T>(response: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(response)
}

pub(crate) fn http_client() -> Client {
    http_client_builder().build().unwrap()
}

/// A body that can be read only once.
pub(crate) fn with_stream(request: RequestBuilder) -> RequestBuilder {
    let stream = futures_util::stream::once(async { Ok::<_, std::io::Error>("once") });
    request.body(ctc_reqwest::reqwest::Body::wrap_stream(stream))
}

pub(crate) fn native(url: &str) -> ctc_reqwest::reqwest::Request {
    Client::new().get(url).build().unwrap()
}

/// An error of this adapter only: reqwest follows redirects unless configured otherwise.
pub(crate) fn of_its_own(report: &mut Report) {
    let server = Server::start().unwrap();
    let elsewhere = Server::start().unwrap();
    let follows = || {
        Client::builder()
            .redirect(Policy::default())
            .build()
            .unwrap()
    };
    let redirect = |to: String| Fault::Redirect {
        status: 307,
        location: to,
    };
    server.inject(Rule::once(
        Matcher::Login,
        redirect(format!("{}/x", server.url())),
    ));
    let client = walk::builder(&server)
        .http_client(follows())
        .build()
        .unwrap();
    report.tell(
        "your own HTTP client follows a redirect at login",
        &walk::login(&client),
    );

    let client = walk::builder(&server)
        .http_client(follows())
        .build()
        .unwrap();
    server.inject(Rule::once(
        Matcher::AnyCall,
        redirect(format!("{}/x", elsewhere.url())),
    ));
    let error = wait(client.get(walk::DEVICES).send()).unwrap_err();
    report.tell(
        "your own HTTP client follows a redirect of a call to another host",
        &error,
    );
}
