//! One account, and the session that is built of it.

use ctc_driver::ctc_core::{AppKey, Credentials, Endpoint, Login, RecordKey, Session, Settings};
use ctc_driver::{CallOptions, CredentialsError, SessionConfig, SharedSession};
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::secrets::{Source, prompt};
use crate::store::Store;

/// Which account it is, and what its session is built of. No secret is read yet.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) endpoint: Endpoint,
    /// The profile that it comes from, if it does.
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
    /// The session and its store, for a program that ends soon. Reads the application key and the
    /// password, and asks for the password on a terminal if it comes from nowhere.
    ///
    /// # Errors
    /// Returns [`Failure`] if something is missing or of no use.
    pub(crate) fn build(&self) -> Result<Parts, Failure> {
        let password = self.password()?;
        self.with(|config| Ok(config.credentials(self.user()?, password.as_str())))
    }

    /// The session and its store, for a program that goes on: a password from a file or a command
    /// is read anew at each login, so that it can be changed meanwhile, and is not kept.
    ///
    /// # Errors
    /// Returns [`Failure`] if something is missing or of no use.
    pub(crate) fn build_lasting(&self) -> Result<Parts, Failure> {
        let Some(source @ (Source::File(_) | Source::Command(_))) = self.password.clone() else {
            return self.build();
        };
        // What is wrong with it now shows at the start.
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

    /// What the record of this account is filed under. That takes username and application key,
    /// and no password.
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

    /// The username.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if there is none.
    pub(crate) fn user(&self) -> Result<&str, Failure> {
        self.user.as_deref().ok_or_else(|| {
            Failure::usage("no username: give --user, or set it in the profile or CTC_USERNAME")
        })
    }

    /// The application key.
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
