//! How a server is set up.

use std::{net::SocketAddr, time::Duration};

use super::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server, TokenStyle,
    error::StartError,
    listen,
    settings::{LogoutEffect, Settings},
};
use crate::fleet::Fleet;

/// Sets up a [`Server`]: see [`Server::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it starts a server"]
pub struct Builder {
    settings: Settings,
    accounts: Vec<(String, String)>,
    address: SocketAddr,
    token_address: Option<SocketAddr>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            accounts: Vec::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            token_address: None,
        }
    }
}

impl Builder {
    /// Serve https with a certificate made at the start; without it, plain http.
    pub fn tls(mut self, tls: bool) -> Self {
        self.settings.tls = tls;
        self
    }

    /// Whether HTTP/2 is spoken as well as HTTP/1.1: by agreement in TLS, on plain http with
    /// clients that begin with it. A [`Fault`](crate::Fault) that cuts a connection cuts all its
    /// requests.
    pub fn http2(mut self, http2: bool) -> Self {
        self.settings.http2 = http2;
        self
    }

    /// Adds an account; without any, there is one: [`DEFAULT_USERNAME`] with [`DEFAULT_PASSWORD`].
    pub fn account(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.accounts.push((username.into(), password.into()));
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

    /// Where the token endpoint listens: a free port of the same address by default.
    pub fn bind_token(mut self, address: SocketAddr) -> Self {
        self.token_address = Some(address);
        self
    }

    /// The client id that the token endpoint knows: [`DEFAULT_CLIENT_ID`] by default.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.settings.client_id = client_id.into();
        self
    }

    /// How many token requests a user may make within a second: 4 by default. CTC's limit is not
    /// documented.
    pub fn token_requests_per_second(mut self, limit: u32) -> Self {
        self.settings.token_requests_per_second = limit;
        self
    }

    /// Whether a call with a bearer token needs the application key, too. It does by default; what
    /// CTC wants is not documented. A key that is wrong is a violation either way.
    pub fn bearer_needs_key(mut self, needed: bool) -> Self {
        self.settings.bearer_needs_key = needed;
        self
    }

    /// Makes the tokens of this server the same in every run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// The path of the logout. The default is our assumption, not the vendor's word.
    pub fn logout_path(mut self, path: impl Into<String>) -> Self {
        self.settings.logout_path = path.into();
        self
    }

    /// What a logout or a revocation revokes.
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

    /// Whether a cookie login's token is taken as `Authorization: Bearer <token>`, too. A token of
    /// the token endpoint always is, and never as a cookie.
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

    /// How long a token lives by the server's clock, and what its cookie or `expires_in` says: by
    /// default 14 days after a cookie login and 24 hours after an OAuth login. See
    /// [`Server::advance`].
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.token_lifetime = Some(lifetime);
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
        if self.accounts.is_empty() {
            self = self.account(DEFAULT_USERNAME, DEFAULT_PASSWORD);
        }
        if self.settings.app_keys.is_empty() {
            self = self.app_key(DEFAULT_APP_KEY);
        }
        if self.settings.client_id.is_empty() {
            self.settings.client_id = DEFAULT_CLIENT_ID.into();
        }
        let token_address = self
            .token_address
            .unwrap_or_else(|| SocketAddr::new(self.address.ip(), 0));
        listen::start(self.settings, self.accounts, [self.address, token_address])
    }
}
