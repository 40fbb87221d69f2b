//! The builder of a server.

use std::{net::SocketAddr, time::Duration};

use super::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server, TokenStyle,
    error::StartError,
    listen,
    settings::{LogoutEffect, Settings},
};
use crate::fleet::Fleet;

/// Builds a [`Server`]: see [`Server::builder`].
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
    /// Sets whether the server uses https, with a certificate created at the start. Default: plain
    /// http.
    pub fn tls(mut self, tls: bool) -> Self {
        self.settings.tls = tls;
        self
    }

    /// Sets whether the server also speaks HTTP/2: negotiated by ALPN with TLS, by prior knowledge
    /// on plain http. Default: HTTP/1.1 only. A [`Fault`](crate::Fault) that cuts a connection cuts
    /// all requests on it.
    pub fn http2(mut self, http2: bool) -> Self {
        self.settings.http2 = http2;
        self
    }

    /// Adds an account. By default there is one: [`DEFAULT_USERNAME`] with [`DEFAULT_PASSWORD`].
    pub fn account(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.accounts.push((username.into(), password.into()));
        self
    }

    /// Adds an application key. By default there is one: [`DEFAULT_APP_KEY`].
    pub fn app_key(mut self, key: impl Into<String>) -> Self {
        self.settings.app_keys.push(key.into());
        self
    }

    /// Sets the size of the fleet. Default: 25 devices with 120 events each.
    pub fn fleet(mut self, devices: u64, events_per_device: u64) -> Self {
        self.settings.fleet = Fleet::new(devices, events_per_device);
        self
    }

    /// Sets the address to listen on. Default: a free port of 127.0.0.1.
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets the address of the token endpoint. Default: a free port of the same address.
    pub fn bind_token(mut self, address: SocketAddr) -> Self {
        self.token_address = Some(address);
        self
    }

    /// Sets the client id that the token endpoint accepts. Default: [`DEFAULT_CLIENT_ID`].
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.settings.client_id = client_id.into();
        self
    }

    /// Sets how many token requests a user may make within a second. Default: 4. CTC's limit is not
    /// documented.
    pub fn token_requests_per_second(mut self, limit: u32) -> Self {
        self.settings.token_requests_per_second = limit;
        self
    }

    /// Sets whether a call with a bearer token needs the application key, too. Default: it does.
    /// What CTC requires is not documented. A wrong key is a violation either way.
    pub fn bearer_needs_key(mut self, needed: bool) -> Self {
        self.settings.bearer_needs_key = needed;
        self
    }

    /// Sets the seed of the tokens, so that they are the same in every run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// Sets the path of the logout. The default is our assumption.
    pub fn logout_path(mut self, path: impl Into<String>) -> Self {
        self.settings.logout_path = path.into();
        self
    }

    /// Sets what a logout or a revocation revokes.
    pub fn logout_effect(mut self, effect: LogoutEffect) -> Self {
        self.settings.logout_effect = effect;
        self
    }

    /// Sets the status of a login with a wrong username or password. Default: 401.
    pub fn refused_status(mut self, status: u16) -> Self {
        self.settings.refused_status = status;
        self
    }

    /// Sets after how many rejected logins in a row an account is locked: then the right password
    /// is rejected, too. Default: never.
    pub fn lock_after(mut self, refusals: u32) -> Self {
        self.settings.lock_after = Some(refusals);
        self
    }

    /// Sets whether the token of a cookie login is also accepted as `Authorization: Bearer
    /// <token>`. A token of the token endpoint is accepted only as a bearer token.
    pub fn bearer(mut self, bearer: bool) -> Self {
        self.settings.bearer = bearer;
        self
    }

    /// Sets whether `useAuthToken=true` may be in the form instead of the query.
    pub fn use_auth_token_in_form(mut self, allowed: bool) -> Self {
        self.settings.use_auth_token_in_form = allowed;
        self
    }

    /// Sets what tokens look like.
    pub fn token_style(mut self, style: TokenStyle) -> Self {
        self.settings.token_style = style;
        self
    }

    /// Sets how long a token is valid by the server's clock, as its cookie or `expires_in` says.
    /// Default: 14 days after a cookie login and 24 hours after an OAuth login. See
    /// [`Server::advance`].
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.token_lifetime = Some(lifetime);
        self
    }

    /// Sets by how many seconds `Date` and the cookie's `Expires` are off. Tokens are valid for as
    /// long as before.
    pub fn clock_offset(mut self, seconds: i64) -> Self {
        self.settings.clock_offset = seconds;
        self
    }

    /// Sets how many entries the journal has at most; the oldest are dropped first. Default:
    /// 100,000.
    pub fn journal_limit(mut self, entries: usize) -> Self {
        self.settings.journal_limit = entries;
        self
    }

    /// Starts the server; it listens when this returns.
    ///
    /// # Errors
    ///
    /// Returns [`StartError`] if the address cannot be bound, or a thread or the certificate cannot
    /// be created.
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
