//! What the tests stand on: virtual time, a scripted server, both drivers behind one face.

pub(crate) mod clock;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod transport;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ctc_driver::ctc_core::{
    AppKey, Credentials, Denial, Endpoint, Session, Settings, Unauthorized,
};
use ctc_driver::{
    AsyncDriver, AsyncSessionStore, CallError, CallOptions, Denied, Driver, LogoutOutcome,
    SessionStore, SharedSession,
};
use http::{Method, Response};

use clock::VirtualClock;
use server::Server;
use store::TestStore;
use transport::{Async, Blocking, Cut, Req};

pub(crate) type Answer = Result<Response<String>, CallError<Cut>>;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn get(path: &str) -> Req {
    Req::new(Method::GET, path)
}

pub(crate) fn post(path: &str) -> Req {
    Req::new(Method::POST, path)
}

pub(crate) fn credentials(password: &str) -> Credentials {
    Credentials::new("ada@example.com", password).expect("credentials")
}

pub(crate) fn session_for(username: &str, settings: Settings) -> Session {
    session_of(username, "s3cret!", settings)
}

fn session_of(username: &str, password: &str, settings: Settings) -> Session {
    let credentials = Credentials::new(username, password).expect("credentials");
    let key = AppKey::new("my-key").expect("a key");
    Session::new(Endpoint::us(), key, credentials, settings).expect("a session")
}

/// One session, its server and its time. Every clone is the same world.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: VirtualClock,
    pub(crate) server: Server,
    pub(crate) session: SharedSession,
    pub(crate) store: Option<TestStore>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_settings(Settings::default())
    }

    pub(crate) fn with_settings(settings: Settings) -> Self {
        let clock = VirtualClock::new();
        let session = session_for("ada@example.com", settings);
        let session = SharedSession::with_clock(session, clock.clone());
        Self {
            clock,
            server: Server::new(),
            session,
            store: None,
        }
    }

    /// A session that asks a source for its credentials.
    pub(crate) fn without_credentials(settings: Settings) -> Self {
        let world = Self::new();
        let key = AppKey::new("my-key").expect("a key");
        let session = Session::without_credentials(Endpoint::us(), key, settings);
        let session = session.expect("a session");
        Self {
            session: SharedSession::with_clock(session, world.clock.clone()),
            ..world
        }
    }

    pub(crate) fn with_store(store: &TestStore) -> Self {
        Self {
            store: Some(store.clone()),
            ..Self::new()
        }
    }

    /// Another process: the same account, server and store, nothing of the memory.
    pub(crate) fn restarted(&self) -> Self {
        let session = session_for("ada@example.com", Settings::default());
        Self {
            session: SharedSession::with_clock(session, self.clock.clone()),
            ..self.clone()
        }
    }

    /// Another process of the same account, with a password of its own.
    pub(crate) fn restarted_with(&self, password: &str) -> Self {
        let session = session_of("ada@example.com", password, Settings::default());
        Self {
            session: SharedSession::with_clock(session, self.clock.clone()),
            ..self.clone()
        }
    }

    pub(crate) fn blocking(&self) -> Driver<Blocking> {
        let store = self
            .store
            .clone()
            .map(|store| Arc::new(store) as Arc<dyn SessionStore>);
        Driver::new(
            self.session.clone(),
            Blocking(self.server.clone(), self.clock.clone()),
            store,
        )
    }

    pub(crate) fn asynchronous(&self) -> AsyncDriver<Async> {
        let store = self
            .store
            .clone()
            .map(|store| Arc::new(store) as Arc<dyn AsyncSessionStore>);
        AsyncDriver::new(
            self.session.clone(),
            Async(self.server.clone()),
            run::Virtual(self.clock.clone()),
            store,
        )
    }

    /// What time it is for the session.
    pub(crate) fn session_now(&self) -> ctc_driver::ctc_core::Instant {
        ctc_driver::Clock::now(&self.clock)
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// Either driver, one call at a time.
pub(crate) enum Client {
    Blocking(Driver<Blocking>),
    Async(AsyncDriver<Async>, VirtualClock),
}

impl Client {
    pub(crate) fn send(&self, request: Req, options: &CallOptions) -> Answer {
        match self {
            Self::Blocking(driver) => driver.execute(request, options),
            Self::Async(driver, clock) => run::run(clock, driver.execute(request, options)),
        }
    }

    pub(crate) fn call(&self, path: &str) -> Answer {
        self.send(get(path), &CallOptions::default())
    }

    pub(crate) fn login(&self) -> Result<(), Denied> {
        match self {
            Self::Blocking(driver) => driver.login(&CallOptions::default()),
            Self::Async(driver, clock) => run::run(clock, driver.login(&CallOptions::default())),
        }
    }

    pub(crate) fn renew(&self) -> Result<(), Denied> {
        match self {
            Self::Blocking(driver) => driver.renew(&CallOptions::default()),
            Self::Async(driver, clock) => run::run(clock, driver.renew(&CallOptions::default())),
        }
    }

    pub(crate) fn logout(&self) -> LogoutOutcome {
        match self {
            Self::Blocking(driver) => driver.logout(),
            Self::Async(driver, clock) => run::run(clock, driver.logout()),
        }
    }
}

impl World {
    pub(crate) fn clients(&self) -> [Client; 2] {
        [
            Client::Blocking(self.blocking()),
            Client::Async(self.asynchronous(), self.clock.clone()),
        ]
    }
}

/// Runs a test once with each driver, each in a new world.
pub(crate) fn with_both(make: impl Fn() -> World, test: impl Fn(&World, &Client)) {
    for which in 0..2 {
        let world = make();
        let client = world.clients().into_iter().nth(which).expect("two clients");
        test(&world, &client);
        // Whatever the server did, and in every test that comes by here.
        world
            .server
            .set(|state| assert!(state.logins_at_most <= 1, "two logins in flight"));
    }
}

pub(crate) fn status(response: Answer) -> u16 {
    response.expect("an answer").status().as_u16()
}

/// What was denied: a call before it was sent, or the login after its 401.
pub(crate) fn denial(response: Answer) -> Denial {
    match response {
        Err(CallError::Denied(denied)) => denied.denial().clone(),
        Ok(response) if response.status() == 401 => match response.extensions().get() {
            Some(Unauthorized::NoLogin { denial, .. }) => denial.clone(),
            Some(Unauthorized::Closed) => Denial::Closed,
            why => panic!("not denied: {why:?}"),
        },
        other => panic!("not denied: {other:?}"),
    }
}

/// Why a 401 was delivered.
pub(crate) fn why(response: Answer) -> Unauthorized {
    let response = response.expect("an answer");
    assert_eq!(response.status(), 401);
    response.extensions().get().cloned().expect("a reason")
}
