//! The main features, blocking: logs in once, shares the session among fifty threads, recovers from
//! a revoked token, and logs out.
//!
//! `cargo run --example blocking` uses a CTC test server on loopback. Also try an argument:
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
use std::thread;
use std::time::Duration;

use ctc_examples::{Stage, explain, has_real_credentials};
use ctc_ureq::{Client, Endpoint};
use serde_json::Value;

/// The number of threads, and of the calls of each.
const THREADS: usize = 50;
const CALLS: usize = 20;

fn main() -> ExitCode {
    // The program chooses the crypto provider of its TLS; the adapters do not.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", explain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    if has_real_credentials() {
        return real_account(&Client::from_env()?);
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
        None => tour(&client, &stage),
        Some(_) => trouble(&client, &stage),
    }
}

/// The tour: what a program that uses CTC does all day.
fn tour(client: &Client, stage: &Stage) -> Result<(), Box<dyn Error>> {
    let devices = pages(client, "/connect/services/devices")?;
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
    )?;
    println!("Paged through {} events of device {first}.", events.len());

    let answered = calls_from_many_threads(client, first)?;
    println!(
        "{THREADS} threads called {CALLS} times each: {answered} responses of 200, still one login."
    );

    stage.server.revoke_all();
    let answered = calls_from_many_threads(client, first)?;
    println!(
        "The server revoked the token. As many again: {answered} responses of 200, \
         one more login for all."
    );

    println!("Logged out: {:?}.", client.logout());
    match client.get("/connect/services/devices").send() {
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
fn pages(client: &Client, path: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut items = Vec::new();
    for page in 1_u32.. {
        let mut response = client
            .get(path)
            .query(&[("pg", page), ("pgsize", 100)])
            .send()?;
        if !response.status().is_success() {
            return Err(format!("{path} answered {}", response.status()).into());
        }
        let response: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
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

fn calls_from_many_threads(client: &Client, device: u64) -> Result<usize, Box<dyn Error>> {
    let path = format!("/connect/services/devices/{device}");
    let one_thread = || -> Result<usize, ctc_ureq::Error> {
        let mut answered = 0;
        for _ in 0..CALLS {
            answered += usize::from(client.get(&path).send()?.status().is_success());
        }
        Ok(answered)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one_thread)).collect();
        let mut answered = 0;
        for thread in threads {
            answered += thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(answered)
    })
}

/// Shows a failed login: the server is asked once, and every later caller gets the same reason.
fn trouble(client: &Client, stage: &Stage) -> Result<(), Box<dyn Error>> {
    let Err(error) = client.login() else {
        return Err("the login should have failed".into());
    };
    println!("The login failed: {}.", explain(&error));
    for _ in 0..3 {
        if let Err(error) = client.get("/connect/services/devices").send() {
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
fn real_account(client: &Client) -> Result<(), Box<dyn Error>> {
    let mut response = client
        .get("/connect/services/devices")
        .query(&[("pgsize", 5)])
        .send()?;
    println!(
        "Logged in. The first devices, status {}:",
        response.status()
    );
    println!("{}", response.body_mut().read_to_string()?);
    println!("done: {:?}", client.session().counts());
    Ok(())
}
