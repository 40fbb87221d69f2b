//! T73: a store that cannot be used costs nothing: one warning, no further login.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use ctc_driver::ctc_core::{AppKey, Credentials, Endpoint, Session, Settings};
use ctc_driver::{
    CallOptions, Driver, LoginRequest, LoginResponse, SharedSession, Transport, TransportError,
};
use ctc_store_file::FileStore;
use http::{Request, Response};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Answers everything, and lets the session rotate so that the store is asked again.
#[derive(Default)]
struct Ctc {
    logins: AtomicU32,
    calls: AtomicU32,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;
impl TransportError for Never {}

impl Transport for Ctc {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = Never;

    fn send(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Never> {
        let call = self.calls.fetch_add(1, SeqCst);
        let mut response = Response::builder();
        if call % 3 == 2 {
            response = response.header("set-cookie", format!("authToken=R{call}"));
        }
        Ok(response.body(vec![]).unwrap())
    }

    fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, Never> {
        let login = self.logins.fetch_add(1, SeqCst);
        Ok(Response::builder()
            .header("set-cookie", format!("authToken=T{login}"))
            .body(vec![])
            .unwrap()
            .into())
    }
}

fn survives(store: FileStore, reason: &str) {
    let credentials = Credentials::new("ada@example.com", "s3cret!s3cret!").unwrap();
    let session = Session::new(
        Endpoint::us(),
        AppKey::new("key").unwrap(),
        credentials,
        Settings::default(),
    );
    let driver = Driver::new(
        SharedSession::new(session.unwrap()),
        Ctc::default(),
        Some(Arc::new(store)),
    );
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        for _ in 0..10 {
            let request =
                Request::get("https://connect.calamp.com/connect/services/devices").body(vec![]);
            driver
                .execute(request.unwrap(), &CallOptions::default())
                .unwrap();
        }
    });
    assert_eq!(driver.transport().logins.load(SeqCst), 1);
    assert!(driver.session().counts().store_failures > 1);
    let warnings = log.0.lock().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(reason), "{warnings:?}");
}

#[test]
fn a_file_where_the_folder_should_be() {
    let file = tempfile::NamedTempFile::new().unwrap();
    survives(FileStore::at(file.path()), "cannot use the folder");
    survives(
        FileStore::at(file.path().join("below")),
        "cannot use the folder",
    );
}

/// A file system that takes no files, whoever asks (tests may run as root, whom modes do not stop).
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_disk() {
    survives(FileStore::at("/proc/ctc"), "cannot use the folder");
    survives(FileStore::at("/proc/self"), "cannot open the lock file");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.push_str(&format!("{field}={value}"));
        let mut source = value.source();
        while let Some(error) = source {
            self.0.push_str(&format!(": {error}"));
            source = error.source();
        }
        self.0.push(' ');
    }
}
