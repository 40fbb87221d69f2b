//! The login of the vendor's guide: status 200 and a cookie with the token.

use http::{HeaderMap, StatusCode};

use super::{Reading, rejects_by_status, unavailable};
use crate::session::denial::{LoginFailure, Rejection};
use crate::wire::{TokenChange, read_retry_after, read_token_change};

pub(super) fn read(status: StatusCode, headers: &HeaderMap) -> Reading {
    let failed = |cause| Reading::Failed { cause, pause: None };
    if status == StatusCode::OK {
        match read_token_change(headers, None) {
            TokenChange::Set { token, lifetime } => Reading::Token { token, lifetime },
            TokenChange::Unusable => failed(LoginFailure::UnusableToken),
            TokenChange::None | TokenChange::Cleared => failed(LoginFailure::NoToken),
        }
    } else if rejects_by_status(status) {
        Reading::Rejected(Rejection::unstated(status))
    } else if status.is_redirection() {
        failed(LoginFailure::Redirected { status })
    } else {
        unavailable(status, read_retry_after(headers))
    }
}
