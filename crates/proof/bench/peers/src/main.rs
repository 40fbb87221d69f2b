//! Other token layers doing the same work: with a cached token, and with many callers at once on an
//! empty and on an expired cache.
//!
//! Run it with `cargo xtask bench --peers`. It writes `crates/proof/bench/pictures/peers.json`.

mod endpoint;
mod peers;

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::endpoint::Endpoint;
use crate::peers::{Azure, GcpAuth, Google, Peer, Place, Smithy, Yup};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const APP_KEY: HeaderName = HeaderName::from_static("calamp-services-app");
const CALLERS: usize = 1000;
const ROUNDS: usize = 60;
const CALLS: usize = 2000;
/// The wait until a token of one second has expired, also for peers that renew early.
const OVER: Duration = Duration::from_millis(1500);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let runtime = Runtime::new()?;
    let endpoint = Endpoint::new();
    // One of the peers finds its endpoint only in the environment, so start a second process with
    // it.
    let Ok(port) = std::env::var("PEERS_PORT") else {
        let probe = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = probe.local_addr()?.port();
        drop(probe);
        let mut again = Command::new(std::env::current_exe()?);
        again
            .env("PEERS_PORT", port.to_string())
            .env("IDENTITY_HEADER", "bench");
        again.env("IDENTITY_ENDPOINT", format!("http://127.0.0.1:{port}/msi"));
        let status = again.status()?;
        return if status.success() {
            Ok(())
        } else {
            Err(status.to_string().into())
        };
    };
    // Ignore the error: only the first installation counts.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = runtime.block_on(TcpListener::bind(format!("127.0.0.1:{port}")))?;
    runtime.spawn(Arc::clone(&endpoint).serve(listener));
    let place = Place::new(format!("http://127.0.0.1:{port}"))?;

    let mut found = Vec::new();
    found.push(one::<GcpAuth>(&runtime, &place, &endpoint));
    found.push(one::<Yup>(&runtime, &place, &endpoint));
    found.push(one::<Azure>(&runtime, &place, &endpoint));
    found.push(one::<Google>(&runtime, &place, &endpoint));
    found.push(one::<Smithy>(&runtime, &place, &endpoint));
    let found: Vec<Value> = found.into_iter().flatten().collect();
    println!(
        "{:45} {:^19}   {:^19}",
        "", "herd, cache empty", "herd, cache expired"
    );
    println!(
        "{:22} {:>6} {:>12}      {:>8} {:>10}   {:>8} {:>10}",
        "token cached", "× L", "allocations", "fetches", "× fetch", "fetches", "× fetch"
    );
    for peer in &found {
        let number = |key: &str| peer[key].as_f64().unwrap_or_default();
        println!(
            "{:22} {:6.2} {:12.1}      {:8} {:10.2}   {:8} {:10.2}  {}",
            peer["name"].as_str().unwrap_or_default(),
            number("times_limit"),
            number("allocations"),
            number("herd_fetches"),
            number("herd_times_fetch"),
            number("expired_fetches"),
            number("expired_times_fetch"),
            peer["note"].as_str().unwrap_or_default()
        );
    }
    let file = "crates/proof/bench/pictures/peers.json";
    std::fs::write(
        file,
        format!("{:#}\n", json!({"callers": CALLERS, "peers": found})),
    )?;
    Ok(())
}

/// Measures a peer. A peer that fails is left out, with the reason.
fn one<P: Peer>(runtime: &Runtime, place: &Place, endpoint: &Endpoint) -> Option<Value> {
    eprintln!("{} …", P::NAME);
    let measured = runtime.block_on(async {
        let (times_limit, allocations) = cached::<P>(place).await?;
        let alone = P::new(place).await?;
        let start = Instant::now();
        alone.stamp(&mut HeaderMap::new()).await?;
        let fetch = start.elapsed();
        let (fetches, time) = herd(P::new(place).await?, endpoint).await?;
        let expired = expired::<P>(place, endpoint).await?;
        let (expired_fetches, expired_time) = herd(expired, endpoint).await?;
        let times = |time: Duration| time.as_secs_f64() / fetch.as_secs_f64();
        Ok::<_, Failure>(json!({
            "name": P::NAME,
            "times_limit": times_limit,
            "allocations": allocations,
            "herd_fetches": fetches,
            "herd_times_fetch": times(time),
            "expired_fetches": expired_fetches,
            "expired_times_fetch": times(expired_time),
            "note": P::NOTE,
        }))
    });
    measured
        .inspect_err(|error| eprintln!("{}: {error}", P::NAME))
        .ok()
}

/// Stamps with the token cached. Returns the time in units of L, and the allocations.
async fn cached<P: Peer>(place: &Place) -> Result<(f64, f64), Failure> {
    let peer = P::new(place).await?;
    let mut headers = HeaderMap::new();
    for name in ["accept", "user-agent", "accept-encoding", "x-request-id"] {
        headers.insert(name, HeaderValue::from_static("probe"));
    }
    peer.stamp(&mut headers).await?;
    headers.remove(AUTHORIZATION);
    let (key, cookie) = (
        HeaderValue::try_from("0".repeat(32))?,
        HeaderValue::try_from("A".repeat(266))?,
    );
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let mut limit = Duration::ZERO;
        for _ in 0..CALLS {
            let start = Instant::now();
            for _ in 0..8 {
                headers.insert(APP_KEY, key.clone());
                headers.insert(COOKIE, cookie.clone());
            }
            limit += start.elapsed();
            headers.remove(APP_KEY);
            headers.remove(COOKIE);
        }
        let start = Instant::now();
        for _ in 0..CALLS * 8 {
            peer.stamp(&mut headers).await?;
        }
        ratios.push(start.elapsed().as_secs_f64() / limit.as_secs_f64());
        headers.remove(AUTHORIZATION);
    }
    ratios.sort_by(f64::total_cmp);
    // Counted on this thread: a cached token needs no other.
    let mut result = Ok(());
    let used = measure(|| {
        let mut stamp = std::pin::pin!(peer.stamp(&mut headers));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        if stamp.as_mut().poll(&mut context).is_pending() {
            result = Err("a cached token had to be waited for");
        }
    });
    result?;
    Ok((ratios[ROUNDS / 2], used.count_total as f64))
}

/// Returns a peer whose cached token has expired; the next token does not expire.
async fn expired<P: Peer>(place: &Place, endpoint: &Endpoint) -> Result<P, Failure> {
    endpoint.short(true);
    let peer = P::new(place).await?;
    let stamped = peer.stamp(&mut HeaderMap::new()).await;
    endpoint.short(false);
    stamped?;
    tokio::time::sleep(OVER).await;
    Ok(peer)
}

/// Many callers at once on a peer without a valid token. Returns the fetches, and the time until
/// all callers have a token.
async fn herd<P: Peer>(peer: P, endpoint: &Endpoint) -> Result<(usize, Duration), Failure> {
    let peer = Arc::new(peer);
    let before = endpoint.given();
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let peer = Arc::clone(&peer);
            tokio::spawn(async move { peer.stamp(&mut HeaderMap::new()).await })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok((endpoint.given() - before, start.elapsed()))
}
