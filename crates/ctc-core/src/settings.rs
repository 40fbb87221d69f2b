//! The settings of a session: fair use, timeouts, and the choices that the vendor's pages leave
//! open.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Endpoint;
use crate::login_rule::LoginRule;
use crate::oauth::Login;

/// Settings of a [`Session`](crate::Session). [`Settings::default`] suits most programs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Which login is made. Default [`Login::AuthToken`], the login with the cookie.
    pub login: Login,
    /// The limits of logins: the budget, and the backoff after a failure.
    pub fair_use: FairUse,
    /// When a token whose end the server stated ([`Login::OAuth`]) is renewed early. `None`: not
    /// before a 401. It has no effect on [`Login::AuthToken`], whose page asks clients to keep a
    /// token until then. Default [`EarlyRenewal::default`].
    pub early_renewal: Option<EarlyRenewal>,
    /// The time limit for the response to a login. Default 30 s.
    pub login_timeout: Duration,
    /// The time limit of an elected caller that has sent nothing, for example because it waits for
    /// the store, before another caller is elected. Once the login is sent, the limit is
    /// `login_timeout` and 10 s for the report, or the lease if that is shorter. Must be longer
    /// than `login_timeout`. Default 60 s.
    pub lease: Duration,
    /// How calls carry the token. `None`, the default, depends on the login:
    /// [`TokenAttachment::Cookie`] for [`Login::AuthToken`], as on the vendor's page, and
    /// [`TokenAttachment::Bearer`] for [`Login::OAuth`], which is **our assumption**.
    pub attachment: Option<TokenAttachment>,
    /// Where the cookie login carries `useAuthToken=true`. Default [`AuthTokenSwitch::Query`], as
    /// on the vendor's page.
    pub auth_token_switch: AuthTokenSwitch,
    /// Path of the logout call. The vendor names a logout API but not its address:
    /// `POST /connect/services/logout` is **our assumption**. For [`Login::OAuth`] there is
    /// [`OAuth::revoke_on_logout`](crate::OAuth::revoke_on_logout) instead.
    pub logout_path: String,
    /// Your own reading of a failed login, for example for a server that rejects a password with a
    /// 500. Default none.
    pub login_rule: Option<LoginRule>,
    /// Seed of the random part of the backoff. Give each process its own; the same seed gives the
    /// same delays.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            login: Login::default(),
            fair_use: FairUse::default(),
            early_renewal: Some(EarlyRenewal::default()),
            login_timeout: Duration::from_secs(30),
            lease: Duration::from_secs(60),
            attachment: None,
            auth_token_switch: AuthTokenSwitch::Query,
            logout_path: "/connect/services/logout".to_owned(),
            login_rule: None,
            seed: 0,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self, endpoint: &Endpoint) -> Result<(), SettingsError> {
        if self
            .login
            .oauth()
            .is_some_and(|oauth| !oauth.may_serve(endpoint))
        {
            return Err(SettingsError::TwoRegions);
        }
        let fair_use = &self.fair_use;
        if fair_use.refill < Duration::from_millis(1) || fair_use.backoff < Duration::from_millis(1)
        {
            return Err(SettingsError::IntervalTooShort);
        }
        if self
            .early_renewal
            .as_ref()
            .is_some_and(|rules| !rules.is_valid())
        {
            return Err(SettingsError::RenewalWindows);
        }
        if fair_use.backoff_cap < fair_use.backoff {
            return Err(SettingsError::CapBelowBackoff);
        }
        if self.login_timeout.is_zero() || self.lease <= self.login_timeout {
            return Err(SettingsError::LeaseTooShort);
        }
        let longest = [
            fair_use.refill,
            fair_use.backoff_cap,
            fair_use.retry_after_cap,
            self.lease,
        ]
        .into_iter()
        .max()
        .unwrap_or_default();
        if longest > MAX_SPAN {
            return Err(SettingsError::TooLong);
        }
        Ok(())
    }

    pub(crate) fn attachment(&self) -> TokenAttachment {
        self.attachment.unwrap_or(match self.login {
            Login::AuthToken => TokenAttachment::Cookie,
            Login::OAuth(_) => TokenAttachment::Bearer,
        })
    }
}

