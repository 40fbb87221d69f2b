//! The port for sources of credentials.

use std::error::Error;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use ctc_core::{Credentials, SecretError};

use crate::threads::on_thread;

/// A source of credentials, which each login asks: for passwords that change by policy or are in a
/// vault.
///
/// Only the elected caller asks it: once per login, and once more in the same login if the server
/// rejects the credentials. If the source returns the same again, the credentials are rejected; if
/// it returns others, the session tries these, if the login budget allows it. Between logins the
/// session does not keep the password.
///
/// - **Its time limit is [`login_timeout`](ctc_core::Settings::login_timeout).** After that the
///   login has failed. The source is asked on a thread of its own, without a lock; if it takes
///   longer, it blocks only that thread.
/// - **A failure is a failed login**, and its error is the [`source`](std::error::Error::source) of
///   every caller's [`Denied`](crate::Denied). Nothing was sent, and nothing is charged to the
///   login budget. A panic is a failure too.
/// - **Do not cache**, at most for a few seconds: logins are rare. Do not make calls with the
///   session itself: they would wait for the login that asks.
///
/// Ready-made are [`CredentialsFile`](crate::CredentialsFile),
/// [`CredentialsEnv`](crate::CredentialsEnv) and [`CredentialsCommand`](crate::CredentialsCommand).
/// A closure and [`Credentials`] are sources too:
///
/// ```
/// use ctc_driver::ctc_core::{Credentials, Endpoint};
/// use ctc_driver::{CredentialsError, SessionConfig};
/// # struct Vault;
/// # impl Vault {
/// #     fn read(&self, _: &str) -> std::io::Result<String> { Ok("s3cret!".to_owned()) }
/// # }
/// # let vault = Vault;
///
/// let session = SessionConfig::new()
///     .endpoint(Endpoint::us())
///     .app_key("my-key")
///     .credentials_source(move || {
///         let password = vault.read("ctc/password").map_err(CredentialsError::unavailable)?;
///         Ok(Credentials::new("ada@example.com", password)?)
///     })
///     .build()?;
/// # Ok::<(), ctc_driver::ConfigError>(())
/// ```
pub trait CredentialsSource: Send + Sync {
    /// Returns the current credentials.
    ///
    /// # Errors
    /// Returns [`CredentialsError`], which says whether asking again can help.
    fn credentials(&self) -> Result<Credentials, CredentialsError>;
}

impl<F> CredentialsSource for F
where
    F: Fn() -> Result<Credentials, CredentialsError> + Send + Sync,
{
    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        self()
    }
}

impl<S: CredentialsSource + ?Sized> CredentialsSource for Arc<S> {
    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        (**self).credentials()
    }
}

impl CredentialsSource for Credentials {
    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        Ok(self.clone())
    }
}

/// A source of credentials: the counterpart of [`CredentialsSource`] for asynchronous drivers. It
/// is dropped if it takes longer than [`login_timeout`](ctc_core::Settings::login_timeout).
///
/// Every [`CredentialsSource`] that can be cloned is one (put it into an [`Arc`] if it cannot): it
/// is asked on a thread of its own, so that it does not block the runtime.
///
/// ```
/// use async_trait::async_trait;
/// use ctc_driver::ctc_core::Credentials;
/// use ctc_driver::{AsyncCredentialsSource, CredentialsError};
///
/// struct Vault {
///     // An HTTP client, an address …
/// }
///
/// impl Vault {
///     async fn read(&self, name: &str) -> std::io::Result<String> {
///         # let _ = name;
///         // …
///         # Ok("s3cret!".to_owned())
///     }
/// }
///
/// #[async_trait]
/// impl AsyncCredentialsSource for Vault {
///     async fn credentials(&self) -> Result<Credentials, CredentialsError> {
///         let password = self.read("ctc/password").await.map_err(CredentialsError::unavailable)?;
///         Ok(Credentials::new("ada@example.com", password)?)
///     }
/// }
/// ```
#[async_trait]
pub trait AsyncCredentialsSource: Send + Sync {
    /// Returns the current credentials.
    ///
    /// # Errors
    /// Returns [`CredentialsError`], which says whether asking again can help.
    async fn credentials(&self) -> Result<Credentials, CredentialsError>;
}

#[async_trait]
impl<S: CredentialsSource + Clone + 'static> AsyncCredentialsSource for S {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let source = self.clone();
        let asked = on_thread(THREAD, move || CredentialsSource::credentials(&source));
        let asked = asked.map_err(CredentialsError::unavailable)?;
        asked.await.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// The name of a thread that asks a source.
pub(crate) const THREAD: &str = "ctc-credentials";

/// Why a source has no credentials.
///
/// Its text and its sources are logged and shown to callers: they must not contain a secret, such
/// as the response of a vault or the output of a command.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Temporarily. Logins back off, as when the server cannot be reached, and then the source is
    /// asked again.
    #[error(
        "the source has no CTC credentials at the moment (it is asked again after the backoff)"
    )]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// Asking again does not help while this program runs: the source is set up wrongly. No login
    /// is made until your program calls `reset()` or `set_credentials()`.
    #[error(
        "the source of the CTC credentials is not set up (it is not asked again until the session \
         is reset)"
    )]
    Unusable(#[source] Box<dyn Error + Send + Sync>),
}

ctc_core::__readable_debug!(CredentialsError);

impl CredentialsError {
    /// Returns [`CredentialsError::Unavailable`].
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }

    /// [`CredentialsError::Unusable`].
    pub fn unusable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unusable(error.into())
    }
}

/// An empty or mistyped password is [`Unavailable`](CredentialsError::Unavailable): the owner of it
/// may put it right at any time.
impl From<SecretError> for CredentialsError {
    fn from(error: SecretError) -> Self {
        Self::unavailable(error)
    }
}

/// A source of either kind.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) source: Arc<dyn AsyncCredentialsSource>,
    /// It is asked on a thread of its own, which a blocking HTTP client can wait for.
    pub(crate) is_blocking: bool,
}

impl Source {
    pub(crate) fn blocking(source: impl CredentialsSource + 'static) -> Self {
        Self {
            source: Arc::new(Arc::new(source)),
            is_blocking: true,
        }
    }

    pub(crate) fn asynchronous(source: impl AsyncCredentialsSource + 'static) -> Self {
        Self {
            source: Arc::new(source),
            is_blocking: false,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}
