//! The settings of a server, which do not change.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cookies::TokenStyle;
use crate::fleet::Fleet;

/// What a logout or a revocation does on the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogoutEffect {
    /// Revokes the presented token.
    #[default]
    Presented,
    /// Revokes every token of the account.
    Account,
    /// Revokes nothing, but responds with 200.
    Nothing,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) tls: bool,
    pub(super) http2: bool,
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
    pub(super) token_lifetime: Option<Duration>,
    pub(super) client_id: String,
    pub(super) token_requests_per_second: u32,
    pub(super) bearer_needs_key: bool,
    pub(super) seed: Option<u64>,
    pub(super) clock_offset: i64,
    pub(super) journal_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tls: false,
            http2: false,
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
            token_lifetime: None,
            client_id: String::new(),
            token_requests_per_second: 4,
            bearer_needs_key: true,
            seed: None,
            clock_offset: 0,
            journal_limit: 100_000,
        }
    }
}
