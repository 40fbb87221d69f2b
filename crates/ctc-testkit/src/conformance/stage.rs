//! The tools of a case: servers, clients of the stack under test, and the checks that most cases
//! need.

use std::{
    fmt::Display,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ctc_driver::{
    Clock, Denied, LoginRequest, LoginResponse, LogoutOutcome, SharedSession,
    ctc_core::{
        Admit, AppKey, Call as Admission, Credentials, Endpoint, Login, OAuth, Session, Settings,
    },
};
use http::Method;

use super::{
    client::{AnyStack, Call, CallFailed, Client, Head, LIMIT, Pending, ServerResponse, Why},
    failure::{Checked, Failure, Stop, equal, fail, that},
    script::Script,
    stack::Certificate,
};
use crate::{
    Builder, Class, Counts, DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME,
    Entry, Server, VirtualClock,
};

pub(super) const DEVICES: &str = "/connect/services/devices";
pub(super) const ECHO: &str = "/connect/test/echo";
pub(super) const NOTES: &str = "/connect/services/devices/1001/notes";

/// Creates servers and clients, and remembers the servers for the report.
pub(super) struct Stage<'a> {
    pub(super) stack: &'a dyn AnyStack,
    servers: Mutex<Vec<Arc<Server>>>,
}

/// A server and its client.
pub(super) struct Scene {
    pub(super) server: Arc<Server>,
    pub(super) client: TestClient,
}

/// The settings of a client.
pub(super) struct Setup {
    pub(super) username: String,
    pub(super) password: String,
    pub(super) settings: Settings,
    /// Whether the client uses the OAuth login.
    oauth: bool,
    /// The source of the credentials, if there is one.
    source: Option<Arc<Script>>,
}

impl Default for Setup {
    fn default() -> Self {
        let mut settings = Settings::default();
        // Fair use has its own tests; here it must not stop a case.
        settings.fair_use.burst = NonZeroU32::MIN.saturating_add(199);
        settings.fair_use.refill = Duration::from_secs(1);
        settings.login_timeout = LIMIT;
        Self {
            username: DEFAULT_USERNAME.into(),
            password: DEFAULT_PASSWORD.into(),
            settings,
            oauth: false,
            source: None,
        }
    }
}

impl Setup {
    pub(super) fn login_timeout(mut self, timeout: Duration) -> Self {
        self.settings.login_timeout = timeout;
        self
    }

    pub(super) fn oauth(mut self) -> Self {
        self.oauth = true;
        self
    }

    pub(super) fn source(mut self, source: Arc<Script>) -> Self {
        self.source = Some(source);
        self
    }

    pub(super) fn account(mut self, username: &str, password: &str) -> Self {
        self.username = username.into();
        self.password = password.into();
        self
    }
}

impl<'a> Stage<'a> {
    pub(super) fn new(stack: &'a dyn AnyStack) -> Self {
        Self {
            stack,
            servers: Mutex::default(),
        }
    }

    /// Creates a server with the defaults and a client that has not logged in.
    #[track_caller]
    pub(super) fn scene(&self) -> Checked<Scene> {
        self.scene_of(Server::builder(), Setup::default())
    }

    /// Creates the same with a client that has logged in.
    #[track_caller]
    pub(super) fn open_scene(&self) -> Checked<Scene> {
        let scene = self.scene()?;
        scene.client.open()?;
        Ok(scene)
    }

    #[track_caller]
    pub(super) fn scene_of(&self, builder: Builder, setup: Setup) -> Checked<Scene> {
        let server = self.server(builder)?;
        let client = self.client(&server, setup)?;
        Ok(Scene { server, client })
    }

