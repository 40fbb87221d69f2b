//! The SDK in `examples/sdk/` in use, blocking: devices, an iterator of events, a note.
//!
//! `cargo run --example sdk_blocking` uses a CTC test server on loopback.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use ctc_examples::{explain, login, sdk::blocking::Fleet};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_ureq::{Client, Endpoint};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start()?;
    let ctc = Client::builder()
        // Loopback only. For the real service: Endpoint::us() or Endpoint::eu().
        .endpoint(Endpoint::danger_plain_http(&server.url())?)
        // With CTC_LOGIN=oauth, the other login; the SDK does not notice.
        .login(login(&server)?)
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()?;
    // The SDK takes any client of ours, or your own. Keep a clone for what the SDK does not do:
    // logging out.
    let fleet = Fleet::new(ctc.clone());

    let devices: Vec<_> = fleet.devices().collect::<Result<_, _>>()?;
    let first = devices.first().ok_or("no device")?;
    println!(
        "{} devices; the first is {}, number {}.",
        devices.len(),
        first.name,
        first.id
    );

    let mut starts = 0;
    let mut seen = 0;
    for event in fleet.events(first.id) {
        seen += 1;
        starts += u32::from(event?.event_type == "Ignition On");
        if seen == 100 {
            server.revoke_all();
            println!("After 100 events the server revokes the token; the caller does not notice.");
        }
    }
    println!("{seen} events, {starts} times the ignition was turned on.");

    let note = fleet.add_note(first.id, "tires checked")?;
    println!("Added note {}: {}.", note.id, note.text);

    ctc.logout();
    if let Err(error) = fleet.device(first.id) {
        println!("After logout: {}.", explain(&error));
    }
    let counts = server.counts();
    println!(
        "done: {} calls, {} logins, {} violations",
        counts.calls, counts.logins, counts.violations
    );
    Ok(())
}
