//! A newcomer's async app: ten tasks list devices at once, over reqwest.
#![allow(clippy::print_stdout, reason = "an example talks")]

use ctc_reqwest::{Client, Endpoint, Error};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Only with the feature `rustls-no-provider`: the program installs the crypto provider of its
    // choice.
    let _ = rustls::crypto::ring::default_provider().install_default();

    let server = Server::start()?; // in place of the real one
    let client = Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url())?) // or Endpoint::us(), Endpoint::eu()
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()?;

    let tasks: Vec<_> = (1..=10)
        .map(|page| {
            let request = client
                .get("/connect/services/devices")
                .query(&[("pg", page), ("pgsize", 2)]);
            tokio::spawn(async move { Ok::<_, Error>(request.send().await?.status()) })
        })
        .collect();
    for (task, page) in tasks.into_iter().zip(1..) {
        println!("Page {page}: {}", task.await??);
    }
    println!("Logged out: {:?}", client.logout().await);
    println!("The server received {} login.", server.counts().logins);
    Ok(())
}
