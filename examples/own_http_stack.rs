//! An HTTP stack of your own: hyper, which this project ships no adapter for.
//!
//! All that it takes is a transport of 40 lines, shown in the manual's page `transports`. In return
//! it gets everything that the shipped adapters have: one login for many tasks, the renewal of an
//! invalidated token, fair use, a store if you want one. The example `smol` shows a runtime of your
//! own.
//!
//! It runs against a CTC server on this machine: `cargo run --example own_http_stack`. To speak to
//! the real one, put a TLS connector in the place of `HttpConnector`.
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

#[path = "../crates/ctc-driver/src/manual/own_transport.rs"]
mod own_transport;

use std::error::Error;

use ctc_driver::ctc_core::{AppKey, Credentials, Endpoint, Session, Settings};
use ctc_driver::{AsyncDriver, CallOptions, SharedSession, Tokio};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use http::Request;
use http_body_util::{BodyExt, Full};
pub(crate) use own_transport::Hyper;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start()?;
    println!(
        "A CTC server runs at {}. Nobody has logged in yet.",
        server.url()
    );

    let session = Session::new(
        // This machine only: `Endpoint::us()` or `Endpoint::eu()` is the real one.
        Endpoint::danger_plain_http(&server.url())?,
        AppKey::new(DEFAULT_APP_KEY)?,
        Credentials::new(DEFAULT_USERNAME, DEFAULT_PASSWORD)?,
        Settings::default(),
    )?;
    let ctc = AsyncDriver::new(
        SharedSession::new(session),
        Hyper::new(),
        Tokio::current(),
        None,
    );
    let devices = format!("{}/connect/services/devices?pg=1&pgsize=2", server.url());
    let call = || Request::get(&devices).body(Full::default());

    println!("\nThree tasks ask for devices at the same moment; none has a token.");
    let options = CallOptions::default();
    let (a, b, c) = tokio::join!(
        ctc.execute(call()?, &options),
        ctc.execute(call()?, &options),
        ctc.execute(call()?, &options),
    );
    println!(
        "  They got {}, {} and {}.",
        a?.status(),
        b?.status(),
        c?.status()
    );
    println!(
        "  The server saw {} login: one did it for all three.",
        server.counts().logins
    );

    println!("\nThe server revokes the token. We do not know that, and just call.");
    server.revoke_all();
    let response = ctc.execute(call()?, &options).await?;
    let counts = server.counts();
    println!("  We got {}.", response.status());
    println!(
        "  The server saw {} response of 401, and then login number {}.",
        counts.unauthorized, counts.logins
    );
    let text = String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?;
    println!("  It begins: {text:.60}…");

    println!("\nWe log out.");
    println!("  The server's word: {:?}", ctc.logout().await);
    match ctc.execute(call()?, &options).await {
        Ok(response) => println!(
            "  A call after that got {}, and should not have.",
            response.status()
        ),
        Err(error) => println!("  A call after that is not even sent: {error}."),
    }

    let counts = server.counts();
    println!(
        "\ndone: {} calls, {} logins, {} responses of 401, {} violations",
        counts.calls, counts.logins, counts.unauthorized, counts.violations
    );
    Ok(())
}
