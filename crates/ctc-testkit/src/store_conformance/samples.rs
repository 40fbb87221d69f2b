//! Accounts and records to test with, made by the core itself.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use ctc_driver::__adapter::records;
use ctc_driver::StoreSecret;
use ctc_driver::ctc_core::{
    Admit, AppKey, Credentials, Endpoint, RecordKey, Session, SessionRecord, Settings,
};

/// An account that no store has.
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

    /// Returns a record with this token, obtained just now.
    pub(super) fn record(&self, token: &str) -> SessionRecord {
        self.record_of(token, 1, Duration::ZERO)
    }

    /// Returns a record of now with the `number`th token of a session, obtained `age` ago.
    pub(super) fn record_of(&self, token: &str, number: u64, age: Duration) -> SessionRecord {
        self.after_logins(number, with_token(token), Moment::now(), age)
    }

    /// Returns a record for each of these tokens, all obtained at the same time.
    pub(super) fn records_of_one_moment(&self, tokens: &[String]) -> Vec<SessionRecord> {
        let then = Moment::now();
        let record = |token| self.after_logins(1, with_token(token), then, Duration::ZERO);
        tokens.iter().map(|token| record(token)).collect()
    }

    /// Returns a record of a rejected login.
    pub(super) fn rejected(&self) -> SessionRecord {
        let rejected = || http::Response::builder().status(401);
        self.after_logins(1, rejected, Moment::now(), Duration::ZERO)
    }

    /// Returns a record of a failed login.
    pub(super) fn paused(&self) -> SessionRecord {
        let trouble = || {
            http::Response::builder()
                .status(503)
                .header("retry-after", "60")
        };
        self.after_logins(1, trouble, Moment::now(), Duration::ZERO)
    }

    #[expect(clippy::unwrap_used, reason = "inputs are of this file's own making")]
    fn after_logins(
        &self,
        count: u64,
        response: impl Fn() -> http::response::Builder,
        Moment { now: then, wall }: Moment,
        age: Duration,
    ) -> SessionRecord {
        let mut session = self.session();
        for _ in 0..count {
            if let Admit::Login(order) = session.renew(then) {
                let response = response().body(()).unwrap();
                let reader = session.login_reader();
                let reading = reader.read(response.status(), response.headers(), &[]);
                let _ = session.login_response(order.ticket, reading, then);
            }
        }
        // One salt and one secret, so that all records of an account have the same password.
        let secret = StoreSecret::new([7; 32]);
        records::seal(
            &session.record(then + age, wall),
            None,
            [7; 16],
            Some(&secret),
        )
        .unwrap()
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn app_key(&self) -> &str {
        &self.app_key
    }

    fn session(&self) -> Session {
        self.session_with("conformance-password!")
    }

    #[expect(clippy::unwrap_used, reason = "inputs are of this file's own making")]
    pub(super) fn session_with(&self, password: &str) -> Session {
        let endpoint = Endpoint::new(&self.origin).unwrap();
        let credentials = Credentials::new(&self.user, password).unwrap();
        Session::new(
            endpoint,
            AppKey::new(&self.app_key).unwrap(),
            credentials,
            Settings::default(),
        )
        .unwrap()
    }
}

fn with_token(token: &str) -> impl Fn() -> http::response::Builder {
    let cookie = format!("authToken={token}; Path=/");
    move || http::Response::builder().header("set-cookie", &cookie)
}

/// Both clocks at the same moment.
#[derive(Clone, Copy)]
struct Moment {
    now: Instant,
    wall: SystemTime,
}

impl Moment {
    fn now() -> Self {
        Self {
            now: Instant::now(),
            wall: SystemTime::now(),
        }
    }
}
