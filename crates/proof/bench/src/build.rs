//! Building a client: ours, and a bare one with the same setup.

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

/// A name, and a function that builds that client.
pub type Built = (&'static str, fn() -> Result<(), Failure>);

/// Installs the crypto provider of the clients' TLS. Each program calls it once.
pub fn install_tls() {
    // Ignore the error: a provider that is already installed is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The builders, the bare client's first. Each builds a client for the vendor's endpoint, which is
/// not called. A ureq agent sets up TLS when it first connects: here, to a server that hangs up.
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
    // A login first, then a call, as our client does.
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
    // The client itself would not make a call after a failed login, so use its transport.
    let config = ctc_ureq::http_client_builder().proxy(None).build();
    let transport = UreqTransport::from_config(config);
    no_response(&transport.send_login(LoginRequest::new(login(url)?, LOGIN_TIMEOUT)))?;
    let call = Request::get(url).body(())?;
    no_response(&transport.send(Outbound::new(call)))
}

/// Returns the login that the core makes.
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

/// Starts a server that closes each connection before TLS begins.
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
