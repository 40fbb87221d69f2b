//! Many accounts: a client for each over one HTTP client, a limit on their logins, and a time limit
//! for closing all of them.
//!
//! `cargo run --release --example many_accounts -- 1000` runs it with 1,000 accounts (default 100)
//! on a CTC test server on loopback, and prints what it costs.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks"
)]

#[path = "../crates/ctc-driver/src/manual/many_accounts.rs"]
mod recipe;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ctc_examples::explain;
use ctc_reqwest::{Client, Endpoint, LoginLimiter, http_client_builder};
use ctc_testkit::{DEFAULT_APP_KEY, Server};
use recipe::{Open, client, close, evict};

/// The limits: logins at the same time, and logins per minute.
const AT_ONCE: u32 = 20;
const PER_MINUTE: u32 = 6_000;

#[tokio::main]
async fn main() -> ExitCode {
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
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(100), |count| count.parse())?;
    rlimit::increase_nofile_limit(16 * 1024)?;
    let users: Vec<_> = (1..=count).map(|number| format!("user-{number}")).collect();
    let server = users.iter().fold(Server::builder(), |server, user| {
        server.account(user, "s3cret")
    });
    let server = server.start()?;
    let endpoint = Endpoint::danger_plain_http(&server.url())?;

    let own = |user: &str| {
        let builder = Client::builder().endpoint(endpoint.clone());
        builder.app_key(DEFAULT_APP_KEY).credentials(user, "s3cret")
    };
    let shared = (
        http_client_builder().build()?,
        http_client_builder().pool_max_idle_per_host(0).build()?,
        LoginLimiter::new(AT_ONCE, PER_MINUTE),
    );
    let mut open = Open::new();
    measured("clients over one HTTP client", &users, |user| {
        Ok(client(&mut open, &shared, user, || own(user))?)
    })?;
    measured("clients of ctc-ureq", &users, |user| {
        let builder = ctc_ureq::Client::builder().endpoint(endpoint.clone());
        Ok(builder.app_key("k").credentials(user, "s3cret").build()?)
    })?;
    // Without optimizations, each key takes a tenth of a second.
    let some = users.len() / if cfg!(debug_assertions) { 10 } else { 1 };
    measured("clients with an HTTP client each", &users[..some], |user| {
        Ok(own(user).build()?)
    })?;

    for when in ["", ", after the server revoked all tokens"] {
        server.revoke_all();
        let began = Instant::now();
        let mut calls = Vec::new();
        for user in &users {
            let client = client(&mut open, &shared, user, || own(user))?;
            calls.push(tokio::spawn(client.get("/connect/services/devices").send()));
        }
        let mut answered = 0;
        for call in calls {
            answered += usize::from(call.await??.status().is_success());
        }
        println!(
            "All called at once{when}: {answered} responses of 200 in {:.1} s, at most {AT_ONCE} \
             logins at once and then {} a second.",
            began.elapsed().as_secs_f64(),
            PER_MINUTE / 60
        );
    }

    let kept = users.len() / 10;
    tokio::time::sleep(Duration::from_millis(200)).await;
    for user in &users[..kept] {
        client(&mut open, &shared, user, || own(user))?;
    }
    evict(&mut open, Duration::from_millis(200));
    let began = Instant::now();
    close(open, Duration::from_secs(5)).await;
    println!(
        "Evicted all but {kept} without a logout, and logged these out in {} ms.",
        began.elapsed().as_millis()
    );
    let counts = server.counts();
    println!(
        "done: {} accounts, {} logins, {} logouts, {} violations",
        users.len(),
        counts.login_requests,
        counts.logouts,
        counts.violations
    );
    Ok(())
}

/// Measures what the clients that `make` returns cost.
fn measured<C>(
    what: &str,
    users: &[String],
    make: impl FnMut(&str) -> Result<C, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (before, began) = (resident(), Instant::now());
    let made: Vec<_> = users
        .iter()
        .map(String::as_str)
        .map(make)
        .collect::<Result<_, _>>()?;
    let took = began.elapsed().as_millis();
    let each = resident().saturating_sub(before) / made.len().max(1);
    println!("{} {what}: {took} ms, {each} KiB each.", made.len());
    Ok(())
}

/// Returns the memory of the process, in KiB; 0 if the system does not say.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok())
        .unwrap_or_default()
}
