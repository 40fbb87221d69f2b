//! `ctc doctor`: checks everything between this machine and a session, without a login.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use ctc_driver::ctc_core::{Endpoint, Login, OAuth, SessionRecord};
use ctc_driver::{LeaseTerms, StoreError};
use ctc_ureq::http_client_builder;
use ctc_ureq::ureq::Agent;
use http::Uri;
use http::header::DATE;
use serde_json::{Value, json};

use crate::account::Account;
use crate::exit::{Exit, Failure, chain};
use crate::output::Form;
use crate::record::{State, table};
use crate::session::SessionOptions;
use crate::via::USER_AGENT;

/// Time limit for each step over the network.
const LIMIT: Duration = Duration::from_secs(10);
/// A clock that is off by more is reported as wrong: certificates and logs depend on it. The
/// session itself does not.
const CLOCK_TOLERANCE: u64 = 60;

/// Options of `ctc doctor`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc doctor                   check name, network, TLS, clock and store
  ctc doctor --region eu       check an instance before you set it up
  ctc doctor --json | jq '.checks[] | select(.ok | not)'")]
pub(crate) struct DoctorArgs {}

struct Check {
    name: &'static str,
    /// The exit code if the check failed, else [`Exit::Done`].
    exit: Exit,
    words: String,
}

impl Check {
    fn ok(name: &'static str, words: impl Into<String>) -> Self {
        Self::new(name, Exit::Done, words)
    }

    fn new(name: &'static str, exit: Exit, words: impl Into<String>) -> Self {
        Self {
            name,
            exit,
            words: words.into(),
        }
    }
}

/// Runs every check and prints all results.
pub(crate) fn doctor(options: &SessionOptions, form: Form) -> Result<Exit, Failure> {
    let account = options.account()?;
    let mut checks = vec![setup(&account)];
    checks.extend(network(&account.endpoint));
    if let Login::OAuth(oauth) = &account.login {
        checks.push(token_endpoint(oauth));
    }
    checks.extend(store(&account));
    let failed = checks
        .iter()
        .map(|check| check.exit)
        .find(|exit| *exit != Exit::Done);
    let exit = failed.unwrap_or(Exit::Done);

    let lines: Vec<_> = checks
        .iter()
        .map(|check| {
            let mark = if check.exit == Exit::Done {
                "ok    "
            } else {
                "FAILED"
            };
            (check.name, format!("{mark}  {}", check.words))
        })
        .collect();
    let all: Vec<Value> = checks
        .iter()
        .map(|check| {
            let ok = check.exit == Exit::Done;
            json!({ "name": check.name, "ok": ok, "message": check.words })
        })
        .collect();
    form.print(&table(&lines), json!({ "checks": all, "exit": exit as u8 }))?;
    Ok(exit)
}

