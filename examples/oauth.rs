//! The OAuth login, async: logs in at the token endpoint, shares the token among a thousand tasks,
//! logs in again after its end, and prints why a login was rejected.
//!
//! `cargo run --example oauth` uses a CTC test server on loopback. For a real account, set
//! `CTC_LOGIN=oauth` and run the quickstart.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks"
)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use ctc_examples::explain;
use ctc_reqwest::{Client, Endpoint, Login, OAuth};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};

#[tokio::main]
async fn main() -> ExitCode {
    // The program chooses the crypto provider of its TLS; the adapters do not.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", explain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    // A thousand calls at once take a thousand sockets here and as many in the server.
    let _ = rlimit::increase_nofile_limit(8192);
    let server = Server::start()?;
    println!(
        "A local CTC server listens on {}, and its token endpoint on {}.",
        server.url(),
        server.token_url()
    );
    let ctc = client(&server, DEFAULT_PASSWORD)?;

    let responses = a_thousand_calls(&ctc).await?;
    println!("1,000 tasks called at once: {responses} responses of 200, one login.");

    server.advance(Duration::from_secs(24 * 3600));
    let responses = a_thousand_calls(&ctc).await?;
    println!("A day later, 1,000 more: {responses} responses of 200, one more login for all.");

    // A rejection says whether the credentials or the configuration is wrong, and stops all logins.
    let stranger = client(&server, "not-the-password!")?;
    for _ in 0..3 {
        let Err(error) = stranger.get("/connect/services/devices").send().await else {
            return Err("a wrong password was accepted".into());
        };
        println!("With a wrong password: {}.", explain(&error));
    }

    println!("Logged out: {:?}.", ctc.logout().await);
    let counts = server.counts();
    println!(
        "done: {} calls, {} logins, {} responses of 401, {} violations",
        counts.calls, counts.logins, counts.unauthorized, counts.violations
    );
    Ok(())
}

fn client(server: &Server, password: &str) -> Result<Client, Box<dyn Error>> {
    // Loopback only. For the real service: OAuth::us() and Endpoint::us(), or eu() for both.
    let oauth = OAuth::danger_plain_http(&server.token_url(), DEFAULT_CLIENT_ID)?;
    let client = Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url())?)
        .login(Login::OAuth(oauth))
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, password)
        .build()?;
    Ok(client)
}

async fn a_thousand_calls(client: &Client) -> Result<usize, Box<dyn Error>> {
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let request = client.get("/connect/services/devices");
            tokio::spawn(async move { request.send().await })
        })
        .collect();
    let mut responses = 0;
    for call in calls {
        responses += usize::from(call.await??.status().is_success());
    }
    Ok(responses)
}
