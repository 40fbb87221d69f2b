//! One call through each client: ours, and bare ones with the same three headers set by hand.

use std::time::Duration;

use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{AsyncDriver, CallOptions, Driver, Tokio};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::runtime::{Builder, Runtime};

use crate::Failure;
use crate::scene::{ACCEPT_JSON, KEY, Limit, request};
use crate::stub::{Stub, session};

const PATH: &str = "/connect/services/devices?pg=1";

/// Something that makes the same call again and again.
pub trait Calls {
    /// Makes one call and reads its response to the end.
    ///
    /// # Errors
    /// Returns an error if there is no response, or not the expected one.
    fn call(&self) -> Result<(), Failure>;
}

/// All clients by name, the bare ones first.
pub const PAIRS: &[[&str; 2]] = &[
    ["stub blocking bare", "stub blocking"],
    ["stub async bare", "stub async"],
    ["ureq bare", "ureq"],
    ["ureq bare, 2 headers", "ureq, 2 headers"],
    ["reqwest bare", "reqwest"],
    ["reqwest bare, 2 headers", "reqwest, 2 headers"],
];

/// Bare clients that join a path to an origin that was parsed once, and ours, which do the same.
pub const JOINED: &[[&str; 2]] = &[
    ["ureq bare, joined", "ureq"],
    ["reqwest bare, joined", "reqwest"],
];

/// Returns the client with this name, logged in, for the server at `url`.
///
/// # Errors
/// Returns an error if there is no such client or server.
pub fn client(name: &str, url: &str) -> Result<Box<dyn Calls>, Failure> {
    let headers = match name.strip_suffix(", 2 headers") {
        Some(_) => [("x-request-id", "0123456789"), ("user-agent", "probe/1")].as_slice(),
        None => &[],
    };
    // Once a second thread has run, the C library's locks and system calls take more instructions.
    // ureq's timeouts start one, at the login; so does every real program.
    let _ = std::thread::spawn(|| ()).join();
    Ok(match name.trim_end_matches(", 2 headers") {
        "stub blocking bare" => Box::new(BareStub::new(None)?),
        "stub blocking" => Box::new(OverStub::new()?),
        "stub async bare" => Box::new(BareStub::new(Some(runtime()?))?),
        "stub async" => Box::new(OverAsyncStub::new()?),
        "ureq bare" => Box::new(BareUreq::new(url, headers)?),
        "ureq bare, joined" => Box::new(JoinedUreq::new(url)?),
        "ureq" => Box::new(Ureq::new(url, headers)?),
        "reqwest bare" => Box::new(BareReqwest::new(url, headers)?),
        "reqwest bare, joined" => {
            Box::new(JoinedReqwest(BareReqwest::new(url, headers)?, url.parse()?))
        }
        "reqwest" => Box::new(Reqwest::new(url, headers)?),
        other => return Err(format!("no client named {other}").into()),
    })
}

type Headers = &'static [(&'static str, &'static str)];

fn name(header: &(&'static str, &'static str)) -> HeaderName {
    HeaderName::from_static(header.0)
}

fn value(header: &(&'static str, &'static str)) -> HeaderValue {
    HeaderValue::from_static(header.1)
}

fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

struct Ours<D> {
    client: D,
    headers: Headers,
}

struct Bare<C> {
    client: C,
    headers: Headers,
    url: String,
    limit: Limit,
}

impl<C> Bare<C> {
    fn new(client: C, url: &str, headers: Headers) -> Result<Self, Failure> {
        Ok(Self {
            client,
            headers,
            url: url.to_owned(),
            limit: Limit::new()?,
        })
    }

    fn stamp(&self, headers: &mut HeaderMap) {
        for header in self.headers {
            headers.append(name(header), value(header));
        }
        self.limit.stamp(headers);
        headers.insert(ACCEPT, ACCEPT_JSON);
    }
}

struct BareUreq(Bare<ureq::Agent>);

impl BareUreq {
    fn new(url: &str, headers: Headers) -> Result<Self, Failure> {
        // Without a proxy, like our client for a server on this machine.
        let agent = ctc_ureq::http_client_builder()
            .proxy(None)
            .build()
            .new_agent();
        Ok(Self(Bare::new(agent, url, headers)?))
    }
}

impl Calls for BareUreq {
    fn call(&self) -> Result<(), Failure> {
        let Self(bare) = self;
        let mut request = Request::get(format!("{}{PATH}", bare.url)).body(())?;
        bare.stamp(request.headers_mut());
        expect(
            bare.client
                .run(request)?
                .body_mut()
                .read_to_string()?
                .as_bytes(),
        )
    }
}

/// Does by hand what [`Endpoint::join`] does.
struct JoinedUreq(BareUreq, Endpoint);

impl JoinedUreq {
    fn new(url: &str) -> Result<Self, Failure> {
        Ok(Self(
            BareUreq::new(url, &[])?,
            Endpoint::danger_plain_http(url)?,
        ))
    }
}

impl Calls for JoinedUreq {
    fn call(&self) -> Result<(), Failure> {
        let Self(BareUreq(bare), origin) = self;
        let mut request = Request::new(());
        *request.uri_mut() = origin.join(PATH)?;
        bare.stamp(request.headers_mut());
        expect(
            bare.client
                .run(request)?
                .body_mut()
                .read_to_string()?
                .as_bytes(),
        )
    }
}

struct Ureq(Ours<ctc_ureq::Client>);

