//! The configuration of a session, which the builders of the shipped adapters share.

mod vars;

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use ctc_core::{
    AppKey, Credentials, Endpoint, EndpointError, Login, OAuthError, SecretError, Session,
    Settings, SettingsError,
};

use crate::clock::{Clock, SystemClock};
use crate::limiter::LoginLimiter;
use crate::ports::credentials::Source;
use crate::ports::{AsyncCredentialsSource, CredentialsSource};
use crate::session::SharedSession;
use vars::Vars;

/// Collects endpoint, key, credentials and settings of a session, and checks them all in
/// [`build`](Self::build).
#[derive(Debug)]
#[must_use]
pub struct SessionConfig {
    endpoint: Option<Endpoint>,
    app_key: Option<Result<AppKey, SecretError>>,
    credentials: Option<Given>,
    settings: Settings,
    /// The default lease.
    lease: Duration,
    label: Option<Arc<str>>,
    limiter: Option<LoginLimiter>,
    clock: Option<Arc<dyn Clock>>,
    session: Option<SharedSession>,
    has_settings: bool,
}

/// The credentials or their source; the last one set counts.
#[derive(Debug)]
enum Given {
    Fixed(Result<Credentials, SecretError>),
    Source(Source),
}

impl Default for SessionConfig {
    fn default() -> Self {
        // Each process jitters its pauses differently; std's hash keys are random enough for that.
        let mut settings = Settings::default();
        settings.seed = RandomState::new().build_hasher().finish();
        let lease = settings.lease;
        Self {
            endpoint: None,
            app_key: None,
            credentials: None,
            settings,
            lease,
            label: None,
            limiter: None,
            clock: None,
            session: None,
            has_settings: false,
        }
    }
}

