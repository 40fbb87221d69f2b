//! The login of the vendor's page: status 200 and a cookie with the token.

use http::{HeaderMap, StatusCode};

use super::Reading;
use crate::login_rule::{FailedLogin, FailedLoginResponse, LoginRule};
use crate::session::denial::LoginFailure;
use crate::wire::{TokenChange, read_retry_after, read_token_change};

pub(super) fn read(status: StatusCode, headers: &HeaderMap, rule: Option<&LoginRule>) -> Reading {
    let failed = |cause| Reading::Failed { cause, pause: None };
    if status == StatusCode::OK {
        match read_token_change(headers, None) {
            TokenChange::Set { token, lifetime } => return Reading::Token { token, lifetime },
            TokenChange::Unusable => return failed(LoginFailure::UnusableToken),
            TokenChange::None | TokenChange::Cleared => {}
        }
    }
    let response = FailedLoginResponse::new(status, headers);
    let rejected = rule.and_then(|rule| rule.apply(&response)).map_or_else(
        || rejects_by_status(status),
        |ruled| ruled == FailedLogin::Rejected,
    );
    if rejected {
        Reading::Rejected(status)
    } else if status == StatusCode::OK {
        failed(LoginFailure::NoToken)
    } else if status.is_redirection() {
        failed(LoginFailure::Redirected { status })
    } else {
        let pause = read_retry_after(headers);
        Reading::Failed {
            cause: LoginFailure::Unavailable {
                status,
                retry_after: pause,
            },
            pause,
        }
    }
}

/// Any 4xx but those that ask for patience, and those that only an intermediary sends or a request
/// that was garbled on its way can cause: they say nothing about the credentials. Which status CTC
/// gives a wrong password is documented nowhere.
fn rejects_by_status(status: StatusCode) -> bool {
    let not_about_us = [
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::LENGTH_REQUIRED,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::URI_TOO_LONG,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::EXPECTATION_FAILED,
        StatusCode::MISDIRECTED_REQUEST,
        StatusCode::TOO_EARLY,
        StatusCode::UPGRADE_REQUIRED,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    ];
    status.is_client_error() && !not_about_us.contains(&status)
}
