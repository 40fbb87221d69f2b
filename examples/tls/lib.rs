//! Two clients with their defaults, in a program with some TLS features of both adapters.
//!
//! `cargo test -p ctc-tls --features alone,rustls`, and so on.

use std::error::Error;

/// Makes a call to an `https` endpoint through each adapter. Returns its status, or its error with
/// all causes.
pub fn call(url: &str) -> [(&'static str, Result<u16, String>); 2] {
    [("reqwest", over_reqwest(url)), ("ureq", over_ureq(url))].map(|(adapter, called)| {
        let told = called.map_err(|error| {
            let mut text = error.to_string();
            let mut link = error.source();
            while let Some(source) = link {
                text.push_str(&format!(": {source}"));
                link = source.source();
            }
            text
        });
        (adapter, told)
    })
}

const PATH: &str = "/connect/services/devices";

fn over_ureq(url: &str) -> Result<u16, Box<dyn Error>> {
    let client = ctc_ureq::Client::builder()
        .endpoint(ctc_ureq::Endpoint::new(url)?)
        .app_key("test-app-key")
        .credentials("ada@example.com", "s3cret!s3cret!")
        .build()?;
    Ok(client.get(PATH).send()?.status().as_u16())
}

fn over_reqwest(url: &str) -> Result<u16, Box<dyn Error>> {
    let client = ctc_reqwest::Client::builder()
        .endpoint(ctc_reqwest::Endpoint::new(url)?)
        .app_key("test-app-key")
        .credentials("ada@example.com", "s3cret!s3cret!")
        .build()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let response = runtime.block_on(client.get(PATH).send())?;
    Ok(response.status().as_u16())
}
