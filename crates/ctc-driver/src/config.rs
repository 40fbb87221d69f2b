//! How a client is put together: what both shipped adapters' builders share.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use ctc_core::{
    AppKey, Credentials, Endpoint, EndpointError, SecretError, Session, Settings, SettingsError,
};

use crate::ports::credentials::Source;
use crate::ports::{AsyncCredentialsSource, CredentialsSource};
use crate::session::SharedSession;

/// Collects endpoint, key, credentials and settings of a session, and checks them all in
/// [`build`](Self::build).
#[derive(Debug)]
#[must_use]
pub struct SessionConfig {
    endpoint: Option<Endpoint>,
    app_key: Option<Result<AppKey, SecretError>>,
    credentials: Option<Given>,
    settings: Settings,
    /// The lease as it is unless somebody sets it.
    lease: Duration,
}

/// Where the credentials come from; what was given last counts.
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
        }
    }
}

impl SessionConfig {
    /// Nothing but the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `CTC_USERNAME`, `CTC_PASSWORD`, `CTC_APP_KEY`, and `CTC_REGION` (`us` or `eu`) or
    /// `CTC_BASE_URL` (`https://host[:port]`).
    ///
    /// # Errors
    /// [`ConfigError`], which names every variable that is missing, empty or of no use.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(std::env::var_os)
    }

    /// As [`from_env`](Self::from_env), with variables from elsewhere.
    ///
    /// # Errors
    /// As there.
    pub fn from_vars(var: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut missing = Vec::new();
        let mut text = |name: &'static str| match var(name).map(OsString::into_string) {
            Some(Ok(text)) if !text.is_empty() => Ok(text),
            Some(Err(_)) => Err(ConfigError::NotText { name }),
            _ => {
                missing.push(name);
                Ok(String::new())
            }
        };
        let (username, password, key) = (
            text("CTC_USERNAME")?,
            text("CTC_PASSWORD")?,
            text("CTC_APP_KEY")?,
        );
        let set = |name| var(name).is_some_and(|value| !value.is_empty());
        let endpoint = match (set("CTC_REGION"), set("CTC_BASE_URL")) {
            (true, true) => return Err(ConfigError::RegionAndUrl),
            (true, false) => match text("CTC_REGION")?.to_ascii_lowercase().as_str() {
                "us" => Some(Endpoint::us()),
                "eu" => Some(Endpoint::eu()),
                _ => return Err(ConfigError::Region),
            },
            (false, true) => {
                Some(Endpoint::new(&text("CTC_BASE_URL")?).map_err(ConfigError::BaseUrlVariable)?)
            }
            (false, false) => {
                missing.push("CTC_REGION (us or eu; or CTC_BASE_URL)");
                None
            }
        };
        if !missing.is_empty() {
            return Err(ConfigError::Variables { names: missing });
        }
        let config = Self {
            endpoint,
            ..Self::default()
        };
        Ok(config.app_key(key).credentials(username, password))
    }

    /// The instance to talk to.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// The application key.
    pub fn app_key(mut self, key: impl Into<String>) -> Self {
        self.app_key = Some(AppKey::new(key));
        self
    }

    /// User name and password.
    pub fn credentials(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Given::Fixed(Credentials::new(username, password)));
        self
    }

    /// A source that each login asks for user name and password, in place of fixed ones.
    pub fn credentials_source(mut self, source: impl CredentialsSource + 'static) -> Self {
        self.credentials = Some(Given::Source(Source::Blocking(Arc::new(source))));
        self
    }

    /// As [`credentials_source`](Self::credentials_source), with an asynchronous source: for
    /// asynchronous drivers. A blocking driver makes no login with it.
    pub fn async_credentials_source(
        mut self,
        source: impl AsyncCredentialsSource + 'static,
    ) -> Self {
        self.credentials = Some(Given::Source(Source::Async(Arc::new(source))));
        self
    }

    /// How long one login may take. Default 30 s. A longer one moves the
    /// [`lease`](ctc_core::Settings::lease) on to twice as much, unless that was set to something
    /// else.
    pub fn login_timeout(mut self, timeout: Duration) -> Self {
        self.settings.login_timeout = timeout;
        if self.settings.lease == self.lease {
            self.lease = Settings::default().lease.max(timeout.saturating_mul(2));
            self.settings.lease = self.lease;
        }
        self
    }

    /// The settings, to be changed.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// The session, ready to be shared.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is missing or of no use.
    pub fn build(self) -> Result<SharedSession, ConfigError> {
        let endpoint = self.endpoint.ok_or(ConfigError::NoEndpoint)?;
        let key = self.app_key.ok_or(ConfigError::NoAppKey)??;
        let settings = self.settings;
        match self.credentials.ok_or(ConfigError::NoCredentials)? {
            Given::Fixed(credentials) => {
                let session = Session::new(endpoint, key, credentials?, settings)?;
                Ok(SharedSession::new(session))
            }
            Given::Source(source) => {
                let session = Session::without_credentials(endpoint, key, settings)?;
                let session = SharedSession::new(session);
                session.set_source(source);
                Ok(session)
            }
        }
    }
}

