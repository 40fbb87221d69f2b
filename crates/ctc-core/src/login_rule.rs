//! The user's own reading of a failed login.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

/// Your own reading of a failed login, for a server that this crate reads wrongly; see
/// [`Settings::login_rule`](crate::Settings::login_rule).
///
/// It runs for every response to a login without a token. If it returns `None` or panics, this
/// crate reads the response.
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
    /// Creates a rule. The drivers of this project hold no lock while it runs.
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

/// A response to a login without a token, as a [`LoginRule`] gets it.
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

    /// Returns its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns its headers.
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
    /// The server rejected the credentials or the request: no login is made until they change.
    Rejected,
    /// The server is unavailable: a login may be made after a backoff.
    Unavailable,
}