impl Ureq {
    fn new(url: &str, headers: Headers) -> Result<Self, Failure> {
        let client = ctc_ureq::Client::builder().endpoint(Endpoint::danger_plain_http(url)?);
        let client = client
            .app_key(KEY)
            .credentials("ada@example.com", "s3cret!")
            .build()?;
        client.login()?;
        Ok(Self(Ours { client, headers }))
    }
}

impl Calls for Ureq {
    fn call(&self) -> Result<(), Failure> {
        let Self(ours) = self;
        let request = ours.client.get(PATH);
        // One after the other, as a program does it.
        let mut response = match ours.headers {
            [first, second] => request
                .header(name(first), value(first))
                .header(name(second), value(second))
                .send()?,
            _ => request.send()?,
        };
        expect(response.body_mut().read_to_string()?.as_bytes())
    }
}

struct BareReqwest(Bare<reqwest::Client>, Runtime);

impl BareReqwest {
    fn new(url: &str, headers: Headers) -> Result<Self, Failure> {
        let client = ctc_reqwest::http_client_builder().no_proxy().build()?;
        Ok(Self(Bare::new(client, url, headers)?, runtime()?))
    }
}

impl Calls for BareReqwest {
    fn call(&self) -> Result<(), Failure> {
        let Self(bare, runtime) = self;
        let mut request = bare.client.get(format!("{}{PATH}", bare.url)).build()?;
        bare.stamp(request.headers_mut());
        runtime.block_on(async { expect(&bare.client.execute(request).await?.bytes().await?) })
    }
}

struct JoinedReqwest(BareReqwest, reqwest::Url);

impl Calls for JoinedReqwest {
    fn call(&self) -> Result<(), Failure> {
        let Self(BareReqwest(bare, runtime), origin) = self;
        let mut request = bare.client.get(origin.join(PATH)?).build()?;
        bare.stamp(request.headers_mut());
        runtime.block_on(async { expect(&bare.client.execute(request).await?.bytes().await?) })
    }
}

struct Reqwest(Ours<ctc_reqwest::Client>, Runtime);

impl Reqwest {
    fn new(url: &str, headers: Headers) -> Result<Self, Failure> {
        let client = ctc_reqwest::Client::builder().endpoint(Endpoint::danger_plain_http(url)?);
        let client = client
            .app_key(KEY)
            .credentials("ada@example.com", "s3cret!")
            .build()?;
        let runtime = runtime()?;
        runtime.block_on(client.login())?;
        Ok(Self(Ours { client, headers }, runtime))
    }
}

impl Calls for Reqwest {
    fn call(&self) -> Result<(), Failure> {
        let Self(ours, runtime) = self;
        let request = ours.client.get(PATH);
        // One after the other, as a program does it.
        let request = match ours.headers {
            [first, second] => request
                .header(name(first), value(first))
                .header(name(second), value(second)),
            _ => request,
        };
        runtime.block_on(async { expect(&request.send().await?.bytes().await?) })
    }
}

struct BareStub {
    stub: Stub,
    limit: Limit,
    runtime: Option<Runtime>,
}

impl BareStub {
    fn new(runtime: Option<Runtime>) -> Result<Self, Failure> {
        let stub = Stub::new(Duration::ZERO, false);
        // One login makes the token of the limit valid.
        Driver::new(session()?, stub.clone(), None).login(&CallOptions::default())?;
        Ok(Self {
            stub,
            limit: Limit::new()?,
            runtime,
        })
    }
}

impl Calls for BareStub {
    fn call(&self) -> Result<(), Failure> {
        let mut request = request()?;
        self.limit.stamp(request.headers_mut());
        let response = match &self.runtime {
            None => ctc_driver::Transport::send(&self.stub, request)?,
            Some(runtime) => {
                runtime.block_on(ctc_driver::AsyncTransport::send(&self.stub, request))?
            }
        };
        expect_ok(response.status())
    }
}

struct OverStub(Driver<Stub>);

impl OverStub {
    fn new() -> Result<Self, Failure> {
        let driver = Driver::new(session()?, Stub::new(Duration::ZERO, false), None);
        driver.login(&CallOptions::default())?;
        Ok(Self(driver))
    }
}

impl Calls for OverStub {
    fn call(&self) -> Result<(), Failure> {
        expect_ok(
            self.0
                .execute(request()?, &CallOptions::default())?
                .status(),
        )
    }
}

struct OverAsyncStub(AsyncDriver<Stub>, Runtime);

impl OverAsyncStub {
    fn new() -> Result<Self, Failure> {
        let (driver, runtime) = (
            AsyncDriver::new(
                session()?,
                Stub::new(Duration::ZERO, false),
                Tokio::current(),
                None,
            ),
            runtime()?,
        );
        runtime.block_on(driver.login(&CallOptions::default()))?;
        Ok(Self(driver, runtime))
    }
}

impl Calls for OverAsyncStub {
    fn call(&self) -> Result<(), Failure> {
        let Self(driver, runtime) = self;
        let (request, options) = (request()?, CallOptions::default());
        expect_ok(
            runtime
                .block_on(driver.execute(request, &options))?
                .status(),
        )
    }
}

fn expect(body: &[u8]) -> Result<(), Failure> {
    if body == b"[]" {
        Ok(())
    } else {
        Err("not the answer that was expected".into())
    }
}

fn expect_ok(status: http::StatusCode) -> Result<(), Failure> {
    if status == 200 {
        Ok(())
    } else {
        Err(format!("answered with {status}").into())
    }
}
