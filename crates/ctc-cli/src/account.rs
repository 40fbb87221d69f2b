//! One account, and the session built from it.

use ctc_driver::ctc_core::{AppKey, Credentials, Endpoint, Login, RecordKey, Session, Settings};
use ctc_driver::{CallOptions, CredentialsError, SessionConfig, SharedSession};
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::secrets::{Source, prompt};
use crate::store::Store;

/// An account and the settings of its session. No secret has been read yet.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) endpoint: Endpoint,
    /// The name of its profile, if it comes from one.
    pub(crate) profile: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Source>,
    pub(crate) app_key: Option<Source>,
    pub(crate) login: Login,
    pub(crate) store: Store,
    pub(crate) options: CallOptions,
}

/// A session and its store, for a driver of any kind.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) session: SharedSession,
    pub(crate) store: Store,
}

impl Account {
    /// Builds the session and its store, for a program that ends soon. Reads the application key
    /// and the password; prompts for the password on a terminal if no source is set.
    ///
    /// # Errors
    /// Returns [`Failure`] if something is missing or invalid.
    pub(crate) fn build(&self) -> Result<Parts, Failure> {
        let password = self.password()?;
        self.with(|config| Ok(config.credentials(self.user()?, password.as_str())))
    }

    /// Builds the session and its store, for a program that keeps running: each login reads the
    /// password from its file or command, so that it can change meanwhile.
    ///
    /// # Errors
    /// Returns [`Failure`] if something is missing or invalid.
    pub(crate) fn build_lasting(&self) -> Result<Parts, Failure> {
        let Some(source @ (Source::File(_) | Source::Command(_))) = self.password.clone() else {
            return self.build();
        };
        // Read it once now, so that a wrong setup fails at the start.
        drop(source.read("password")?);
        let user = self.user()?.to_owned();
        self.with(|config| {
            Ok(config.credentials_source(move || {
                let password = source
                    .read("password")
                    .map_err(CredentialsError::unavailable)?;
                Ok(Credentials::new(user.as_str(), password.as_str())?)
            }))
        })
    }

    fn with(
        &self,
        credentials: impl FnOnce(SessionConfig) -> Result<SessionConfig, Failure>,
    ) -> Result<Parts, Failure> {
        let config = SessionConfig::new()
            .endpoint(self.endpoint.clone())
            .app_key(self.app_key()?.as_str())
            .login(self.login.clone());
        Ok(Parts {
            session: credentials(config)?.build()?,
            store: self.store.clone(),
        })
    }

    fn password(&self) -> Result<Zeroizing<String>, Failure> {
        match &self.password {
            Some(source) => source.read("password"),
            None => prompt(self.user()?, self.endpoint.origin()),
        }
    }

    /// Returns the key of this account's record. It depends on username and application key, not
    /// on the password.
    ///
    /// # Errors
    /// Returns [`Failure`] if one of them is missing.
    pub(crate) fn record_key(&self) -> Result<RecordKey, Failure> {
        let usage = |error: &(dyn std::error::Error + 'static)| Failure::of(Exit::Usage, error);
        let key = self.app_key()?;
        let key = AppKey::new(key.as_str()).map_err(|error| usage(&error))?;
        let anybody = Credentials::new(self.user()?, "not a password");
        let anybody = anybody.map_err(|error| usage(&error))?;
        let mut settings = Settings::default();
        settings.login = self.login.clone();
        let session = Session::new(self.endpoint.clone(), key, anybody, settings);
        Ok(session.map_err(|error| usage(&error))?.record_key())
    }

    /// Returns the username.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if there is none.
    pub(crate) fn user(&self) -> Result<&str, Failure> {
        self.user.as_deref().ok_or_else(|| {
            Failure::usage("no username: give --user, or set it in the profile or CTC_USERNAME")
        })
    }

    /// Reads the application key.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if there is none.
    pub(crate) fn app_key(&self) -> Result<Zeroizing<String>, Failure> {
        let source = self.app_key.as_ref().ok_or_else(|| {
            Failure::usage(
                "no application key: give --app-key-file, or set it in the profile or CTC_APP_KEY",
            )
        })?;
        source.read("application key")
    }
}
