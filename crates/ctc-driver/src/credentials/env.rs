//! Credentials from the environment of the process.

use std::borrow::Cow;
use std::env;

use ctc_core::Credentials;

use crate::ports::{CredentialsError, CredentialsSource};

/// Two environment variables as a [`CredentialsSource`], read at each login.
///
/// Unlike fixed credentials, it keeps no second copy of the password in memory. A variable that is
/// missing, empty or not Unicode is [`Unusable`](CredentialsError::Unusable), because the
/// environment of a process does not change by itself.
#[derive(Clone, Debug)]
pub struct CredentialsEnv {
    username: Cow<'static, str>,
    password: Cow<'static, str>,
}

impl CredentialsEnv {
    /// Reads the username and password from the variables of these names.
    pub fn new(
        username: impl Into<Cow<'static, str>>,
        password: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
        }
    }
}

impl CredentialsSource for CredentialsEnv {
    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let read = |name: &str| {
            let unset = || {
                CredentialsError::unusable(Unset {
                    name: name.to_owned(),
                })
            };
            // The error of `std` would repeat the value.
            env::var_os(name)
                .and_then(|value| value.into_string().ok())
                .ok_or_else(unset)
        };
        let (username, password) = (read(&self.username)?, read(&self.password)?);
        Credentials::new(username, password).map_err(CredentialsError::unusable)
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the environment variable {name} is not set or not valid Unicode: set it before the program \
     starts"
)]
struct Unset {
    name: String,
}
