//! What a session may be told: fair use, time-outs and the wire choices that the vendor's pages
//! leave open.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Endpoint;
use crate::login_rule::LoginRule;
use crate::oauth::Login;

/// Settings of a [`Session`](crate::Session). [`Settings::default`] is right for most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Which login is made. Default [`Login::AuthToken`], the login with the cookie.
    pub login: Login,
    /// How often to log in at most, and how long to stay away after a failure.
    pub fair_use: FairUse,
    /// When a token whose end the server stated ([`Login::OAuth`]) is renewed ahead of that end.
    /// `None`: not before a 401. It has no effect on [`Login::AuthToken`], whose page asks to keep
    /// a token until then. Default [`EarlyRenewal::default`].
    pub early_renewal: Option<EarlyRenewal>,
    /// How long one login may take on the wire. Default 30 s.
    pub login_timeout: Duration,
    /// How long the elected caller may take, say for the store, before another takes its place.
    /// From the moment that the login is sent, this is `login_timeout` and 10 s for the report, or
    /// the lease if that is shorter. Must be longer than `login_timeout`. Default 60 s.
    pub lease: Duration,
    /// How the token travels with each call. `None`, the default, is what suits the login:
    /// [`TokenAttachment::Cookie`] for [`Login::AuthToken`], as on the vendor's page, and
    /// [`TokenAttachment::Bearer`] for [`Login::OAuth`], which is **our assumption**.
    pub attachment: Option<TokenAttachment>,
    /// Where the login with the cookie says `useAuthToken=true`. Default
    /// [`AuthTokenSwitch::Query`], as on the vendor's page.
    pub auth_token_switch: AuthTokenSwitch,
    /// Path of the logout call. The vendor names a logout API but not its address:
    /// `POST /connect/services/logout` is **our assumption**. For [`Login::OAuth`] there is
    /// [`OAuth::revoke_on_logout`](crate::OAuth::revoke_on_logout) instead.
    pub logout_path: String,
    /// Reads a failed login where this crate's own reading does not fit a server, say one that
    /// rejects a password with a 500. Default none.
    pub login_rule: Option<LoginRule>,
    /// Seed of the back-off's jitter. Give each process its own; the same seed gives the same
    /// delays.
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

/// The limits that the governor keeps. The vendor forbids logging in over and over but gives no
/// number, so these are ours to choose and yours to change.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FairUse {
    /// Logins that may follow each other at once. Default 3.
    pub burst: NonZeroU32,
    /// One more login is allowed after each such span. Default 2 minutes.
    pub refill: Duration,
    /// Pause after the first failed login; it doubles with each further failure, once at most while
    /// logins cannot leave this machine. Default 5 s.
    pub backoff: Duration,
    /// The longest such pause. Default 15 minutes.
    pub backoff_cap: Duration,
    /// The longest `Retry-After` that is obeyed in full; a longer one counts as this. Default 1
    /// hour.
    pub retry_after_cap: Duration,
    /// How long a route's 401 is taken as "not allowed here" after a fresh token did not cure it;
    /// it doubles each time (to one day at most). Default 2 minutes.
    pub rejected_route_memory: Duration,
    /// A token that dies younger than this makes the next refill longer. Default 1 minute.
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

/// When a token is renewed ahead of its end. The windows grow with the token's life, so that a
/// server may state any life.
///
/// A renewal is a login like any other: it counts against the [budget](FairUse), and after one that
/// failed there is a pause, while the old token serves on. A program that makes no calls renews
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EarlyRenewal {
    /// In the last part of its life, in per cent, the token is renewed by one caller, and no other
    /// waits. The moment is chosen at random ([`Settings::seed`]) in the first half of this window,
    /// so that many processes do not renew at once. Default 10: of 24 hours the last 2.4, beginning
    /// 2.4 to 1.2 hours ahead.
    pub advised_percent: u8,
    /// In the last part of its life, in per cent, callers wait for a renewal that is under way. At
    /// most half of `advised_percent`. Default 2: of 24 hours the last 29 minutes.
    pub mandatory_percent: u8,
    /// A token whose whole life is shorter is used until a 401: to renew it early would cost more
    /// logins than it saves. Default 5 minutes.
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

/// How the token is put on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenAttachment {
    /// `Cookie: authToken=<token>`, as on the vendor's page.
    Cookie,
    /// `Authorization: Bearer <token>`: seen in a public client, documented for neither login.
    /// Quotes around the cookie's value are left out.
    Bearer,
}

/// Where `useAuthToken=true` stands in the login request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthTokenSwitch {
    /// In the query, as on the vendor's login page.
    Query,
    /// As a form field, as in other examples of the vendor.
    FormField,
}
