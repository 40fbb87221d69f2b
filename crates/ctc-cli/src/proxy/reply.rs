//! The proxy's own responses: a status, a reason for programs, and a text for people.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ctc_tower::{CallError, Denial, SendFailure, TowerError};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::body::ResponseBody;
use super::connections::CallGuard;
use super::stall::Stalled;
use crate::exit::chain;

/// The header that distinguishes the proxy's own responses from the server's. Its value is the
/// reason.
pub(super) const ERROR: HeaderName = HeaderName::from_static("ctc-error");

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident;)*) => {
        /// Why the proxy itself responds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Reason { $($(#[$doc])* $variant),* }

        impl Reason {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }
        }
    };
}
reasons! {
    /// `Host` or the request's URL names another host than this proxy.
    ForeignHost = "foreign_host", MISDIRECTED_REQUEST;
    /// A web page sent the request.
    ForeignOrigin = "foreign_origin", FORBIDDEN;
    /// The target is not a path.
    BadTarget = "bad_target", BAD_REQUEST;
    /// `CONNECT`, which would go elsewhere, or `TRACE`, which would show the token.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The request asks for another protocol.
    UpgradeNotAllowed = "upgrade_not_allowed", BAD_REQUEST;
    /// The request does not have the token of this proxy.
    LocalToken = "local_token", FORBIDDEN;
    /// A login or logout, which only the proxy makes.
    LoginNotAllowed = "login_not_allowed", FORBIDDEN;
    /// The request's headers cannot be forwarded.
    BadHeaders = "bad_headers", BAD_REQUEST;
    /// The request's body ended early.
    BadBody = "bad_body", BAD_REQUEST;
    /// The request's body stalled.
    BodyStalled = "body_stalled", REQUEST_TIMEOUT;
    /// There are too many calls in progress.
    TooManyCalls = "too_many_calls", SERVICE_UNAVAILABLE;
    /// The server rejected the credentials.
    CredentialsRejected = "credentials_rejected", BAD_GATEWAY;
    /// The last login failed.
    BackingOff = "backing_off", SERVICE_UNAVAILABLE;
    /// The login budget is spent.
    BudgetSpent = "budget_spent", SERVICE_UNAVAILABLE;
    /// The session is closed.
    LoggedOut = "logged_out", SERVICE_UNAVAILABLE;
    /// The server could not be reached: nothing was sent.
    Unreachable = "unreachable", BAD_GATEWAY;
    /// The server could not be reached in time: nothing was sent.
    ConnectTimeout = "connect_timeout", GATEWAY_TIMEOUT;
    /// The call was sent, and no response came.
    NoResponse = "no_response", BAD_GATEWAY;
    /// The call was sent, and no response came in time.
    ResponseTimeout = "response_timeout", GATEWAY_TIMEOUT;
}

/// A response of the proxy itself.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) reason: Reason,
    message: String,
    retry_after: Option<Duration>,
}

impl Reply {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Creates the response for a call that got none from the server.
    pub(super) fn of(error: &CallError<TowerError>) -> Self {
        match error {
            CallError::Denied(denied) => {
                let reason = match denied.denial() {
                    Denial::Rejected { .. } => Reason::CredentialsRejected,
                    Denial::BackingOff { .. } => Reason::BackingOff,
                    Denial::Closed => Reason::LoggedOut,
                    _ => Reason::BudgetSpent,
                };
                Self {
                    reason,
                    message: denied.to_string(),
                    retry_after: denied.retry_after(),
                }
            }
            CallError::Stamp(error) => Self::new(Reason::BadHeaders, error.to_string()),
            CallError::Transport(transport) => {
                let is_late = causes(transport).any(|cause| {
                    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
                    kind == Some(io::ErrorKind::TimedOut)
                });
                let body_stalled = causes(transport).any(<dyn Error>::is::<Stalled>);
                let is_unsent = ctc_driver::TransportError::failure(transport);
                let reason = match is_unsent {
                    _ if body_stalled => Reason::BodyStalled,
                    SendFailure::NotSent if is_late => Reason::ConnectTimeout,
                    SendFailure::NotSent => Reason::Unreachable,
                    SendFailure::MaybeSent => Reason::NoResponse,
                };
                Self::new(reason, chain(error))
            }
            other => Self::new(Reason::NoResponse, chain(other)),
        }
    }

    pub(super) fn into_response(self, call: CallGuard) -> Response<ResponseBody> {
        let seconds = self.retry_after.map(whole_seconds);
        // The same members as with `ctc --json`.
        let error = json!({
            "kind": self.reason.name(),
            "message": self.message,
            "retry_after_seconds": seconds,
        });
        let json = json!({ "version": 1, "error": error });
        let mut response = Response::new(ResponseBody::whole(format!("{json}\n"), call));
        *response.status_mut() = self.reason.status();
        let headers = response.headers_mut();
        headers.insert(ERROR, HeaderValue::from_static(self.reason.name()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.reason == Reason::MethodNotAllowed {
            let others = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
            headers.insert(ALLOW, HeaderValue::from_static(others));
        }
        if let Some(seconds) = seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Rounds up, because a caller that comes back a moment too early is denied again.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// How many responses the proxy itself sent, by reason.
#[derive(Debug)]
pub(super) struct Replies(Vec<AtomicU64>);

impl Replies {
    pub(super) fn new() -> Self {
        Self(Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn count(&self, reason: Reason) {
        if let Some(count) = self.0.get(reason as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (Reason, u64)> {
        let counts = self.0.iter().map(|count| count.load(Relaxed));
        Reason::ALL.iter().copied().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_the_manual_with_its_status() {
        let manual = include_str!("../../PROXY.md");
        for reason in Reason::ALL {
            let (name, status) = (reason.name(), reason.status().as_u16());
            let row = manual
                .lines()
                .find(|line| line.starts_with('|') && line.contains(&format!("`{name}`")));
            let cells: Vec<_> = row.unwrap_or_default().split('|').collect();
            assert!(
                cells.len() > 3 && cells[2].contains(&status.to_string()),
                "{name} {status}"
            );
        }
    }

    #[test]
    fn a_retry_after_is_rounded_up() {
        let seconds = |millis| whole_seconds(Duration::from_millis(millis));
        assert_eq!([0, 1, 1000, 1001].map(seconds), [0, 1, 1, 2]);
    }
}
