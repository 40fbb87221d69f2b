//! Two clients in a program that enables no TLS feature of either adapter.
//!
//! `cargo test -p ctc-no-tls --features alone`

use std::error::Error;

/// Returns each adapter's name, and its error for an `https` endpoint with all causes.
///
/// # Errors
/// Returns an error if a client cannot be built.
pub fn complaints() -> Result<[(&'static str, String); 2], Box<dyn Error>> {
    let blocking = ctc_ureq::Client::builder()
        .endpoint(ctc_ureq::Endpoint::new(&nobody())?)
        .app_key("my-key")
        .credentials("ada@example.com", "s3cret!s3cret!")
        .build()?;
    let asynchronous = ctc_reqwest::Client::builder()
        .endpoint(ctc_reqwest::Endpoint::new(&nobody())?)
        .app_key("my-key")
        .credentials("ada@example.com", "s3cret!s3cret!")
        .build()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let login = runtime.block_on(asynchronous.login());
    Ok([("reqwest", told(login)), ("ureq", told(blocking.login()))])
}

/// Returns an address that accepts connections, so that only TLS is missing: the listener stays
/// open.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")
        .map(Box::new)
        .map(Box::leak);
    let port = listener
        .and_then(|listener| listener.local_addr())
        .map_or(0, |address| address.port());
    format!("https://localhost:{port}")
}

fn told<E: Error>(login: Result<(), E>) -> String {
    let Err(error) = login else {
        return String::from("logged in");
    };
    let mut text = error.to_string();
    let mut link = error.source();
    while let Some(source) = link {
        text.push_str(&format!("\n  caused by: {source}"));
        link = source.source();
    }
    text
}
