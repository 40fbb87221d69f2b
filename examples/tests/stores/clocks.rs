//! T82: hosts whose wall clocks differ by hours.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use ctc_driver::ctc_core::{AppKey, Credentials, Endpoint, Session, Settings};
use ctc_driver::{
    CallOptions, Clock, Driver, LoginRequest, LoginResponse, SessionStore, SharedSession,
    Transport, TransportError,
};
use ctc_examples::workers::Place;
use ctc_store_file::FileStore;
use ctc_store_redis::RedisStore;
use http::{Request, Response, StatusCode};

use crate::{Stage, on_both_stores};

const HOURS: i64 = 3600;

on_both_stores! {
    fn a_valid_session_is_adopted_whatever_the_clock(stage: &mut Stage) {
        let ctc = Ctc::default();
        ctc.host(stage, 0).call().unwrap();
        for skew in [7 * HOURS, -7 * HOURS, 24 * 365 * HOURS, -24 * 365 * HOURS] {
            ctc.host(stage, skew).call().unwrap();
            assert_eq!(ctc.logins(), 1, "clock off by {skew} s");
        }
    }

    /// Hosts whose clocks differ by 7 h take turns, and the token is revoked from time to time: one
    /// login each time, no loop.
    fn a_dead_session_costs_one_login(stage: &mut Stage) {
        let ctc = Ctc::default();
        let hosts = [0, 7 * HOURS, -7 * HOURS].map(|skew| ctc.host(stage, skew));
        for round in 1..=3 {
            for host in &hosts {
                host.call().unwrap();
            }
            assert_eq!(ctc.logins(), round);
            ctc.revoke();
        }
    }
}

/// A backoff that was written with a clock hours ahead (for example, before it was corrected) does
/// not last for hours, and is not ignored. Redis measures with its own clock instead: see
/// `SessionRecord::with_local_clock`.
#[test]
fn a_pause_stays_a_pause() {
    let (stage, ctc) = (Stage::on_file(), Ctc::default());
    ctc.fail_logins(true);
    ctc.host(&stage, 0).call().unwrap_err();
    ctc.host(&stage, -7 * HOURS).call().unwrap_err();
    assert_eq!(ctc.logins(), 1, "the pause holds");
    ctc.fail_logins(false);
    std::thread::sleep(PAUSE);
    ctc.host(&stage, -7 * HOURS).call().unwrap();
    assert_eq!(ctc.logins(), 2);
}

const PAUSE: Duration = Duration::from_millis(600);

/// A simulated CTC, shared by all hosts.
#[derive(Clone, Default)]
struct Ctc(Arc<State>);

#[derive(Default)]
struct State {
    logins: AtomicU32,
    live: Mutex<String>,
    failing: Mutex<bool>,
}

impl Ctc {
    fn logins(&self) -> u32 {
        self.0.logins.load(SeqCst)
    }

    fn revoke(&self) {
        self.0.live.lock().unwrap().clear();
    }

    fn fail_logins(&self, failing: bool) {
        *self.0.failing.lock().unwrap() = failing;
    }

    /// Simulates a process on a host whose clock is off by `skew` seconds.
    fn host(&self, stage: &Stage, skew: i64) -> Host {
        let mut settings = Settings::default();
        settings.fair_use.backoff = PAUSE;
        let credentials = Credentials::new("ada@example.com", "s3cret!s3cret!").unwrap();
        let session = Session::new(
            Endpoint::eu(),
            AppKey::new("key").unwrap(),
            credentials,
            settings,
        )
        .unwrap();
        let store: Arc<dyn SessionStore> = match &stage.place {
            Place::File(folder) => Arc::new(FileStore::at(folder)),
            Place::Redis(url, prefix) => Arc::new(RedisStore::open(url).unwrap().prefix(prefix)),
        };
        Host(Driver::new(
            SharedSession::with_clock(session, Off(skew)),
            self.clone(),
            Some(store),
        ))
    }
}

struct Host(Driver<Ctc>);

impl Host {
    fn call(&self) -> Result<(), String> {
        let request = Request::get("https://connect.calamp.co.uk/connect/services/devices")
            .body(vec![])
            .unwrap();
        let response = self
            .0
            .execute(request, &CallOptions::default())
            .map_err(|error| error.to_string())?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(response.status().to_string())
        }
    }
}

#[derive(Debug)]
struct Off(i64);

impl Clock for Off {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        let by = Duration::from_secs(self.0.unsigned_abs());
        if self.0 < 0 {
            SystemTime::now() - by
        } else {
            SystemTime::now() + by
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;
impl TransportError for Never {}

impl Transport for Ctc {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = Never;

    fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Never> {
        let live = self.0.live.lock().unwrap();
        let known = !live.is_empty() && request.headers()["cookie"] == format!("authToken={live}");
        let status = if known {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        Ok(Response::builder().status(status).body(vec![]).unwrap())
    }

    fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, Never> {
        let number = self.0.logins.fetch_add(1, SeqCst) + 1;
        if *self.0.failing.lock().unwrap() {
            let response = Response::builder().status(503).body(vec![]);
            return Ok(response.unwrap().into());
        }
        let token = format!("T{number}");
        *self.0.live.lock().unwrap() = token.clone();
        Ok(Response::builder()
            .header("set-cookie", format!("authToken={token}"))
            .body(vec![])
            .unwrap()
            .into())
    }
}