fn setup(account: &Account) -> Check {
    let missing = [
        ("username", account.user.is_some()),
        ("application key", account.app_key.is_some()),
        ("password", account.password.is_some()),
    ];
    let missing: Vec<_> = missing.iter().filter(|(_, is_there)| !is_there).collect();
    let origin = account.endpoint.origin();
    if missing.is_empty() {
        return Check::ok(
            "account",
            format!("{} on {origin}", account.user.as_deref().unwrap_or("")),
        );
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    let words = format!("{origin}; not set up: {}", names.join(", "));
    // A missing password can be typed at a prompt; the rest is required.
    let exit = if names == ["password"] {
        Exit::Done
    } else {
        Exit::Usage
    };
    Check::new("account", exit, words)
}

/// Checks name, connection, TLS and clock, and stops at the first failure.
fn network(endpoint: &Endpoint) -> Vec<Check> {
    let mut config = http_client_builder()
        .user_agent(USER_AGENT)
        .timeout_global(Some(LIMIT));
    if endpoint.is_plain_http() {
        config = config.proxy(None);
    }
    let config = config.build();
    let proxy = config
        .proxy()
        .map(|proxy| (proxy.host().to_owned(), proxy.port()));
    let is_proxied = proxy.is_some();
    let Some((host, port)) = proxy.or_else(|| address(endpoint.origin())) else {
        return vec![Check::new(
            "name",
            Exit::Error,
            "the instance's URL has no host",
        )];
    };

    let mut checks = Vec::new();
    let through = if is_proxied {
        " (the HTTP proxy of the environment)"
    } else {
        ""
    };
    let addresses = match (host.as_str(), port).to_socket_addrs() {
        Ok(addresses) => addresses.collect::<Vec<_>>(),
        Err(error) => {
            let words = format!("{host}{through}: {error}");
            return vec![Check::new("name", Exit::Unreachable, words)];
        }
    };
    let shown: Vec<_> = addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    checks.push(Check::ok(
        "name",
        format!("{host}{through} is {}", shown.join(", ")),
    ));

    let began = Instant::now();
    let mut connected = Err("no address".to_owned());
    for address in &addresses {
        connected = TcpStream::connect_timeout(address, LIMIT / 2)
            .map(|_| *address)
            .map_err(|error| format!("{address}: {error}"));
        if connected.is_ok() {
            break;
        }
    }
    match connected {
        Ok(address) => {
            let took = began.elapsed().as_millis();
            checks.push(Check::ok("connection", format!("{address} in {took} ms")));
        }
        Err(why) => {
            checks.push(Check::new("connection", Exit::Unreachable, why));
            return checks;
        }
    }

    let name = if endpoint.is_plain_http() {
        "http"
    } else {
        "tls"
    };
    let before = SystemTime::now();
    // Sent without key and token: any response shows that the server is reachable.
    let response = Agent::new_with_config(config)
        .head(endpoint.origin())
        .call();
    let took = before.elapsed().unwrap_or_default();
    match response {
        Ok(response) => {
            checks.push(Check::ok(name, format!("status {}", response.status())));
            let date = response
                .headers()
                .get(DATE)
                .and_then(|date| date.to_str().ok());
            let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
            checks.push(clock(date, before + took / 2));
        }
        Err(error) => checks.push(Check::new(name, Exit::Unreachable, chain(&error))),
    }
    checks
}

/// The OAuth login goes to another host than the calls, so it needs its own check.
fn token_endpoint(oauth: &OAuth) -> Check {
    let origin = oauth.endpoint().origin();
    let checks = network(oauth.endpoint());
    match checks
        .into_iter()
        .find(|check| check.exit == Exit::Unreachable)
    {
        Some(failed) => Check {
            name: "token URL",
            words: format!("{origin}: {}", failed.words),
            ..failed
        },
        None => Check::ok("token URL", format!("{origin} responds")),
    }
}

fn address(origin: &str) -> Option<(String, u16)> {
    let uri: Uri = origin.parse().ok()?;
    let usual = if uri.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), uri.port_u16().unwrap_or(usual)))
}

fn clock(server: Option<SystemTime>, ours: SystemTime) -> Check {
    let Some(server) = server else {
        return Check::ok("clock", "not compared: the server did not send its time");
    };
    // The server's time has whole seconds.
    let server = server + Duration::from_millis(500);
    let (off, direction) = match ours.duration_since(server) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let seconds = off.as_secs();
    match seconds {
        0..2 => Check::ok("clock", "agrees with the server's"),
        2..=CLOCK_TOLERANCE => Check::ok(
            "clock",
            format!("{seconds} s {direction} the server's, which is harmless"),
        ),
        _ => Check::new(
            "clock",
            Exit::Error,
            format!("{seconds} s {direction} the server's: set it, for example with NTP"),
        ),
    }
}

fn store(account: &Account) -> Vec<Check> {
    let Ok(key) = account.record_key() else {
        return vec![match account.store.records() {
            Ok(records) => Check::ok("store", format!("readable, {} session(s)", records.len())),
            Err(error) => Check::new("store", Exit::Error, chain(&error)),
        }];
    };
    let place = account.store.place(&key);
    let terms = LeaseTerms {
        wait: Duration::from_millis(200),
        ttl: LIMIT,
    };
    let leased = account.store.blocking().lease(&key, terms);
    let usable = match leased.and_then(ctc_driver::StoreLease::release) {
        Ok(()) => Check::ok("store", format!("{place} can be read and locked")),
        Err(StoreError::Busy) => Check::ok("store", format!("{place} is in use by a login")),
        Err(error) => Check::new("store", Exit::Error, chain(&error)),
    };
    if usable.exit != Exit::Done {
        return vec![usable];
    }
    let session = match account.store.read(&key) {
        Ok(record) => {
            let overview = record.as_ref().map(SessionRecord::overview);
            let state = State::new(overview, SystemTime::now());
            let lines = state.lines().into_iter();
            let words: Vec<_> = lines.take(1).map(|(_, words)| words).collect();
            // `ctc status` says what this means for a call. It is not a fault of the setup unless
            // the server rejected the credentials.
            let exit = match state.phase() {
                (_, Exit::Rejected) => Exit::Rejected,
                _ => Exit::Done,
            };
            Check::new("session", exit, words.concat())
        }
        Err(error) => Check::new("session", Exit::Error, chain(&error)),
    };
    vec![usable, session]
}
