//! A newcomer's blocking app: reads a device and writes a note, over ureq; then tries a wrong
//! password.
#![allow(clippy::print_stdout, reason = "an example talks")]

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use ctc_ureq::{Client, Endpoint, Error};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?; // in place of the real one
    let endpoint = Endpoint::danger_plain_http(&server.url())?; // or Endpoint::us(), Endpoint::eu()
    let client = Client::builder()
        .endpoint(endpoint.clone())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()?;

    let mut device = client.get("/connect/services/devices/1001").send()?;
    println!("The device: {}", device.body_mut().read_to_string()?);
    let note = client
        .post("/connect/services/devices/1001/notes")
        .body("tires checked")
        .send()?;
    println!("The note: {}", note.status());

    let mistaken = Client::builder()
        .endpoint(endpoint)
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, "mistyped!")
        .build()?;
    match mistaken.get("/connect/services/devices").send() {
        Err(Error::Denied(denied)) => println!(
            "Denied: {denied}. Waiting helps: {:?}",
            denied.retry_after()
        ),
        other => println!("That should not have worked: {other:?}"),
    }
    Ok(())
}
