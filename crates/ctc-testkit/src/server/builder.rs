//! How a server is set up.

use std::{io, net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server, TokenStyle, listen};
use crate::fleet::Fleet;

/// What a logout does on the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogoutEffect {
    /// Revokes the presented token.
    #[default]
    Presented,
    /// Revokes every token of the account.
    Account,
    /// Revokes nothing, although it answers 200.
    Nothing,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be bound: it is taken, or not this machine's.
    #[error("cannot listen on {address}: choose another address, or port 0")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server's thread or its runtime could not be made.
    #[error("cannot start the server's thread: the machine is short of something")]
    Thread(#[source] io::Error),
    /// The certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sets up a [`Server`]: see [`Server::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it starts a server"]
pub struct Builder {
    pub(super) settings: Settings,
    pub(super) address: SocketAddr,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) tls: bool,
    pub(super) accounts: Vec<(String, String)>,
    pub(super) app_keys: Vec<String>,
    pub(super) fleet: Fleet,
    pub(super) login_path: String,
    pub(super) logout_path: String,
    pub(super) logout_effect: LogoutEffect,
    pub(super) refused_status: u16,
    pub(super) lock_after: Option<u32>,
    pub(super) bearer: bool,
    pub(super) use_auth_token_in_form: bool,
    pub(super) token_style: TokenStyle,
    pub(super) token_lifetime: Duration,
    pub(super) clock_offset: i64,
    pub(super) journal_limit: usize,
}

impl Default for Builder {
    fn default() -> Self {
        let settings = Settings {
            tls: false,
            accounts: Vec::new(),
            app_keys: Vec::new(),
            fleet: Fleet::new(25, 120),
            login_path: "/connect/services/login".into(),
            logout_path: "/connect/services/logout".into(),
            logout_effect: LogoutEffect::default(),
            refused_status: 401,
            lock_after: None,
            bearer: false,
            use_auth_token_in_form: false,
            token_style: TokenStyle::default(),
            token_lifetime: Duration::from_secs(14 * 86_400),
            clock_offset: 0,
            journal_limit: 100_000,
        };
        Self {
            settings,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

impl Builder {
    /// Serve https with a certificate made at the start; without it, plain http.
    pub fn tls(mut self, tls: bool) -> Self {
        self.settings.tls = tls;
        self
    }

    /// Adds an account; without any, there is one: [`DEFAULT_USERNAME`] with [`DEFAULT_PASSWORD`].
    pub fn account(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings
            .accounts
            .push((username.into(), password.into()));
        self
    }

    /// Adds an application key; without any, [`DEFAULT_APP_KEY`] is the only one.
    pub fn app_key(mut self, key: impl Into<String>) -> Self {
        self.settings.app_keys.push(key.into());
        self
    }

    /// The size of the fleet that the API shows: 25 devices with 120 events each by default.
    pub fn fleet(mut self, devices: u64, events_per_device: u64) -> Self {
        self.settings.fleet = Fleet::new(devices, events_per_device);
        self
    }

    /// Where to listen: a free port of 127.0.0.1 by default.
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// The path of the logout. The default is our assumption, not the vendor's word.
    pub fn logout_path(mut self, path: impl Into<String>) -> Self {
        self.settings.logout_path = path.into();
        self
    }

    /// What a logout revokes.
    pub fn logout_effect(mut self, effect: LogoutEffect) -> Self {
        self.settings.logout_effect = effect;
        self
    }

    /// The status of a login with a wrong name or password: 401 by default.
    pub fn refused_status(mut self, status: u16) -> Self {
        self.settings.refused_status = status;
        self
    }

    /// Locks an account after so many refused logins in a row: then the right password is refused,
    /// too.
    pub fn lock_after(mut self, refusals: u32) -> Self {
        self.settings.lock_after = Some(refusals);
        self
    }

    /// Whether `Authorization: Bearer <token>` is taken as well as the cookie.
    pub fn bearer(mut self, bearer: bool) -> Self {
        self.settings.bearer = bearer;
        self
    }

    /// Whether `useAuthToken=true` may stand in the form instead of the query.
    pub fn use_auth_token_in_form(mut self, allowed: bool) -> Self {
        self.settings.use_auth_token_in_form = allowed;
        self
    }

    /// What tokens look like.
    pub fn token_style(mut self, style: TokenStyle) -> Self {
        self.settings.token_style = style;
        self
    }

    /// How long a token lives by the server's clock, and what its cookie says: 14 days by default.
    /// See [`Server::advance`].
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.token_lifetime = lifetime;
        self
    }

    /// How many seconds `Date` and the cookie's `Expires` are off. Tokens live as long as ever.
    pub fn clock_offset(mut self, seconds: i64) -> Self {
        self.settings.clock_offset = seconds;
        self
    }

    /// How many entries the journal keeps; the oldest go first. 100,000 by default.
    pub fn journal_limit(mut self, entries: usize) -> Self {
        self.settings.journal_limit = entries;
        self
    }

    /// Starts the server; it listens when this returns.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, or the machine is short of threads.
    pub fn start(mut self) -> Result<Server, StartError> {
        if self.settings.accounts.is_empty() {
            self = self.account(DEFAULT_USERNAME, DEFAULT_PASSWORD);
        }
        if self.settings.app_keys.is_empty() {
            self = self.app_key(DEFAULT_APP_KEY);
        }
        listen::start(self)
    }
}
