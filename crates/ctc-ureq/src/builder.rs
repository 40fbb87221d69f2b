//! The client's builder.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ctc_driver::ctc_core::{Endpoint, Login, Settings};
use ctc_driver::{
    CallOptions, Clock, CredentialsSource, Driver, LoginLimiter, Replay, SessionConfig,
    SessionStore, SharedSession,
};
use ureq::Agent;
use ureq::config::{Config, ConfigBuilder};
use ureq::typestate::AgentScope;

use crate::client::{Client, Inner};
use crate::error::BuildError;
use crate::transport::{UreqTransport, bounded};

impl Client {
    /// Returns a builder. It needs an endpoint, an application key and credentials.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Creates a client from environment variables: `CTC_USERNAME`, `CTC_PASSWORD`, `CTC_APP_KEY`,
    /// and `CTC_REGION` (`us` or `eu`) or `CTC_BASE_URL`. `CTC_LOGIN=oauth` chooses the OAuth
    /// login; see [`SessionConfig::from_env`].
    ///
    /// # Errors
    /// Returns [`BuildError`] if a variable is missing, empty or invalid; it names all missing
    /// ones.
    pub fn from_env() -> Result<Self, BuildError> {
        ClientBuilder::from_env()?.build()
    }
}

/// Builds a [`Client`].
#[derive(Default)]
#[must_use = "a builder does nothing until build"]
pub struct ClientBuilder {
    config: SessionConfig,
    transport: Option<UreqTransport>,
    configure: Vec<Configure>,
    connect_timeout: Option<Duration>,
    user_agent: Option<String>,
    store: Option<Arc<dyn SessionStore>>,
    timeout: Option<Duration>,
    options: CallOptions,
}

type Configure =
    Box<dyn FnOnce(ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> + Send + Sync>;

/// Returns the configuration of the default agent, which follows no redirects and returns every
/// status as a response. Add certificates, proxies or limits, and pass the result to
/// [`ClientBuilder::http_config`].
pub fn http_client_builder() -> ConfigBuilder<AgentScope> {
    let config = Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .user_agent(USER_AGENT);
    let config = as_drivers_need_it(config);
    #[cfg(any(
        feature = "native-tls",
        feature = "rustls",
        feature = "rustls-no-provider"
    ))]
    let config = config.tls_config(crate::tls::config());
    config
}

