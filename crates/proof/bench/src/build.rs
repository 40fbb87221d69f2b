//! Building a client: ours, and the bare one with the same setup.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ctc_driver::ctc_core::{
    Admit, AppKey, Call, Credentials, Endpoint, FormBody, Session, Settings,
};
use ctc_driver::{LoginRequest, Transport};
use ctc_ureq::{Outbound, UreqTransport};
use http::Request;

use crate::Failure;
use crate::scene::KEY;

/// A name, and what builds that client once.
pub type Built = (&'static str, fn() -> Result<(), Failure>);

/// Installs the crypto provider that the clients' TLS takes. Called by each program once.
pub fn install_tls() {
    // Another one that is there already does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The bare client first, each built for the vendor's endpoint, which nobody calls. A ureq agent
/// sets TLS up when it first connects: that it does here, to a server that hangs up.
pub const PAIRS: [[Built; 2]; 2] = [
    [
        ("build ureq and its TLS, bare", bare_ureq),
        ("build ureq and its TLS", ureq),
    ],
    [
        ("build reqwest bare", bare_reqwest),
        ("build reqwest", reqwest),
    ],
];

fn bare_ureq() -> Result<(), Failure> {
    let agent = ctc_ureq::http_client_builder()
        .proxy(None)
        .build()
        .new_agent();
    let url = hanging_up()?;
    // A login first, then a call, as ours does.
    no_response(&agent.post(url).send("form"))?;
    no_response(&agent.get(url).call())
}

fn ureq() -> Result<(), Failure> {
    let url = hanging_up()?;
    let client = ctc_ureq::Client::builder()
        .endpoint(Endpoint::new(url)?)
        .app_key(KEY)
        .credentials("ada@example.com", "s3cret!s3cret!");
    std::hint::black_box(client.build()?);
    // The client itself would make no call after a login that failed; its transport does.
    let config = ctc_ureq::http_client_builder().proxy(None).build();
    let transport = UreqTransport::from_config(config);
    no_response(&transport.send_login(LoginRequest::new(login(url)?, LOGIN_TIMEOUT)))?;
    let call = Request::get(url).body(())?;
    no_response(&transport.send(Outbound::new(call)))
}

/// The login that the core makes.
fn login(url: &str) -> Result<Request<FormBody>, Failure> {
    let mut session = Session::new(
        Endpoint::new(url)?,
        AppKey::new(KEY)?,
        Credentials::new("ada@example.com", "s3cret!s3cret!")?,
        Settings::default(),
    )?;
    match session.admit(&mut Call::new(false), Instant::now()) {
        Admit::Login(order) => Ok(order.request),
        _ => Err("the first caller was not elected".into()),
    }
}

const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A server that ends each connection before TLS begins.
fn hanging_up() -> Result<&'static str, Failure> {
    static URL: OnceLock<String> = OnceLock::new();
    if let Some(url) = URL.get() {
        return Ok(url);
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("https://{}/", listener.local_addr()?);
    std::thread::spawn(move || listener.incoming().for_each(drop));
    Ok(URL.get_or_init(|| url))
}

fn no_response<R, E>(result: &Result<R, E>) -> Result<(), Failure> {
    match result {
        Ok(_) => Err("a server that hangs up sent a response".into()),
        Err(_) => Ok(()),
    }
}

fn bare_reqwest() -> Result<(), Failure> {
    std::hint::black_box(ctc_reqwest::http_client_builder().build()?);
    Ok(())
}

fn reqwest() -> Result<(), Failure> {
    let client = ctc_reqwest::Client::builder()
        .endpoint(Endpoint::us())
        .app_key(KEY)
        .credentials("ada@example.com", "s3cret!s3cret!");
    std::hint::black_box(client.build()?);
    Ok(())
}
