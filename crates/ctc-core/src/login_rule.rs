//! A reading of a failed login of the user's own.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

/// Reads a failed login where this crate's own reading does not fit a server; see
/// [`Settings::login_rule`](crate::Settings::login_rule).
///
/// It is asked about every response to a login that brings no token. `None` leaves the response to
/// this crate, and so does a rule that panics.
///
/// ```
/// use ctc_core::{FailedLogin, LoginRule, Settings};
///
/// let mut settings = Settings::default();
/// // This server rejects a wrong password with a 500.
/// settings.login_rule = Some(LoginRule::new(|response| {
///     (response.status() == 500).then_some(FailedLogin::Rejected)
/// }));
/// ```
#[derive(Clone)]
pub struct LoginRule(Arc<Rule>);

type Rule = dyn Fn(&FailedLoginResponse<'_>) -> Option<FailedLogin> + Send + Sync;

impl LoginRule {
    /// A rule of your own. It runs outside of any lock of this project's drivers.
    pub fn new(
        rule: impl Fn(&FailedLoginResponse<'_>) -> Option<FailedLogin> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(rule))
    }

    pub(crate) fn apply(&self, response: &FailedLoginResponse<'_>) -> Option<FailedLogin> {
        // The login is reported whatever the rule does: a panic here would leave all callers
        // waiting. Nothing of ours is half changed by it.
        catch_unwind(AssertUnwindSafe(|| (self.0)(response))).unwrap_or_default()
    }
}

impl fmt::Debug for LoginRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginRule(..)")
    }
}

/// A response to a login that brought no token: what a [`LoginRule`] is asked about.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct FailedLoginResponse<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
}

impl<'a> FailedLoginResponse<'a> {
    pub(crate) fn new(status: StatusCode, headers: &'a HeaderMap) -> Self {
        Self { status, headers }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }
}

impl fmt::Debug for FailedLoginResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold cookies, which are secrets.
        write!(f, "FailedLoginResponse({})", self.status)
    }
}

/// What a failed login means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailedLogin {
    /// The credentials or the request are rejected: no login until they change.
    Rejected,
    /// The server is in trouble: try again after a backoff.
    Unavailable,
}
