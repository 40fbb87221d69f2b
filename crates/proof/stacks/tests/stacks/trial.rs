//! One SDK over six HTTP clients: in code that is generic over the client, and in an application
//! whose types do not name it.

use ctc_driver::{AsyncCaller, BoxAsyncCaller, BoxCaller, Caller};
use ctc_examples::sdk::{DeviceId, Error, Fleet, blocking};
use ctc_testkit::{Fault, Matcher, Rule, Server};
use futures_util::TryStreamExt;

use crate::{attohttpc, libcurl, reqwest, smol_hyper, tower_retry, ureq};

const TRUCK: DeviceId = DeviceId(1001);

/// Lists devices and events, page by page, and writes a note. The token is revoked in between.
fn tour<C: Caller>(server: &Server, ctc: C) -> Result<(usize, usize), Error> {
    let fleet = blocking::Fleet::new(ctc);
    let devices = fleet.devices().collect::<Result<Vec<_>, _>>()?;
    server.revoke_all();
    let events = fleet.events(TRUCK).collect::<Result<Vec<_>, _>>()?;
    fleet.add_note(TRUCK, "oil changed")?;
    Ok((devices.len(), events.len()))
}

/// The same, asynchronous.
async fn async_tour<C: AsyncCaller>(server: &Server, ctc: C) -> Result<(usize, usize), Error> {
    let fleet = Fleet::new(ctc);
    let devices: Vec<_> = fleet.devices().try_collect().await?;
    server.revoke_all();
    let events: Vec<_> = fleet.events(TRUCK).try_collect().await?;
    fleet.add_note(TRUCK, "oil changed").await?;
    Ok((devices.len(), events.len()))
}

/// Checks the result of a tour: all devices and events, the note, and one login for each of two
/// tokens.
fn assert_went_well(server: &Server, went: Result<(usize, usize), Error>) {
    assert_eq!(went.unwrap(), (25, 120));
    assert_eq!(server.notes(1001), ["oil changed"]);
    let counts = server.counts();
    assert_eq!((counts.logins, counts.violations), (2, 0), "{counts:?}");
}

fn assert_tours<C: Caller>(client: impl Fn(&str) -> C) {
    let server = Server::start().unwrap();
    let went = tour(&server, client(&server.url()));
    assert_went_well(&server, went);
}

async fn assert_tours_async<C: AsyncCaller>(client: impl Fn(&str) -> C) {
    let server = Server::start().unwrap();
    let went = async_tour(&server, client(&server.url())).await;
    assert_went_well(&server, went);
}

#[test]
fn the_sdk_runs_over_attohttpc() {
    assert_tours(attohttpc::client);
}

#[test]
fn the_sdk_runs_over_curl() {
    assert_tours(libcurl::client);
}

#[test]
fn the_sdk_runs_over_ureq() {
    assert_tours(ureq::client);
}

#[test]
fn the_sdk_runs_over_hyper_on_smol() {
    smol::block_on(assert_tours_async(smol_hyper::client));
}

#[tokio::test]
async fn the_sdk_runs_over_tower() {
    assert_tours_async(tower_retry::client).await;
}

#[tokio::test]
async fn the_sdk_runs_over_reqwest() {
    assert_tours_async(reqwest::client).await;
}

/// The layer repeats the call, and neither the SDK nor the session notices.
#[tokio::test]
async fn a_layer_of_tower_sees_the_calls_of_the_sdk() {
    let server = Server::start().unwrap();
    server.inject(Rule::once(Matcher::AnyCall, Fault::status(503)));
    let fleet = Fleet::new(tower_retry::client(&server.url()));
    assert_eq!(fleet.device(TRUCK).await.unwrap().id, TRUCK);
    let counts = server.counts();
    assert_eq!((counts.calls, counts.logins), (2, 1), "{counts:?}");
}

/// An application over any client, without generics.
struct App {
    fleet: blocking::Fleet<BoxCaller>,
}

impl App {
    fn new(ctc: BoxCaller) -> Self {
        let fleet = blocking::Fleet::new(ctc);
        Self { fleet }
    }

    fn devices(&self) -> Result<usize, Error> {
        Ok(self.fleet.devices().collect::<Result<Vec<_>, _>>()?.len())
    }
}

/// The same, asynchronous.
struct AsyncApp {
    fleet: Fleet<BoxAsyncCaller>,
}

impl AsyncApp {
    fn new(ctc: BoxAsyncCaller) -> Self {
        let fleet = Fleet::new(ctc);
        Self { fleet }
    }

    async fn devices(&self) -> Result<usize, Error> {
        let devices: Vec<_> = self.fleet.devices().try_collect().await?;
        Ok(devices.len())
    }
}

#[test]
fn one_application_runs_over_every_blocking_client() {
    let server = Server::start().unwrap();
    let url = server.url();
    let clients = [
        BoxCaller::new(attohttpc::client(&url)),
        BoxCaller::new(libcurl::client(&url)),
        BoxCaller::new(ureq::client(&url)),
    ];
    for app in clients.map(App::new) {
        assert_eq!(app.devices().unwrap(), 25);
    }
    assert_eq!(server.counts().logins, 3);
}

#[tokio::test]
async fn one_application_runs_over_every_asynchronous_client() {
    let server = Server::start().unwrap();
    let url = server.url();
    let clients = [
        BoxAsyncCaller::new(smol_hyper::client(&url)),
        BoxAsyncCaller::new(tower_retry::client(&url)),
        BoxAsyncCaller::new(reqwest::client(&url)),
    ];
    for app in clients.map(AsyncApp::new) {
        assert_eq!(app.devices().await.unwrap(), 25);
    }
    assert_eq!(server.counts().logins, 3);
}
