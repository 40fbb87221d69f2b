//! Tasks that call with ctc-reqwest.

use std::time::{Duration, Instant};

use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{AsyncCaller, CallError, Replay};
use ctc_reqwest::{Client, ClientBuilder, Error, RequestBuilder, SendError, http_client_builder};
use http::Request;

use super::deed::{self, Deed};
use super::{CALL_TIMEOUT, DEVICES, IDLE, PASSWORD, Setup};
use crate::Failure;
use crate::protocol::Deeds;
use crate::rng::Rng;
use crate::weather::Weather;

const TASKS: u64 = 24;

pub(super) fn client(setup: &Setup, name: &str) -> Result<ClientBuilder, Failure> {
    let account = setup.account(name);
    let http = http_client_builder()
        .user_agent(&account)
        .pool_idle_timeout(IDLE)
        .build()?;
    Ok(Client::builder()
        .endpoint(Endpoint::danger_plain_http(&setup.url)?)
        .app_key(ctc_testkit::DEFAULT_APP_KEY)
        .credentials(account, PASSWORD)
        .settings(super::settings)
        .timeout(CALL_TIMEOUT)
        .http_client(http))
}

/// Calls until one gets the expected response.
pub(super) async fn mend(client: &Client) -> Result<(), Failure> {
    let mut last = None;
    for _ in 0..50 {
        match client
            .get(DEVICES)
            .max_wait(Duration::from_secs(5))
            .send()
            .await
        {
            Ok(response) if response.status() == 200 => {
                response.bytes().await?;
                return Ok(());
            }
            other => last = Some(format!("{other:?}")),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("ctc-reqwest is not well again although the server is: {last:?}").into())
}

pub(super) async fn round(
    client: &Client,
    setup: &Setup,
    seed: u64,
    until: Instant,
    weather: Weather,
) -> [(&'static str, Deeds); 2] {
    let tasks: Vec<_> = (0..TASKS)
        .map(|at| tokio::spawn(calls(client.clone(), Rng::new(seed + at), until)))
        .collect();
    let others = async {
        let mut deeds = Deeds::default();
        let (mut step, half) = (
            0,
            Instant::now() + until.saturating_duration_since(Instant::now()) / 2,
        );
        while Instant::now() < until {
            super::meddle(
                client.session(),
                &setup.account("reqwest"),
                weather,
                step,
                Instant::now() > half,
            );
            if weather == Weather::Logouts {
                drop(client.logout().await);
                client.session().reopen();
                deeds.logouts += 1;
            }
            step += 1;
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        deeds
    };
    let (churned, mut deeds) = tokio::join!(churn(setup, Rng::new(seed), until, weather), others);
    for task in tasks {
        match task.await {
            Ok(more) => deeds.add(&more),
            Err(_) => deeds.failed("panicked"),
        }
    }
    [("reqwest", deeds), ("reqwest-churn", churned)]
}

async fn calls(client: Client, mut rng: Rng, until: Instant) -> Deeds {
    let mut deeds = Deeds::default();
    while Instant::now() < until {
        one(&client, &mut rng, &mut deeds).await;
    }
    deeds
}

async fn one(client: &Client, rng: &mut Rng, deeds: &mut Deeds) {
    let get = || client.get(DEVICES);
    let result = match Deed::next(rng) {
        Deed::Get(path) => whole(client.get(path)).await,
        Deed::Post => {
            let note = client
                .post("/connect/services/devices/1001/notes")
                .body("a note");
            whole(note.replay(Replay::Never)).await
        }
        Deed::Clone => {
            deeds.clones += 1;
            let clone = client.clone();
            whole(clone.get(DEVICES)).await
        }
        Deed::Fetch => {
            // This path is valid.
            let mut request = Request::new(Vec::new());
            *request.uri_mut() = http::Uri::from_static(DEVICES);
            AsyncCaller::fetch(client, request)
                .await
                .map(drop)
                .map_err(|error| of_a_fetch(&error))
        }
        Deed::Patient => whole(get().max_wait(Duration::from_millis(200))).await,
        Deed::TimedOut(after) => whole(get().timeout(after)).await,
        Deed::Cancelled(after) => match tokio::time::timeout(after, whole(get())).await {
            Ok(result) => result,
            Err(_) => return deeds.cancelled += 1,
        },
        Deed::Aborted => {
            let task = tokio::spawn(whole(get()));
            tokio::task::yield_now().await;
            task.abort();
            match task.await {
                Ok(result) => result,
                Err(_) => return deeds.cancelled += 1,
            }
        }
        Deed::Unread => get().send().await.map(drop).map_err(|error| kind(&error)),
    };
    match result {
        Ok(()) => deeds.responses += 1,
        Err(kind) => {
            deeds.failed(kind);
            // A denied call returns immediately: without a pause, no other task would run.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn whole(request: RequestBuilder) -> Result<(), &'static str> {
    let response = request.send().await.map_err(|error| kind(&error))?;
    match response.bytes().await {
        Ok(_) => Ok(()),
        Err(error) if error.is_timeout() => Err("body timed out"),
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
        SendError::Reqwest(error) if error.is_timeout() => "timed out",
        SendError::Reqwest(error) if error.is_connect() => "not connected",
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
async fn churn(setup: &Setup, mut rng: Rng, until: Instant, weather: Weather) -> Deeds {
    let mut deeds = Deeds::default();
    let pause = if weather == Weather::Churn { 3 } else { 100 };
    while Instant::now() < until {
        let built =
            client(setup, "reqwest-churn").map(|builder| builder.store(setup.store()).build());
        let Ok(Ok(client)) = built else {
            deeds.failed("not built");
            continue;
        };
        deeds.built += 1;
        for _ in 0..rng.below(4) {
            one(&client, &mut rng, &mut deeds).await;
        }
        match rng.below(4) {
            0 => {
                drop(client.logout().await);
                deeds.logouts += 1;
            }
            1 => client.session().close(),
            _ => {}
        }
        drop(client);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    deeds
}
