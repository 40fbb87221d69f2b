//! Building a client: ours, and the bare one with the same set-up.

use ctc_driver::ctc_core::Endpoint;

use crate::Failure;
use crate::scene::KEY;

/// A name, and what builds that client once.
pub type Built = (&'static str, fn() -> Result<(), Failure>);

/// Installs the crypto provider that the clients' TLS takes. Called by each program once.
pub fn install_tls() {
    // Another one that is there already does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The bare client first, each built for the vendor's endpoint, which nobody calls.
pub const PAIRS: [[Built; 2]; 2] = [
    [("build ureq bare", bare_ureq), ("build ureq", ureq)],
    [
        ("build reqwest bare", bare_reqwest),
        ("build reqwest", reqwest),
    ],
];

fn bare_ureq() -> Result<(), Failure> {
    let agent = ctc_ureq::http_client_builder().build().new_agent();
    std::hint::black_box(agent);
    Ok(())
}

fn ureq() -> Result<(), Failure> {
    let client = ctc_ureq::Client::builder()
        .endpoint(Endpoint::us())
        .app_key(KEY)
        .credentials("ada@example.com", "s3cret!s3cret!");
    std::hint::black_box(client.build()?);
    Ok(())
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
