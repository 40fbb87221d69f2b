//! The counters through the `metrics` facade.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::{Arc, Mutex};

use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{
    CallOptions, Driver, LoginRequest, LoginResponse, SessionConfig, SessionEvent, SharedSession,
    Transport, TransportError,
};
use http::{Request, Response};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

struct Down;

#[derive(Debug, thiserror::Error)]
#[error("down")]
struct Refused;
impl TransportError for Refused {}

impl Transport for Down {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = Refused;

    fn send(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Refused> {
        Err(Refused)
    }

    fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, Refused> {
        Err(Refused)
    }
}

/// Keeps the names of what is counted.
#[derive(Default)]
struct Names(Arc<Mutex<Vec<String>>>);

struct Name(String, Arc<Mutex<Vec<String>>>);

impl CounterFn for Name {
    fn increment(&self, value: u64) {
        self.1.lock().unwrap().push(format!("{} +{value}", self.0));
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Names {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()));
        let name = [key.name().to_owned()].into_iter().chain(labels);
        let name = name.collect::<Vec<_>>().join(" ");
        Counter::from_arc(Arc::new(Name(name, Arc::clone(&self.0))))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn counters_and_observer_hear_of_a_failed_login() {
    let names = Names::default();
    let config = SessionConfig::new()
        .endpoint(Endpoint::us())
        .app_key("k")
        .credentials("u", "p");
    let session = config.build().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    session.set_observer(move |_: &SharedSession, event: &SessionEvent<'_>| {
        heard.lock().unwrap().push(format!("{event:?}"));
    });
    let driver = Driver::new(session, Down, None);
    let login = metrics::with_local_recorder(&names, || driver.login(&CallOptions::default()));
    assert!(login.is_err());
    let counted = names.0.lock().unwrap().clone();
    assert_eq!(
        counted,
        [
            "ctc_logins_total +1",
            "ctc_logins_failed_total +1",
            "ctc_denied_total +1"
        ]
    );
    let told: Vec<_> = events
        .lock()
        .unwrap()
        .iter()
        .map(|event| event[..9].to_owned())
        .collect();
    assert_eq!(told, ["LoginSent", "LoginFail", "CallDenie"]);
}

#[test]
fn a_label_goes_with_every_count_and_stays_what_it_was() {
    let names = Names::default();
    let config = SessionConfig::new()
        .endpoint(Endpoint::us())
        .app_key("k")
        .credentials("u", "p")
        .label("acme");
    let session = config.build().unwrap();
    assert!(!session.set_label("other"));
    assert_eq!(session.label(), Some("acme"));
    let driver = Driver::new(session, Down, None);
    let login = metrics::with_local_recorder(&names, || driver.login(&CallOptions::default()));
    assert!(login.is_err());
    let counted = names.0.lock().unwrap().clone();
    assert_eq!(
        counted,
        [
            "ctc_logins_total label=acme +1",
            "ctc_logins_failed_total label=acme +1",
            "ctc_denied_total label=acme +1"
        ]
    );
}