impl SessionConfig {
    /// Creates a configuration with default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `CTC_USERNAME`, `CTC_PASSWORD`, `CTC_APP_KEY`, and `CTC_REGION` (`us` or `eu`) or
    /// `CTC_BASE_URL` (`https://host[:port]`; for a test server on this machine
    /// `http://127.0.0.1[:port]`, `http://localhost[:port]` or `http://[::1][:port]`).
    ///
    /// `CTC_LOGIN` is `cookie` (the default) or `oauth`. The OAuth login goes to the token endpoint
    /// of the region, or to `CTC_TOKEN_URL` with `CTC_CLIENT_ID`; `CTC_SCOPE` sets another scope
    /// than `openid`.
    ///
    /// # Errors
    /// Returns [`ConfigError`] if a variable is missing, empty or invalid; it names all missing
    /// ones.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(std::env::var_os)
    }

    /// Does the same as [`from_env`](Self::from_env) with variables from another source.
    ///
    /// # Errors
    /// Returns [`ConfigError`] if a variable is missing, empty or invalid; it names all missing
    /// ones.
    pub fn from_vars(var: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(var);
        let (username, password, key) = (
            vars.text("CTC_USERNAME")?,
            vars.text("CTC_PASSWORD")?,
            vars.text("CTC_APP_KEY")?,
        );
        let endpoint = vars.endpoint()?;
        let login = vars.login(endpoint.as_ref())?;
        if !vars.missing.is_empty() {
            let names = vars.missing;
            return Err(ConfigError::Variables { names });
        }
        let config = Self {
            endpoint,
            ..Self::default()
        };
        let config = config.app_key(key).credentials(username, password);
        Ok(config.login(login.unwrap_or_default()))
    }

    /// Sets the endpoint: the instance that has the account.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Sets the application key.
    pub fn app_key(mut self, key: impl Into<String>) -> Self {
        self.app_key = Some(AppKey::new(key));
        self
    }

    /// Sets username and password.
    pub fn credentials(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Given::Fixed(Credentials::new(username, password)));
        self
    }

    /// Sets a source that each login asks for username and password.
    pub fn credentials_source(mut self, source: impl CredentialsSource + 'static) -> Self {
        self.credentials = Some(Given::Source(Source::blocking(source)));
        self
    }

    /// Sets an asynchronous source, like [`credentials_source`](Self::credentials_source): for
    /// asynchronous drivers. A blocking driver makes no login with it.
    pub fn async_credentials_source(
        mut self,
        source: impl AsyncCredentialsSource + 'static,
    ) -> Self {
        self.credentials = Some(Given::Source(Source::asynchronous(source)));
        self
    }

    /// Sets which login is made. Default [`Login::AuthToken`].
    pub fn login(mut self, login: Login) -> Self {
        self.settings_mut().login = login;
        self
    }

    /// Sets the time limit for the response to a login. Default 30 s. A longer limit also raises
    /// the [`lease`](ctc_core::Settings::lease) to twice as much, unless you set the lease.
    pub fn login_timeout(mut self, timeout: Duration) -> Self {
        self.settings_mut().login_timeout = timeout;
        if self.settings.lease == self.lease {
            self.lease = Settings::default().lease.max(timeout.saturating_mul(2));
            self.settings.lease = self.lease;
        }
        self
    }

    /// A label for the session's events, spans and metrics; see [`SharedSession::set_label`].
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// A limit on logins that the session shares with others; see [`LoginLimiter`].
    pub fn login_limiter(mut self, limiter: &LoginLimiter) -> Self {
        self.limiter = Some(limiter.clone());
        self
    }

    /// A clock of your own, in place of [`SystemClock`]: for tests in virtual time. Sessions that
    /// share a [`LoginLimiter`] should share it, too.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// A session that there is already, such as that of another client: the two then share its
    /// token, its logins and its budget. It has its own endpoint, key, credentials, settings and so
    /// on: give none of them here.
    pub fn session(mut self, session: SharedSession) -> Self {
        self.session = Some(session);
        self
    }

    /// Returns the settings, to be changed.
    pub fn settings_mut(&mut self) -> &mut Settings {
        self.has_settings = true;
        &mut self.settings
    }

    /// Builds the session.
    ///
    /// # Errors
    /// Returns [`ConfigError`] for the first setting that is missing or invalid.
    pub fn build(self) -> Result<SharedSession, ConfigError> {
        if let Some(session) = self.session {
            let is_alone = !self.has_settings
                && self.endpoint.is_none()
                && self.app_key.is_none()
                && self.credentials.is_none()
                && self.label.is_none()
                && self.limiter.is_none()
                && self.clock.is_none();
            return is_alone.then_some(session).ok_or(ConfigError::OwnSession);
        }
        let endpoint = self.endpoint.ok_or(ConfigError::NoEndpoint)?;
        let key = self.app_key.ok_or(ConfigError::NoAppKey)??;
        let settings = self.settings;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let session = match self.credentials.ok_or(ConfigError::NoCredentials)? {
            Given::Fixed(credentials) => {
                let session = Session::new(endpoint, key, credentials?, settings)?;
                SharedSession::with_clock(session, clock)
            }
            Given::Source(source) => {
                let session = Session::without_credentials(endpoint, key, settings)?;
                let session = SharedSession::with_clock(session, clock);
                session.set_source(source);
                session
            }
        };
        if let Some(label) = self.label {
            session.set_label(label);
        }
        if let Some(limiter) = &self.limiter {
            session.set_login_limiter(limiter);
        }
        Ok(session)
    }
}

