//! Accounts and records to test with, made by the core itself.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Instant, SystemTime};

use ctc_driver::ctc_core::{
    Admit, AppKey, Call, Credentials, Endpoint, RecordKey, Session, SessionRecord, Settings,
};

/// An account that no store knows yet.
#[derive(Clone, Debug)]
pub(super) struct Account {
    origin: String,
    user: String,
    app_key: String,
}

impl Account {
    pub(super) fn new() -> Self {
        let number = RandomState::new().build_hasher().finish();
        Self {
            origin: "https://store-conformance.example".into(),
            user: format!("conformance-{number:016x}@example.com"),
            app_key: "conformance-key".into(),
        }
    }

    pub(super) fn at(&self, origin: &str) -> Self {
        Self {
            origin: origin.into(),
            ..self.clone()
        }
    }

    pub(super) fn with_app_key(&self, app_key: &str) -> Self {
        Self {
            app_key: app_key.into(),
            ..self.clone()
        }
    }

    pub(super) fn key(&self) -> RecordKey {
        self.session().record_key()
    }

    /// A record with this token.
    pub(super) fn record(&self, token: &str) -> SessionRecord {
        self.after_login(
            http::Response::builder().header("set-cookie", format!("authToken={token}; Path=/")),
        )
    }

    /// A record of a refused login.
    pub(super) fn rejected(&self) -> SessionRecord {
        self.after_login(http::Response::builder().status(401))
    }

    /// A record of a server in trouble.
    pub(super) fn paused(&self) -> SessionRecord {
        self.after_login(
            http::Response::builder()
                .status(503)
                .header("retry-after", "60"),
        )
    }

    #[expect(clippy::unwrap_used, reason = "inputs are of this file's own making")]
    fn after_login(&self, response: http::response::Builder) -> SessionRecord {
        let (mut session, now) = (self.session(), Instant::now());
        if let Admit::Login(order) = session.admit(&mut Call::new(false), now) {
            let response = response.body(()).unwrap();
            let reader = session.login_reader();
            let reading = reader.read(response.status(), response.headers(), &[]);
            let _ = session.login_response(order.ticket, reading, now);
        }
        session.record(now, SystemTime::now())
    }

    #[expect(clippy::unwrap_used, reason = "inputs are of this file's own making")]
    fn session(&self) -> Session {
        let endpoint = Endpoint::new(&self.origin).unwrap();
        let credentials = Credentials::new(&self.user, "conformance-password!").unwrap();
        Session::new(
            endpoint,
            AppKey::new(&self.app_key).unwrap(),
            credentials,
            Settings::default(),
        )
        .unwrap()
    }
}