    #[track_caller]
    pub(super) fn server(&self, builder: Builder) -> Checked<Arc<Server>> {
        match builder.start() {
            Ok(server) => {
                let server = Arc::new(server);
                self.servers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Arc::clone(&server));
                Ok(server)
            }
            Err(error) => fail("the server", "to start".into(), error.to_string()),
        }
    }

    /// Creates a client of a server, which trusts the server's certificate if there is one.
    #[track_caller]
    pub(super) fn client(&self, server: &Server, mut setup: Setup) -> Checked<TestClient> {
        if setup.oauth {
            match OAuth::danger_plain_http(&server.token_url(), DEFAULT_CLIENT_ID) {
                Ok(oauth) => setup.settings.login = Login::OAuth(oauth),
                Err(error) => return fail("the login", "to be set up".into(), error.to_string()),
            }
        }
        let certificate = server.certificate_pem().zip(server.certificate_der());
        self.client_of(
            &server.url(),
            certificate.map(|(pem, der)| Certificate { pem, der }),
            setup,
        )
    }

    /// Creates a client for `url`.
    #[track_caller]
    pub(super) fn client_of(
        &self,
        url: &str,
        certificate: Option<Certificate<'_>>,
        setup: Setup,
    ) -> Checked<TestClient> {
        let clock = VirtualClock::new();
        let source = setup.source.clone();
        let session = match session(url, setup) {
            Ok(session) => SharedSession::with_clock(session, clock.clone()),
            Err(error) => return fail("the session", "to be created".into(), error),
        };
        if let Some(source) = source {
            source.give(&session, self.stack.is_async());
        }
        match self.stack.connect(session.clone(), certificate) {
            Some(client) => Ok(TestClient {
                client,
                session,
                clock,
                url: url.to_owned(),
            }),
            None if certificate.is_some() => Err(Stop::Skipped("the stack does not claim TLS")),
            None => fail(
                "a transport",
                "to be created".into(),
                "creating it hung or panicked".into(),
            ),
        }
    }

    /// Sends a login through the stack, without a session, and returns its response.
    #[track_caller]
    pub(super) fn send_login(&self, server: &Server) -> Checked<LoginResponse> {
        let mut session = match session(&server.url(), Setup::default()) {
            Ok(session) => session,
            Err(error) => return fail("the session", "to be created".into(), error),
        };
        let order = match session.admit(&mut Admission::new(false), VirtualClock::new().now()) {
            Admit::Login(order) => order,
            other => return fail("the session", "to log in".into(), format!("{other:?}")),
        };
        match self
            .stack
            .send_login(LoginRequest::new(order.request, LIMIT))
            .wait()?
        {
            Ok(response) => Ok(response),
            Err(texts) => fail("a login through `send_login`", "a response".into(), texts),
        }
    }

    pub(super) fn show_journals(&self, failure: &mut Failure) {
        for server in self
            .servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            failure.show_journal(server);
        }
    }
}

fn session(url: &str, setup: Setup) -> Result<Session, String> {
    let text = |error: &dyn Display| error.to_string();
    let endpoint = Endpoint::danger_plain_http(url).map_err(|error| text(&error))?;
    let key = AppKey::new(DEFAULT_APP_KEY).map_err(|error| text(&error))?;
    if setup.source.is_some() {
        let session = Session::without_credentials(endpoint, key, setup.settings);
        return session.map_err(|error| text(&error));
    }
    let credentials =
        Credentials::new(setup.username, setup.password).map_err(|error| text(&error))?;
    Session::new(endpoint, key, credentials, setup.settings).map_err(|error| text(&error))
}

/// A client under test, its session and its clock.
pub(super) struct TestClient {
    client: Box<dyn Client>,
    pub(super) session: SharedSession,
    pub(super) clock: VirtualClock,
    url: String,
}

impl TestClient {
    pub(super) fn call(&self, method: Method, path: &str) -> Call {
        Call::new(method, format!("{}{path}", self.url))
    }

    pub(super) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// Logs in.
    #[track_caller]
    pub(super) fn open(&self) -> Checked {
        match self.login()? {
            Ok(()) => Ok(()),
            Err(denied) => fail(
                "the login",
                "to succeed".into(),
                format!("{denied} {denied:?}"),
            ),
        }
    }

    #[track_caller]
    pub(super) fn login(&self) -> Checked<Result<(), Denied>> {
        self.client.login().wait()
    }

    #[track_caller]
    pub(super) fn logout(&self) -> Checked<LogoutOutcome> {
        self.client.logout().wait()
    }

    pub(super) fn debug(&self) -> String {
        self.client.debug()
    }

