//! The OAuth login: status 200 and a JSON object with the token (RFC 6749, 5.1), or an error code
//! (5.2). Codes and statuses decide, never a text or a `Content-Type`.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Reading, rejects_by_status, unavailable};
use crate::secret::AuthToken;
use crate::session::denial::{LoginFailure, Rejection, RejectionReason, names_no_login};
use crate::settings::MAX_SPAN;
use crate::wire::{read_rate_limit_reset, read_retry_after};

/// How long a body may be: far more than any token response.
pub(super) const LONGEST_BODY: usize = 64 * 1024;

/// The members that count, as they stand in the body. Nothing is copied out of it before it is
/// known to be needed: other members, such as `id_token` and `refresh_token`, are secrets too.
#[derive(Default, Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    access_token: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    token_type: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    expires_in: Option<&'a RawValue>,
    /// RFC 6749, 5.2.
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error_description: Option<&'a RawValue>,
    /// The other shape of errors, which some authorization servers use on the same endpoint.
    #[serde(borrow, default, rename = "errorCode")]
    error_code: Option<&'a RawValue>,
}

/// A member that is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(input).map(Some)
}

impl<'a> Body<'a> {
    /// `None` for what is not one JSON object.
    fn parse(body: &'a [u8]) -> Option<Self> {
        let text = body.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(body);
        // serde would read an array as well, by position.
        let is_object = text.trim_ascii_start().starts_with(b"{");
        if body.len() > LONGEST_BODY || !is_object {
            return None;
        }
        serde_json::from_slice(text).ok()
    }

    /// What is in the place of a code. `null` and an empty text are nothing.
    fn errors(&self) -> impl Iterator<Item = &'a RawValue> {
        let errors = [self.error, self.error_code].into_iter().flatten();
        errors.filter(|error| error.get() != r#""""#)
    }

    fn error(&self) -> Option<Error> {
        let code = self.errors().find_map(text)?;
        Some(match &*code {
            // The last three are Okta's: rate limit, internal error, read-only mode.
            "temporarily_unavailable"
            | "server_error"
            | "slow_down"
            | "E0000047"
            | "E0000009"
            | "E0000010" => Error::Later,
            "invalid_grant" => Error::Refused(self.reason_of_invalid_grant()),
            _ => Error::Refused(RejectionReason::Configuration),
        })
    }

    /// A hint for people: the code is the same for a wrong password and for a policy.
    fn reason_of_invalid_grant(&self) -> RejectionReason {
        let names_a_policy = |text: Cow<'_, str>| {
            let text = text.to_ascii_lowercase().replace('-', " ");
            let hints = ["sign on policy", "mfa", "multifactor", "multi factor"];
            hints.iter().any(|hint| text.contains(hint))
        };
        if self
            .error_description
            .and_then(text)
            .is_some_and(names_a_policy)
        {
            RejectionReason::SignOnPolicy
        } else {
            RejectionReason::Credentials
        }
    }

    fn token(&self) -> Reading {
        let Some(token) = self.access_token else {
            return failed(LoginFailure::NoToken);
        };
        let kind = self.token_type.and_then(text);
        let is_bearer = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        match read_token(token).filter(|_| is_bearer) {
            Some(token) => Reading::Token {
                token,
                lifetime: self.expires_in.and_then(read_lifetime),
            },
            None => failed(LoginFailure::UnusableToken),
        }
    }
}

/// What an error code means.
enum Error {
    Refused(RejectionReason),
    /// The server is in trouble, or asks for patience.
    Later,
}

pub(super) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    wall: Option<SystemTime>,
) -> Reading {
    if status.is_redirection() {
        return failed(LoginFailure::Redirected { status });
    }
    let body = Body::parse(body);
    if status == StatusCode::OK {
        match &body {
            // Of a token beside an error neither is to be trusted.
            Some(body) if body.errors().next().is_some() => {}
            Some(body) => return body.token(),
            None => return failed(LoginFailure::NoToken),
        }
    } else if !status.is_client_error() {
        return unavailable(status, read_retry_after(headers));
    }
    let rejected = |reason| Reading::Rejected(Rejection { status, reason });
    let asks_for_patience = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    let pause = || {
        let reset = read_rate_limit_reset(headers, wall);
        let pause = read_retry_after(headers).max(reset)?;
        Some(pause.max(Duration::from_secs(1)))
    };
    let about_us = status == StatusCode::OK || rejects_by_status(status) || names_no_login(status);
    match body.as_ref().and_then(Body::error) {
        _ if asks_for_patience.contains(&status) => unavailable(status, pause()),
        Some(Error::Later) => {
            let retry_after = pause();
            Reading::Failed {
                cause: LoginFailure::Busy {
                    status,
                    retry_after,
                },
                pause: retry_after,
            }
        }
        Some(Error::Refused(reason)) if about_us => rejected(reason),
        // A firewall's page: nobody looked at the password.
        None if status == StatusCode::FORBIDDEN => unavailable(status, read_retry_after(headers)),
        _ if names_no_login(status) => rejected(RejectionReason::Configuration),
        _ if about_us => rejected(RejectionReason::Unstated),
        _ => unavailable(status, read_retry_after(headers)),
    }
}

fn failed(cause: LoginFailure) -> Reading {
    Reading::Failed { cause, pause: None }
}

/// A JSON string that is no secret.
fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    /// Borrows where it can.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    serde_json::from_str(value.get())
        .ok()
        .map(|Text(text)| text)
}

/// The token in a JSON string. Its escapes are undone here, in memory that is wiped: `serde_json`
/// does that in memory that is not.
fn read_token(value: &RawValue) -> Option<AuthToken> {
    let text = value.get().strip_prefix('"')?.strip_suffix('"')?;
    let mut token = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next()? {
                b'/' => b'/',
                b'u' => {
                    let mut code = 0;
                    for _ in 0..4 {
                        code = code * 16 + char::from(bytes.next()?).to_digit(16)?;
                    }
                    u8::try_from(code).ok()?
                }
                // No other escape stands for what a token may have.
                _ => return None,
            },
            byte => byte,
        };
        token.push(byte);
    }
    // What some servers make of a token that they do not have.
    let is_null = token.eq_ignore_ascii_case(b"null");
    AuthToken::bearer(token).filter(|_| !is_null)
}

/// A number of seconds, or a string that is one. Anything else is as good as nothing: it must not
/// fail a login.
fn read_lifetime(value: &RawValue) -> Option<Duration> {
    let text = value.get().trim_matches('"').trim();
    // Rust reads "inf" and "nan" as well.
    let is_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let seconds: f64 = text.parse().ok().filter(|_| text.bytes().all(is_number))?;
    let seconds = seconds.floor().min(MAX_SPAN.as_secs_f64());
    (seconds >= 1.0).then(|| Duration::from_secs_f64(seconds))
}
