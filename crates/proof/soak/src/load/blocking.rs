//! Threads that call with ctc-ureq.

use std::thread;
use std::time::{Duration, Instant};

use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{CallError, Caller, Replay};
use ctc_ureq::{Client, ClientBuilder, Error, RequestBuilder, SendError, http_client_builder};
use http::Request;

use super::deed::{self, Deed};
use super::{CALL_TIMEOUT, DEVICES, IDLE, PASSWORD, Setup};
use crate::Failure;
use crate::protocol::Deeds;
use crate::rng::Rng;
use crate::weather::Weather;

const THREADS: u64 = 8;

pub(super) fn client(setup: &Setup, name: &str) -> Result<ClientBuilder, Failure> {
    let account = setup.account(name);
    let http = http_client_builder()
        .user_agent(account.clone())
        .max_idle_age(IDLE)
        .build()
        .new_agent();
    Ok(Client::builder()
        .endpoint(Endpoint::danger_plain_http(&setup.url)?)
        .app_key(ctc_testkit::DEFAULT_APP_KEY)
        .credentials(account, PASSWORD)
        .settings(super::settings)
        .timeout(CALL_TIMEOUT)
        .http_client(http))
}

/// Calls until one gets the expected response.
pub(super) fn mend(client: &Client) -> Result<(), Failure> {
    let mut last = None;
    for _ in 0..50 {
        match client.get(DEVICES).max_wait(Duration::from_secs(5)).send() {
            Ok(mut response) if response.status() == 200 => {
                response.body_mut().read_to_vec()?;
                return Ok(());
            }
            other => last = Some(format!("{other:?}")),
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(format!("ctc-ureq is not well again although the server is: {last:?}").into())
}

pub(super) fn round(
    client: &Client,
    setup: &Setup,
    seed: u64,
    until: Instant,
    weather: Weather,
) -> Vec<(&'static str, Deeds)> {
    let half = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
    thread::scope(|scope| {
        let start = |at| scope.spawn(move || calls(client, Rng::new(seed + 100 + at), until));
        let callers: Vec<_> = (0..THREADS).map(start).collect();
        let churner = scope.spawn(|| churn(setup, Rng::new(seed + 100), until, weather));
        let (mut deeds, mut step) = (Deeds::default(), 0);
        while Instant::now() < until {
            super::meddle(
                client.session(),
                &setup.account("ureq"),
                weather,
                step,
                Instant::now() > half,
            );
            if weather == Weather::Logouts {
                drop(client.logout());
                client.session().reopen();
                deeds.logouts += 1;
            }
            step += 1;
            thread::sleep(Duration::from_millis(60));
        }
        for caller in callers {
            match caller.join() {
                Ok(more) => deeds.add(&more),
                Err(_) => deeds.failed("panicked"),
            }
        }
        vec![
            ("ureq", deeds),
            ("ureq-churn", churner.join().unwrap_or_default()),
        ]
    })
}

fn calls(client: &Client, mut rng: Rng, until: Instant) -> Deeds {
    let mut deeds = Deeds::default();
    while Instant::now() < until {
        one(client, &mut rng, &mut deeds);
    }
    deeds
}

fn one(client: &Client, rng: &mut Rng, deeds: &mut Deeds) {
    let get = || client.get(DEVICES);
    let result = match Deed::next(rng) {
        Deed::Get(path) => whole(client.get(path)),
        Deed::Post => {
            let note = client
                .post("/connect/services/devices/1001/notes")
                .body("a note");
            whole(note.replay(Replay::Never))
        }
        Deed::Clone => {
            deeds.clones += 1;
            let clone = client.clone();
            whole(clone.get(DEVICES))
        }
        Deed::Fetch => {
            let mut request = Request::new(Vec::new());
            *request.uri_mut() = http::Uri::from_static(DEVICES);
            Caller::fetch(client, request)
                .map(drop)
                .map_err(|error| of_a_fetch(&error))
        }
        Deed::Patient => whole(get().max_wait(Duration::from_millis(200))),
        Deed::TimedOut(after) | Deed::Cancelled(after) => whole(get().timeout(after)),
        Deed::Aborted => whole(get().timeout(Duration::from_micros(500))),
        Deed::Unread => get().send().map(drop).map_err(|error| kind(&error)),
    };
    match result {
        Ok(()) => deeds.responses += 1,
        Err(kind) => {
            deeds.failed(kind);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn whole(request: RequestBuilder) -> Result<(), &'static str> {
    let mut response = request.send().map_err(|error| kind(&error))?;
    match response.body_mut().read_to_vec() {
        Ok(_) => Ok(()),
        Err(ctc_ureq::ureq::Error::Timeout(_)) => Err("body timed out"),
        Err(_) => Err("body broke off"),
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Denied(denied) => deed::denied(denied),
        Error::Send(error) => of_sending(error),
        _ => "not sent",
    }
}

fn of_sending(error: &SendError) -> &'static str {
    match error {
        SendError::Ureq(ctc_ureq::ureq::Error::Timeout(_)) => "timed out",
        SendError::Ureq(ctc_ureq::ureq::Error::ConnectionFailed) => "not connected",
        _ => "no answer",
    }
}

fn of_a_fetch(error: &CallError<SendError>) -> &'static str {
    match error {
        CallError::Denied(denied) => deed::denied(denied),
        CallError::Transport(error) => of_sending(error),
        CallError::Body(_) => "body broke off",
        _ => "not sent",
    }
}

/// Creates and drops clients of one account, with one store.
fn churn(setup: &Setup, mut rng: Rng, until: Instant, weather: Weather) -> Deeds {
    let mut deeds = Deeds::default();
    let pause = if weather == Weather::Churn { 3 } else { 100 };
    while Instant::now() < until {
        let built = client(setup, "ureq-churn").map(|builder| builder.store(setup.store()).build());
        let Ok(Ok(client)) = built else {
            deeds.failed("not built");
            continue;
        };
        deeds.built += 1;
        for _ in 0..rng.below(4) {
            one(&client, &mut rng, &mut deeds);
        }
        match rng.below(4) {
            0 => {
                drop(client.logout());
                deeds.logouts += 1;
            }
            1 => client.session().close(),
            _ => {}
        }
        drop(client);
        thread::sleep(Duration::from_millis(pause));
    }
    deeds
}