/// Why a session could not be built.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A session was given, and something that a session has.
    #[error(
        "the session that was given has endpoint, key, credentials and settings of its own: give \
         none of them beside it"
    )]
    OwnSession,
    /// No endpoint was given.
    #[error(
        "no CTC endpoint: set Endpoint::us() or Endpoint::eu(), whichever instance has your account"
    )]
    NoEndpoint,
    /// No application key was given.
    #[error("no CTC application key: set the one that the vendor issued to you")]
    NoAppKey,
    /// No credentials were given.
    #[error(
        "no CTC credentials: set the username and password of an account that may use the API, \
         or a source of credentials"
    )]
    NoCredentials,
    /// A URL is not a valid endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A key, username or password cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Settings contradict each other.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Environment variables are missing or empty.
    #[error("set these environment variables, which are missing or empty: {}", .names.join(", "))]
    Variables {
        /// Their names.
        names: Vec<&'static str>,
    },
    /// An environment variable is not valid Unicode.
    #[error("the environment variable {name} is not valid Unicode: set it to valid text")]
    NotText {
        /// Its name.
        name: &'static str,
    },
    /// `CTC_REGION` is neither `us` nor `eu`.
    #[error("CTC_REGION must be us or eu (for any other host set CTC_BASE_URL instead)")]
    Region,
    /// `CTC_REGION` and `CTC_BASE_URL` are both set.
    #[error("CTC_REGION and CTC_BASE_URL are both set: remove one of them")]
    RegionAndUrl,
    /// `CTC_BASE_URL` is not a valid endpoint.
    #[error(
        "CTC_BASE_URL is not a valid endpoint: give it as https://host[:port], \
         or set CTC_REGION to us or eu instead"
    )]
    BaseUrlVariable(#[source] EndpointError),
    /// `CTC_LOGIN` is neither `oauth` nor `cookie`.
    #[error("CTC_LOGIN must be oauth or cookie (the default)")]
    Login,
    /// A variable of the OAuth login without `CTC_LOGIN`.
    #[error(
        "{name} is for the OAuth login: set CTC_LOGIN to oauth too (or to cookie, to ignore {name})"
    )]
    NotOAuth {
        /// Its name.
        name: &'static str,
    },
    /// `CTC_TOKEN_URL` is not a token endpoint.
    #[error("CTC_TOKEN_URL is not a valid token endpoint: give it as https://host/path")]
    TokenUrlVariable(#[source] OAuthError),
}

ctc_core::__readable_debug!(ConfigError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_follows_the_login_timeout_unless_it_was_set() {
        let seconds = Duration::from_secs;
        let lease = |mut config: SessionConfig| config.settings_mut().lease;
        assert_eq!(
            lease(SessionConfig::new().login_timeout(seconds(5))),
            seconds(60)
        );
        assert_eq!(
            lease(SessionConfig::new().login_timeout(seconds(40))),
            seconds(80)
        );
        assert_eq!(
            lease(
                SessionConfig::new()
                    .login_timeout(seconds(90))
                    .login_timeout(seconds(10))
            ),
            seconds(60)
        );
        let mut config = SessionConfig::new();
        config.settings_mut().lease = seconds(45);
        assert_eq!(lease(config.login_timeout(seconds(40))), seconds(45));
        let mut config = SessionConfig::new().login_timeout(seconds(40));
        config.settings_mut().lease = seconds(45);
        assert_eq!(lease(config.login_timeout(seconds(30))), seconds(45));
    }

    #[test]
    fn settings_can_be_changed_and_contradictions_are_found() {
        let mut config = SessionConfig::new()
            .endpoint(Endpoint::us())
            .app_key("k")
            .credentials("u", "p");
        config.settings_mut().lease = std::time::Duration::from_secs(77);
        let session = config.build().unwrap();
        assert_eq!(session.settings().lease.as_secs(), 77);
        let mut config = SessionConfig::new()
            .endpoint(Endpoint::us())
            .app_key("k")
            .credentials("u", "p");
        config.settings_mut().lease = std::time::Duration::ZERO;
        assert!(matches!(
            config.build(),
            Err(ConfigError::Settings(SettingsError::LeaseTooShort))
        ));
    }

    #[test]
    fn the_error_names_the_missing_setting() {
        let build = |config: SessionConfig| config.build().map(|_| ()).unwrap_err();
        assert_eq!(build(SessionConfig::new()), ConfigError::NoEndpoint);
        let config = || SessionConfig::new().endpoint(Endpoint::us());
        assert_eq!(build(config()), ConfigError::NoAppKey);
        assert_eq!(build(config().app_key("k")), ConfigError::NoCredentials);
        let empty = build(config().app_key("k").credentials("u", ""));
        assert_eq!(empty, ConfigError::Secret(SecretError::EmptyPassword));
    }
}