    pub(super) fn start(&self, call: Call) -> Checked<Pending<Result<Head, CallFailed>>> {
        self.client.start(call).ok_or(Stop::Skipped(
            "the stack says that it cannot make such a request",
        ))
    }

    /// Starts this many calls at once, and waits until all are in progress.
    #[track_caller]
    pub(super) fn herd(
        &self,
        size: usize,
        call: &Call,
    ) -> Checked<Vec<Pending<Result<Head, CallFailed>>>> {
        let herd = (0..size)
            .map(|_| self.start(call.clone()))
            .collect::<Checked<Vec<_>>>()?;
        herd.iter().try_for_each(Pending::begun)?;
        Ok(herd)
    }

    /// Makes a call that must get a response.
    #[track_caller]
    pub(super) fn response(&self, call: Call) -> Checked<ServerResponse> {
        answered(self.start(call)?)
    }

    /// Makes a call that must get this status.
    #[track_caller]
    pub(super) fn expect(&self, call: Call, status: u16) -> Checked<ServerResponse> {
        let what = format!("the status of {} {}", call.method, call.url);
        let response = self.response(call)?;
        equal(what, response.status, status)?;
        Ok(response)
    }

    /// Makes a call that must not get a response.
    #[track_caller]
    pub(super) fn failed(&self, call: Call) -> Checked<CallFailed> {
        match self.start(call)?.wait()? {
            Ok(head) => fail(
                "the call",
                "to fail".into(),
                format!("an answer of {}", head.status),
            ),
            Err(failed) => Ok(failed),
        }
    }

    /// Makes a call that must be denied.
    #[track_caller]
    pub(super) fn denied(&self, call: Call) -> Checked<Denied> {
        denied(self.failed(call)?)
    }
}

#[track_caller]
pub(super) fn answered(pending: Pending<Result<Head, CallFailed>>) -> Checked<ServerResponse> {
    match pending.wait()? {
        Ok(head) => head.read(),
        Err(failed) => fail("the call", "to get a response".into(), failed.texts),
    }
}

#[track_caller]
pub(super) fn denied(failed: CallFailed) -> Checked<Denied> {
    match failed.why {
        Why::Denied(denied) => Ok(denied),
        other => fail("the call", "to be denied".into(), format!("{other:?}")),
    }
}

impl Scene {
    /// Waits until the server's counts satisfy a condition.
    #[track_caller]
    pub(super) fn until(&self, what: &str, wanted: impl Fn(&Counts) -> bool) -> Checked {
        match self.server.wait_until(wanted, LIMIT) {
            Ok(_) => Ok(()),
            Err(error) => fail(
                format!("the server waited for {what}"),
                "it to arrive".into(),
                error.to_string(),
            ),
        }
    }

    pub(super) fn entries(&self, class: Class) -> Vec<Entry> {
        self.server
            .journal()
            .into_iter()
            .filter(|entry| entry.class == class)
            .collect()
    }

    /// Returns the last request of a class.
    #[track_caller]
    pub(super) fn last(&self, class: Class) -> Checked<Entry> {
        match self.entries(class).pop() {
            Some(entry) => Ok(entry),
            None => fail(
                format!("a request of class {class:?}"),
                "one".into(),
                "none".into(),
            ),
        }
    }

    /// Checks the numbers of logins (requests to the login path) and calls, and that no rule of the
    /// interface was broken.
    #[track_caller]
    pub(super) fn counts(&self, login_requests: u64, calls: u64) -> Checked {
        let counts = self.server.counts();
        equal(
            "requests to the login path",
            counts.login_requests,
            login_requests,
        )?;
        equal("calls that the server received", counts.calls, calls)?;
        self.clean()
    }

    /// Checks that no rule of the interface was broken.
    #[track_caller]
    pub(super) fn clean(&self) -> Checked {
        let counts = self.server.counts();
        equal("violations", counts.violations, 0)?;
        equal(
            "logins although a token was valid",
            counts.needless_logins,
            0,
        )?;
        that(
            "one login at a time",
            counts.logins_in_flight_max <= 1,
            counts,
        )
    }
}