/// The longest duration that a setting accepts: 30 days.
pub(crate) const MAX_SPAN: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why [`Settings`] were not accepted.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The endpoint and the token endpoint are in different regions.
    #[error(
        "the CTC endpoint and the token endpoint are in different regions: use OAuth::us() with \
         Endpoint::us(), or OAuth::eu() with Endpoint::eu()"
    )]
    TwoRegions,
    /// The refill or the backoff is too short to space out logins.
    #[error("fair_use.refill and fair_use.backoff must be at least 1 ms each, to space out logins")]
    IntervalTooShort,
    /// The longest backoff is shorter than the first.
    #[error("fair_use.backoff_cap must not be shorter than fair_use.backoff")]
    CapBelowBackoff,
    /// A renewal window is out of range, or the mandatory one is too large for the advised one.
    #[error(
        "early_renewal.advised_percent must be 1 to 100, and mandatory_percent at most half of it"
    )]
    RenewalWindows,
    /// The lease would expire while a login may still run.
    #[error("lease must be longer than login_timeout, and login_timeout longer than zero")]
    LeaseTooShort,
    /// A duration is longer than 30 days.
    #[error(
        "fair_use.refill, fair_use.backoff_cap, fair_use.retry_after_cap and lease must be at most \
         30 days each"
    )]
    TooLong,
    /// The logout path cannot be joined to the endpoint.
    #[error("logout_path is not a path on the endpoint: start it with one '/'")]
    LogoutPath(#[from] crate::JoinError),
}

crate::__readable_debug!(SettingsError);

/// The limits of the governor. The vendor asks clients not to log in over and over but gives no
/// numbers: the defaults are ours, and you can change them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FairUse {
    /// How many logins are allowed in a row. Default 3.
    pub burst: NonZeroU32,
    /// The time after which one more login is allowed. Default 2 minutes.
    pub refill: Duration,
    /// The backoff after the first failed login. It doubles with each further failure, but only
    /// once while logins cannot be sent. Default 5 s.
    pub backoff: Duration,
    /// The longest such backoff. Default 15 minutes.
    pub backoff_cap: Duration,
    /// The longest `Retry-After` that is obeyed; a longer one is cut to this. Default 1 hour.
    pub retry_after_cap: Duration,
    /// How long a route that rejected a new token is remembered as rejected. It doubles each time,
    /// up to one day. Default 2 minutes.
    pub rejected_route_memory: Duration,
    /// The age below which an invalidated token makes the next login cost more. Default 1 minute.
    pub short_token_lifetime: Duration,
}

impl Default for FairUse {
    fn default() -> Self {
        Self {
            burst: NonZeroU32::MIN.saturating_add(2),
            refill: Duration::from_secs(120),
            backoff: Duration::from_secs(5),
            backoff_cap: Duration::from_secs(15 * 60),
            retry_after_cap: Duration::from_secs(3600),
            rejected_route_memory: Duration::from_secs(120),
            short_token_lifetime: Duration::from_secs(60),
        }
    }
}

/// When a token is renewed early. The windows grow with the token's lifetime, so that they suit any
/// lifetime.
///
/// A renewal is a login like any other: it is charged to the [budget](FairUse), and after a failed
/// one there is a backoff, while the old token stays in use. A program that makes no calls renews
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EarlyRenewal {
    /// The last part of the lifetime, in percent, in which one caller renews the token while no
    /// other waits. The moment is random ([`Settings::seed`]) in the first half of this window, so
    /// that many processes do not renew at once. Default 10: for 24 hours, it starts 2.4 to 1.2
    /// hours before the end.
    pub advised_percent: u8,
    /// The last part of the lifetime, in percent, in which callers wait for a renewal in progress.
    /// At most half of `advised_percent`. Default 2: for 24 hours, the last 29 minutes.
    pub mandatory_percent: u8,
    /// A token with a shorter lifetime is used until a 401, because renewing it early would cost
    /// more logins than it saves. Default 5 minutes.
    pub shortest_life: Duration,
}

impl Default for EarlyRenewal {
    fn default() -> Self {
        Self {
            advised_percent: 10,
            mandatory_percent: 2,
            shortest_life: Duration::from_secs(5 * 60),
        }
    }
}

impl EarlyRenewal {
    fn is_valid(&self) -> bool {
        matches!(self.advised_percent, 1..=100)
            && self.mandatory_percent <= self.advised_percent / 2
    }
}

/// How a call carries the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenAttachment {
    /// `Cookie: authToken=<token>`, as on the vendor's page.
    Cookie,
    /// `Authorization: Bearer <token>`: seen in a public client, documented for neither login.
    /// Quotes around the cookie's value are removed.
    Bearer,
}

/// Where the login request carries `useAuthToken=true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthTokenSwitch {
    /// In the query, as on the vendor's login page.
    Query,
    /// As a form field, as in other examples of the vendor.
    FormField,
}
