//! The server: [`Server`], its [`Builder`], and its journal.

mod accounts;
mod builder;
mod calls;
mod control;
mod cookies;
mod error;
mod fault;
mod inspect;
mod journal;
mod listen;
mod login;
mod oauth;
mod rate_limit;
mod received;
mod respond;
mod response;
mod script;
mod settings;
mod state;
mod text;
mod tls;
mod tokens;
mod wire;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

pub use builder::Builder;
pub use cookies::{ClearingForm, TokenStyle};
pub use error::{StartError, TimedOut};
pub use fault::{Fault, Matcher, Point, RetryAfter, Rule, RuleId, Times, When};
pub use journal::{Class, Counts, Entry, JOURNALED_BODY, Origin, Violation};
pub use settings::LogoutEffect;

use self::{state::Shared, tls::Identity, tokens::Life};

/// The username of the default account: an address with a `+`.
pub const DEFAULT_USERNAME: &str = "fleet+test@example.com";
/// The password of the default account, with every character that form encoding can spoil.
pub const DEFAULT_PASSWORD: &str = "Tr+ck%41 &=?#;\"/\\é€🚚!";
/// The default application key.
pub const DEFAULT_APP_KEY: &str = "00000000-0000-4000-8000-00000000c7c0";

/// The default client id of the token endpoint.
pub const DEFAULT_CLIENT_ID: &str = "0oatest0client0id000";

/// The description of the control path: the response to `GET /_ctc/`, and a part of `ctc-server
/// --help`.
pub const CONTROL_HELP: &str = include_str!("control.txt");

/// A CTC server on loopback, on a separate thread. Dropping it closes the ports and cuts every
/// connection.
///
/// All methods are synchronous and short, so that both blocking and async tests can call them.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    token_address: SocketAddr,
    identity: Option<Identity>,
    _running: listen::Running,
}

impl Server {
    /// Starts a server with the defaults: plain http, [`DEFAULT_USERNAME`], [`DEFAULT_PASSWORD`],
    /// [`DEFAULT_APP_KEY`].
    ///
    /// # Errors
    ///
    /// Returns [`StartError`] if no port of 127.0.0.1 can be bound, or a thread cannot be created.
    pub fn start() -> Result<Self, StartError> {
        Self::builder().start()
    }

    /// Returns a builder, for a server with other settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the base URL, without a trailing slash: `http://127.0.0.1:41234` or
    /// `https://localhost:41234`.
    pub fn url(&self) -> String {
        self.origin(self.address)
    }

    /// Returns the URL of the token endpoint of the OAuth login, which has its own origin:
    /// `http://127.0.0.1:41235/oauth2/test/v1/token`.
    pub fn token_url(&self) -> String {
        self.origin(self.token_address) + inspect::TOKEN_PATH
    }

    /// Returns the URL that revokes an access token, on the token endpoint's origin.
    pub fn revocation_url(&self) -> String {
        self.origin(self.token_address) + inspect::REVOCATION_PATH
    }

    /// Returns the address that the token endpoint listens on.
    pub fn token_address(&self) -> SocketAddr {
        self.token_address
    }

    fn origin(&self, address: SocketAddr) -> String {
        match self.identity {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        }
    }

    /// Returns the port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the certificate to trust, as PEM; `None` on plain http.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.identity.as_ref().map(|identity| identity.pem.as_str())
    }

    /// Returns the certificate to trust, as DER; `None` on plain http.
    pub fn certificate_der(&self) -> Option<&[u8]> {
        self.identity.as_ref().map(|identity| identity.der.as_ref())
    }

    /// Returns every request since the start or the last reset, in the order of arrival.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.journal()
    }

    /// Returns the sums of all requests since the start or the last reset.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Empties the journal and sets the sums to zero. Tokens, faults, locks and notes stay.
    pub fn reset_journal(&self) {
        self.shared.change(state::State::reset_journal);
    }

    /// Waits until the counts satisfy `wanted`.
    ///
    /// # Errors
    ///
    /// Returns [`TimedOut`] if they do not within `timeout`.
    pub fn wait_until(
        &self,
        wanted: impl Fn(&Counts) -> bool,
        timeout: Duration,
    ) -> Result<Counts, TimedOut> {
        self.shared
            .wait_until(wanted, timeout)
            .map_err(|counts| TimedOut {
                waited: timeout,
                counts: Box::new(counts),
            })
    }

    /// Adds a fault rule.
    pub fn inject(&self, rule: Rule) -> RuleId {
        self.shared.change(|state| state.inject(rule))
    }

    /// Removes one rule. Returns `false` if it was used up or removed before.
    pub fn remove_fault(&self, id: RuleId) -> bool {
        self.shared.change(|state| state.remove_rule(id))
    }

    /// Removes every rule.
    pub fn clear_faults(&self) {
        self.shared.change(state::State::clear_rules);
    }

    /// Releases every request that is waiting because of a [`Fault::Hold`].
    pub fn release(&self) {
        self.shared.release();
    }

    /// Revokes every token. Returns how many were valid.
    pub fn revoke_all(&self) -> usize {
        self.shared
            .change(|state| state.tokens.end_all(None, Life::Revoked))
    }

    /// Revokes every token of one account. Returns how many were valid.
    pub fn revoke(&self, username: &str) -> usize {
        self.shared
            .change(|state| state.tokens.end_all(Some(username), Life::Revoked))
    }

    /// Lets every token expire. Returns how many were valid.
    pub fn expire_all(&self) -> usize {
        self.shared
            .change(|state| state.tokens.end_all(None, Life::Expired))
    }

    /// Sets a new token on the response to the next call with a valid one. `keep_old` says whether
    /// the old one stays valid.
    pub fn rotate(&self, keep_old: bool) -> RuleId {
        self.inject(Rule::once(Matcher::AnyCall, Fault::Rotate { keep_old }))
    }

    /// Locks an account: its logins of either kind are rejected, its tokens stay valid.
    pub fn lock(&self, username: &str) {
        self.shared.change(|state| state.accounts.lock(username));
    }

    /// Unlocks an account.
    pub fn unlock(&self, username: &str) {
        self.shared.change(|state| state.accounts.unlock(username));
    }

    /// Adds an account, or changes the password of an existing one. Its tokens stay valid.
    pub fn set_account(&self, username: &str, password: &str) {
        self.shared
            .change(|state| state.accounts.set(username, password));
    }

    /// Sets how long tokens that are issued from now on are valid.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.shared
            .change(|state| state.set_token_lifetime(lifetime));
    }

    /// Restores the state of the start: tokens, faults, accounts, locks, notes, clock, journal and
    /// sums. The numbers of requests and rules continue.
    pub fn reset_all(&self) {
        self.shared.reset_all();
    }

    /// Moves the server's clock forward: tokens age, `Date` and `Expires` move.
    pub fn advance(&self, by: Duration) {
        self.shared.change(|state| state.advance(by));
    }

    /// Sets by how many seconds `Date` and the cookie's `Expires` are off. Tokens are valid for as
    /// long as before.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.shared.change(|state| state.clock_offset = seconds);
    }

    /// Returns the notes written to a device, in order. A write that was replayed is there twice.
    pub fn notes(&self, device: u64) -> Vec<String> {
        self.shared
            .change(|state| state.notes.get(&device).cloned().unwrap_or_default())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("url", &self.url())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
