//! The client's builder.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ctc_driver::ctc_core::{Endpoint, Login, Settings};
use ctc_driver::{
    AsyncCredentialsSource, AsyncDriver, AsyncSessionStore, CallOptions, Clock, LoginLimiter,
    Replay, Runtime, SessionConfig, SharedSession, Tokio,
};

use crate::client::{Client, Inner};
use crate::error::BuildError;
use crate::transport::ReqwestTransport;

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
    http: Option<reqwest::Client>,
    configure: Vec<Configure>,
    login_http: Option<reqwest::Client>,
    connect_timeout: Option<Duration>,
    user_agent: Option<String>,
    store: Option<Arc<dyn AsyncSessionStore>>,
    runtime: Option<Arc<dyn Runtime>>,
    timeout: Option<Duration>,
    options: CallOptions,
}

type Configure = Box<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>;

/// Returns the builder of the default HTTP client, which follows no redirects and keeps no cookies.
/// Add certificates, proxies or limits, and pass the client to [`ClientBuilder::http_client`].
pub fn http_client_builder() -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(USER_AGENT);
    // reqwest's own choice would depend on what else is in the program.
    #[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
    return builder.tls_backend_rustls();
    #[cfg(all(
        feature = "native-tls",
        not(any(feature = "rustls", feature = "rustls-no-provider"))
    ))]
    return builder.tls_backend_native();
    #[cfg(not(any(
        feature = "native-tls",
        feature = "rustls",
        feature = "rustls-no-provider"
    )))]
    builder
}

/// Whether the crypto provider is missing, without which reqwest would panic.
fn lacks_crypto() -> bool {
    #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
    return rustls::crypto::CryptoProvider::get_default().is_none();
    #[cfg(not(all(feature = "rustls-no-provider", not(feature = "rustls"))))]
    false
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
    /// [`AsyncCredentialsSource`] and the manual's page
    /// [`rotating_a_password`](ctc_driver::manual::rotating_a_password).
    ///
    /// A blocking source works too: it is asked on a thread of its own.
    ///
    /// ```
    /// use ctc_reqwest::{Client, CredentialsFile};
    ///
    /// let source = CredentialsFile::new("/etc/ctc/username", "/etc/ctc/password");
    /// let builder = Client::builder().credentials_source(source);
    /// ```
    pub fn credentials_source(mut self, source: impl AsyncCredentialsSource + 'static) -> Self {
        self.config = self.config.async_credentials_source(source);
        self
    }

    /// Sets which login is made. Default [`Login::AuthToken`], the login with the cookie.
    ///
    /// ```
    /// use ctc_reqwest::{Client, Endpoint, Login, OAuth};
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
    /// use ctc_reqwest::{Client, Endpoint};
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
    /// # Ok::<(), ctc_reqwest::BuildError>(())
    /// ```
    pub fn session(mut self, session: SharedSession) -> Self {
        self.config = self.config.session(session);
        self
    }

    /// Saves the session in a store, so that it outlives the process and several processes can
    /// share it. An `Arc<dyn AsyncSessionStore>` is a store, too.
    pub fn store(mut self, store: impl AsyncSessionStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets the runtime that logins run on. Default [`Tokio::current`]: that of the elected caller.
    /// Use [`Tokio::on`] if your program has several runtimes, or one that is not always running.
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Some(Arc::new(runtime));
        self
    }

    /// Sets the time limit of each whole call, with a replay and the wait for another caller's
    /// login (which [`max_wait`](Self::max_wait) does not limit). A call that exceeds it fails with
    /// [`TimedOut`](crate::TimedOut), which says whether it was sent; the login goes on for the
    /// others. Default: no limit. See [`CallOptions::timeout`]; for one call there is
    /// [`RequestBuilder::call_timeout`](crate::RequestBuilder::call_timeout).
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
    /// stay off. Add no cookie store: it would send an old token along with a login.
    ///
    /// It is called twice, since logins have an HTTP client of their own that keeps no connections.
    ///
    /// ```
    /// use ctc_reqwest::Client;
    ///
    /// let builder = Client::builder()
    ///     .configure_http(|http| http.tcp_nodelay(true).pool_max_idle_per_host(4));
    /// ```
    pub fn configure_http<F>(mut self, configure: F) -> Self
    where
        F: Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    {
        self.configure.push(Box::new(configure));
        self
    }

    /// Sets an HTTP client of your own, with its proxies, certificates and limits.
    ///
    /// Start with [`http_client_builder`]. The client **must not** follow redirects
    /// (`redirect(reqwest::redirect::Policy::none())`) or have a cookie store. reqwest sends the
    /// application key to other hosts in redirects and posts the login form again on a 307 or 308;
    /// this is reported afterwards, but cannot be undone. A cookie store would send an old token
    /// with a login.
    ///
    /// Logins use the connections that this client keeps for calls, unless you set a client for
    /// them: [`login_http_client`](Self::login_http_client).
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http = Some(client);
        self
    }

    /// Sets an HTTP client of your own for logins and logouts, set up like that of
    /// [`http_client`](Self::http_client), and with `pool_max_idle_per_host(0)` so that each has a
    /// connection of its own.
    ///
    /// Without it a login may be sent on a connection that the server is about to close, for
    /// example after each 401. That login fails: it is charged to the login budget, and calls are
    /// denied until the backoff ends. The default client does not have this problem.
    pub fn login_http_client(mut self, client: reqwest::Client) -> Self {
        self.login_http = Some(client);
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
        if self.http.is_some() && is_changed {
            return Err(BuildError::OwnHttpClient);
        }
        let session = self.config.build()?;
        let endpoint = session.endpoint();
        let mut transport = match self.http {
            Some(client) => ReqwestTransport::new(client),
            None if lacks_crypto() => return Err(BuildError::NoCryptoProvider),
            None => {
                let (connect_timeout, user_agent) = (self.connect_timeout, self.user_agent);
                let (is_plain_http, configure) = (session.is_plain_http(), self.configure);
                let builder = move || {
                    let mut http = http_client_builder();
                    if let Some(timeout) = connect_timeout {
                        http = http.connect_timeout(timeout);
                    }
                    if let Some(user_agent) = &user_agent {
                        http = http.user_agent(user_agent);
                    }
                    let http = configure
                        .iter()
                        .fold(http, |http, configure| configure(http));
                    let http = http.redirect(reqwest::redirect::Policy::none());
                    // Plain http must not leave this machine, whatever proxies the environment
                    // sets.
                    if is_plain_http { http.no_proxy() } else { http }
                };
                ReqwestTransport::built_by(builder).map_err(BuildError::Http)?
            }
        };
        if let Some(client) = self.login_http {
            transport = transport.with_login_client(client);
        }
        let origin = reqwest::Url::parse(endpoint.origin()).ok();
        let runtime = self.runtime.unwrap_or_else(|| Arc::new(Tokio::current()));
        let driver = AsyncDriver::new(session, transport, runtime, self.store);
        let inner = Inner {
            driver,
            endpoint,
            origin,
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