/// No redirects, and every status as a response.
fn as_drivers_need_it(config: ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> {
    config
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
}

/// The default time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

impl ClientBuilder {
    /// Returns a builder with endpoint, key and credentials from the environment; see
    /// [`Client::from_env`].
    ///
    /// # Errors
    /// Returns [`BuildError::Config`] if a variable is missing, empty or invalid; it names all
    /// missing ones.
    pub fn from_env() -> Result<Self, BuildError> {
        Ok(Self {
            config: SessionConfig::from_env()?,
            ..Self::default()
        })
    }

    /// Sets the endpoint: the instance that has the account.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.config = self.config.endpoint(endpoint);
        self
    }

    /// Sets the application key that the vendor issued for the program.
    pub fn app_key(mut self, key: impl Into<String>) -> Self {
        self.config = self.config.app_key(key);
        self
    }

    /// Sets username and password.
    pub fn credentials(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.config = self.config.credentials(username, password);
        self
    }

    /// Sets a source that each login asks for username and password: for passwords that change. See
    /// [`CredentialsSource`] and the manual's page
    /// [`rotating_a_password`](ctc_driver::manual::rotating_a_password).
    ///
    /// ```
    /// use ctc_ureq::{Client, CredentialsFile};
    ///
    /// let source = CredentialsFile::new("/etc/ctc/username", "/etc/ctc/password");
    /// let builder = Client::builder().credentials_source(source);
    /// ```
    pub fn credentials_source(mut self, source: impl CredentialsSource + 'static) -> Self {
        self.config = self.config.credentials_source(source);
        self
    }

    /// Sets which login is made. Default [`Login::AuthToken`], the login with the cookie.
    ///
    /// ```
    /// use ctc_ureq::{Client, Endpoint, Login, OAuth};
    ///
    /// let builder = Client::builder()
    ///     .endpoint(Endpoint::us())
    ///     .login(Login::OAuth(OAuth::us()));
    /// ```
    pub fn login(mut self, login: Login) -> Self {
        self.config = self.config.login(login);
        self
    }

    /// Sets the time limit for the response to a login. Default 30 s. See
    /// [`SessionConfig::login_timeout`].
    pub fn login_timeout(mut self, timeout: Duration) -> Self {
        self.config = self.config.login_timeout(timeout);
        self
    }

    /// Sets the time limit for connecting. Default 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Sets the time limit of each call, from connecting to the end of the body. Default: no limit,
    /// so that long downloads work; [`RequestBuilder::timeout`](crate::RequestBuilder::timeout)
    /// sets it for one call.
    ///
    /// It does not limit the wait for a login; [`call_timeout`](Self::call_timeout) does. Without
    /// that, the wait is limited by [`login_timeout`](Self::login_timeout) and, with a store, by
    /// the lease ([`Settings::lease`](ctc_driver::ctc_core::Settings::lease)) for which another
    /// process may hold it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the `User-Agent` header.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// Changes settings of the session: the governor's limits, how the token is attached, the
    /// logout path.
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(self.config.settings_mut());
        self
    }

    /// A label for the session's events, spans and metrics, such as the customer's number. See
    /// [`SharedSession::set_label`].
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.config = self.config.label(label);
        self
    }

    /// A limit on logins that this account shares with others: see [`LoginLimiter`] and the
    /// manual's page [`many_accounts`](ctc_driver::manual::many_accounts).
    pub fn login_limiter(mut self, limiter: &LoginLimiter) -> Self {
        self.config = self.config.login_limiter(limiter);
        self
    }

    /// A clock of your own for the session: for tests in virtual time.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.config = self.config.clock(clock);
        self
    }

    /// A session that there is already, such as that of another client: both then share its token
    /// and its logins. It has its own endpoint, key, credentials and settings, so give none here.
    ///
    /// ```
    /// use ctc_ureq::{Client, Endpoint};
    ///
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
    /// let fast = Client::builder()
    ///     .endpoint(Endpoint::us())
    ///     .app_key("my-key")
    ///     .credentials("ada@example.com", "s3cret!s3cret!")
    ///     .build()?;
    /// // The same account, with other limits of the HTTP client.
    /// let patient = Client::builder()
    ///     .session(fast.session().clone())
    ///     .connect_timeout(std::time::Duration::from_secs(60))
    ///     .build()?;
    /// assert_eq!(fast.session().number(), patient.session().number());
    /// # Ok::<(), ctc_ureq::BuildError>(())
    /// ```
    pub fn session(mut self, session: SharedSession) -> Self {
        self.config = self.config.session(session);
        self
    }

    /// Saves the session in a store, so that it outlives the process and several processes can
    /// share it. An `Arc<dyn SessionStore>` is a store, too.
    pub fn store(mut self, store: impl SessionStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets the time limit of each whole call, with a replay and the wait for another caller's
    /// login (which [`max_wait`](Self::max_wait) does not limit). A call that exceeds it fails with
    /// [`TimedOut`](crate::TimedOut), which says whether it was sent; the login goes on for the
    /// others. Default: no limit. See [`CallOptions::timeout`]; for one call there is
    /// [`RequestBuilder::call_timeout`](crate::RequestBuilder::call_timeout).
    ///
    /// The caller that makes the login itself, on its own thread, stays with it for up to
    /// [`login_timeout`](Self::login_timeout). All others leave in time.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Sets whether requests may be replayed after a 401. Default [`Replay::Idempotent`].
    pub fn replay(mut self, replay: Replay) -> Self {
        self.options.replay = replay;
        self
    }

    /// Sets how long calls wait while no login may be made. Default zero: they fail immediately.
    /// It does not limit the wait for another caller's login;
    /// [`call_timeout`](Self::call_timeout) does.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.options.max_wait = max_wait;
        self
    }

    /// Changes the HTTP client that is used by default: proxies, certificates, limits. Redirects
    /// stay off, and every status stays a response.
    ///
    /// ```
    /// use ctc_ureq::Client;
    ///
    /// let builder = Client::builder()
    ///     .configure_http(|http| http.max_idle_connections_per_host(4).no_delay(true));
    /// ```
    pub fn configure_http(
        mut self,
        configure: impl FnOnce(ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.configure.push(Box::new(configure));
        self
    }

    /// Sets the configuration of the HTTP client: proxies, certificates and limits. Start with
    /// [`http_client_builder`]. Redirects and statuses are handled for each request.
    pub fn http_config(mut self, config: Config) -> Self {
        self.transport = Some(UreqTransport::from_config(config));
        self
    }

    /// Sets an HTTP client of your own, which no other session may use: for an agent with its own
    /// connectors or resolver. Otherwise prefer [`http_config`](Self::http_config): see
    /// [`UreqTransport::new`].
    ///
    /// If anything in the program enables ureq's feature `cookies`, enable the feature of that name
    /// of this crate too: ureq's cookie jar would otherwise add a second `Cookie` header.
    pub fn http_client(mut self, agent: Agent) -> Self {
        self.transport = Some(UreqTransport::new(agent));
        self
    }

    /// Builds the client. Nothing is sent yet.
    ///
    /// # Errors
    /// Returns [`BuildError`] for the first setting that is missing or invalid.
    pub fn build(self) -> Result<Client, BuildError> {
        let is_changed = self.user_agent.is_some()
            || self.connect_timeout.is_some()
            || !self.configure.is_empty();
        if self.transport.is_some() && is_changed {
            return Err(BuildError::OwnHttpClient);
        }
        let session = self.config.build()?;
        let endpoint = session.endpoint();
        let transport = self.transport.unwrap_or_else(|| {
            let mut http = http_client_builder();
            if let Some(timeout) = self.connect_timeout {
                http = http.timeout_connect(Some(bounded(timeout)));
            }
            if let Some(user_agent) = self.user_agent {
                http = http.user_agent(user_agent);
            }
            for configure in self.configure {
                http = configure(http);
            }
            http = as_drivers_need_it(http);
            // Plain http must not leave this machine, whatever proxies the environment sets.
            if session.is_plain_http() {
                http = http.proxy(None);
            }
            UreqTransport::from_config(http.build())
        });
        transport.check_headers()?;
        let inner = Inner {
            driver: Driver::new(session, transport, self.store),
            endpoint,
            timeout: self.timeout,
            options: self.options,
        };
        Ok(Client::of(inner))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