/// Why a session could not be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No endpoint was given.
    #[error(
        "no CTC endpoint: an account lives in one instance only, \
         so choose Endpoint::us() or Endpoint::eu()"
    )]
    NoEndpoint,
    /// No application key was given.
    #[error("no CTC application key: give the one that the vendor handed out for your program")]
    NoAppKey,
    /// No credentials were given.
    #[error(
        "no CTC credentials: give the user name and password of an account that may use the API"
    )]
    NoCredentials,
    /// A URL is no endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A key, user name or password is of no use.
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
    #[error("the environment variable {name} is not valid Unicode: set it anew")]
    NotText {
        /// Its name.
        name: &'static str,
    },
    /// `CTC_REGION` is neither `us` nor `eu`.
    #[error("CTC_REGION must be us or eu (for any other host set CTC_BASE_URL instead)")]
    Region,
    /// Both ways to name the endpoint at once.
    #[error("CTC_REGION and CTC_BASE_URL are both set: keep the one you mean")]
    RegionAndUrl,
    /// `CTC_BASE_URL` is no endpoint.
    #[error(
        "CTC_BASE_URL is not a valid endpoint: give it as https://host[:port], \
         or set CTC_REGION to us or eu instead"
    )]
    BaseUrlVariable(#[source] EndpointError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&'static str, &str)]) -> Result<SessionConfig, ConfigError> {
        SessionConfig::from_vars(|name| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    const SECRETS: [(&str, &str); 3] = [
        ("CTC_USERNAME", "u"),
        ("CTC_PASSWORD", "p"),
        ("CTC_APP_KEY", "k"),
    ];

    fn with(more: &[(&'static str, &str)]) -> Result<String, ConfigError> {
        let config = from(&[SECRETS.as_slice(), more].concat())?;
        let session = config.build()?;
        Ok(session.record_key().origin)
    }

    #[test]
    fn region_or_url() {
        assert_eq!(
            with(&[("CTC_REGION", "us")]).unwrap(),
            "https://connect.calamp.com"
        );
        assert_eq!(
            with(&[("CTC_REGION", "EU")]).unwrap(),
            "https://connect.calamp.co.uk"
        );
        assert_eq!(
            with(&[("CTC_BASE_URL", "https://x.example:1/")]).unwrap(),
            "https://x.example:1"
        );
        assert_eq!(
            with(&[("CTC_REGION", ""), ("CTC_BASE_URL", "https://x.example")]).unwrap(),
            "https://x.example"
        );
        assert_eq!(with(&[("CTC_REGION", "asia")]), Err(ConfigError::Region));
        let both = [("CTC_REGION", "us"), ("CTC_BASE_URL", "https://x.example")];
        assert_eq!(with(&both), Err(ConfigError::RegionAndUrl));
        let plain = with(&[("CTC_BASE_URL", "http://x.example")]);
        assert_eq!(
            plain,
            Err(ConfigError::BaseUrlVariable(EndpointError::PlainHttp))
        );
    }

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
    fn every_missing_or_empty_variable_is_named_at_once() {
        let error = from(&[
            ("CTC_USERNAME", "u"),
            ("CTC_APPKEY", "misspelt"),
            ("CTC_PASSWORD", ""),
        ])
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "set these environment variables, which are missing or empty: \
             CTC_PASSWORD, CTC_APP_KEY, CTC_REGION (us or eu; or CTC_BASE_URL)"
        );
    }

    #[test]
    fn the_environment_is_read_as_any_other_variables() {
        let same = SessionConfig::from_vars(std::env::var_os);
        assert_eq!(SessionConfig::from_env().err(), same.err());
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

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let config = SessionConfig::from_vars(|_| Some(OsString::from_vec(vec![0xff])));
        assert_eq!(
            config.err(),
            Some(ConfigError::NotText {
                name: "CTC_USERNAME"
            })
        );
    }

    #[test]
    fn what_is_not_given_is_named() {
        let build = |config: SessionConfig| config.build().map(|_| ()).unwrap_err();
        assert_eq!(build(SessionConfig::new()), ConfigError::NoEndpoint);
        let config = || SessionConfig::new().endpoint(Endpoint::us());
        assert_eq!(build(config()), ConfigError::NoAppKey);
        assert_eq!(build(config().app_key("k")), ConfigError::NoCredentials);
        let empty = build(config().app_key("k").credentials("u", ""));
        assert_eq!(empty, ConfigError::Secret(SecretError::EmptyPassword));
    }
}
