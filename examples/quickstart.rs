//! The main features, async: logs in once, shares the session among a thousand tasks, recovers from
//! a revoked token, and logs out.
//!
//! `cargo run --example quickstart` uses a CTC test server on loopback. Also try an argument:
//! `wrong-password`, `down`, `hangs` or `rubbish`. With `CTC_USERNAME`, `CTC_PASSWORD`,
//! `CTC_APP_KEY` and `CTC_REGION` (`us` or `eu`) it logs in to the real account, once, and lists
//! the first devices.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks"
)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use ctc_examples::{Stage, explain, has_real_credentials};
use ctc_reqwest::{Client, Endpoint};
use serde_json::Value;

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
    if has_real_credentials() {
        return real_account(&Client::from_env()?).await;
    }
    let stage = Stage::from_args()?;
    println!(
        "A local CTC server listens on {} (no real account is touched).",
        stage.server.url()
    );
    let client = Client::builder()
        .endpoint(Endpoint::danger_plain_http(&stage.url)?)
        .app_key(stage.app_key)
        .credentials(stage.username, stage.password)
        .login_timeout(Duration::from_secs(3))
        .build()?;
    match stage.trouble {
        None => tour(&client, &stage).await,
        Some(_) => trouble(&client, &stage).await,
    }
}

/// The tour: what a program that uses CTC does all day.
async fn tour(client: &Client, stage: &Stage) -> Result<(), Box<dyn Error>> {
    let devices = pages(client, "/connect/services/devices").await?;
    println!(
        "Logged in with the first call, then listed {} devices.",
        devices.len()
    );

    let first = devices
        .first()
        .and_then(|item| item["device"]["id"].as_u64())
        .ok_or("no device")?;
    let events = pages(
        client,
        &format!("/connect/services/devices/{first}/avlevents"),
    )
    .await?;
    println!("Paged through {} events of device {first}.", events.len());

    let answered = a_thousand_calls(client, first).await?;
    println!("1,000 tasks called at once: {answered} responses of 200, still one login.");

    stage.server.revoke_all();
    let answered = a_thousand_calls(client, first).await?;
    println!(
        "The server revoked the token. 1,000 more: {answered} responses of 200, \
         one more login for all."
    );

    println!("Logged out: {:?}.", client.logout().await);
    match client.get("/connect/services/devices").send().await {
        Ok(response) => {
            return Err(format!(
                "a call after logout was sent, and answered {}",
                response.status()
            )
            .into());
        }
        Err(error) => {
            println!("A call after that is denied without a request: {error}.");
        }
    }
    println!("{}", stage.summary());
    Ok(())
}

/// Returns all items of a paged collection.
async fn pages(client: &Client, path: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut items = Vec::new();
    for page in 1_u32.. {
        let query = [("pg", page), ("pgsize", 100)];
        let response = client
            .get(path)
            .query(&query)
            .send()
            .await?
            .error_for_status()?;
        let response: Value = response.json().await?;
        let results = response["response"]["results"]
            .as_array()
            .ok_or("an answer without results")?;
        if results.is_empty() {
            break;
        }
        items.extend_from_slice(results);
    }
    Ok(items)
}

async fn a_thousand_calls(client: &Client, device: u64) -> Result<usize, Box<dyn Error>> {
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let request = client.get(format!("/connect/services/devices/{device}"));
            tokio::spawn(async move { request.send().await })
        })
        .collect();
    let mut answered = 0;
    for call in calls {
        answered += usize::from(call.await??.status().is_success());
    }
    Ok(answered)
}

/// Shows a failed login: the server is asked once, and every later caller gets the same reason.
async fn trouble(client: &Client, stage: &Stage) -> Result<(), Box<dyn Error>> {
    let Err(error) = client.login().await else {
        return Err("the login should have failed".into());
    };
    println!("The login failed: {}.", explain(&error));
    for _ in 0..3 {
        if let Err(error) = client.get("/connect/services/devices").send().await {
            println!("A further call fails immediately: {error}.");
        }
    }
    println!(
        "The server was asked for {} login(s).",
        stage.server.counts().login_requests
    );
    Err(error.into())
}

/// Uses a real account: one login and one call, without a logout. A program that runs often should
/// save the session in a store.
async fn real_account(client: &Client) -> Result<(), Box<dyn Error>> {
    let response = client
        .get("/connect/services/devices")
        .query(&[("pgsize", 5)])
        .send()
        .await?;
    println!(
        "Logged in. The first devices, status {}:",
        response.status()
    );
    println!("{}", response.text().await?);
    println!("done: {:?}", client.session().counts());
    Ok(())
}
