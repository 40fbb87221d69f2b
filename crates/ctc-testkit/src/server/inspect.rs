//! Does a request keep to the interface? Everything here looks at the request alone and at what the
//! server was configured with; nothing changes.

use std::borrow::Cow;

use http::{Method, header};

use super::{
    cookies::{TokenStyle, auth_tokens},
    journal::{Class, Violation},
    received::Received,
    settings::Settings,
};

const KEY_HEADER: &str = "calamp-services-app";
const FORM: &str = "application/x-www-form-urlencoded";
const FIELDS: [&str; 3] = ["username", "password", "useAuthToken"];

pub(super) fn classify(settings: &Settings, path: &str) -> Class {
    if path == settings.login_path {
        Class::Login
    } else if path == settings.logout_path {
        Class::Logout
    } else if path.starts_with("/connect/") || path.starts_with("/device-services/") {
        Class::Call
    } else if path == "/_ctc" || path.starts_with("/_ctc/") {
        Class::Control
    } else {
        Class::Other
    }
}

/// The name and password of a login that kept to every rule.
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) password: String,
}

pub(super) fn login(settings: &Settings, request: &Received) -> Result<Credentials, Violation> {
    if request.method != Method::POST {
        return Err(Violation::WrongMethod);
    }
    key(settings, request)?;
    no_credentials_in_query(settings, request, &["username", "password", "authToken"])?;
    let content_type = request
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    if !media_type.eq_ignore_ascii_case(FORM) {
        return Err(Violation::WrongContentType);
    }
    let form = form(request)?;
    let field = |name: &str| {
        let mut values = form
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Violation::DuplicateField),
            (value, None) => Ok(value),
        }
    };
    if form
        .iter()
        .any(|(name, _)| !FIELDS.contains(&name.as_str()))
    {
        return Err(Violation::UnexpectedField);
    }
    let in_query = request.parameter("useAuthToken");
    let in_form = field("useAuthToken")?.filter(|_| settings.use_auth_token_in_form);
    if in_query.as_deref() != Some("true") && in_form != Some("true") {
        return Err(Violation::MissingUseAuthToken);
    }
    let username = field("username")?
        .ok_or(Violation::MissingField)?
        .to_owned();
    let password = field("password")?
        .ok_or(Violation::MissingField)?
        .to_owned();
    Ok(Credentials { username, password })
}

/// The token of a call or logout that kept to every rule; whether it is alive is another question.
pub(super) fn call(settings: &Settings, request: &Received) -> Result<String, Violation> {
    key(settings, request)?;
    no_credentials_in_query(settings, request, &["password", "authToken"])?;
    if request.headers.get_all(header::COOKIE).iter().count() > 1 {
        return Err(Violation::DuplicateCookieHeader);
    }
    let mut tokens = presented(settings, request);
    match (tokens.pop(), tokens.pop()) {
        (Some(token), None) => Ok(token),
        (None, _) => Err(Violation::MissingToken),
        (Some(_), Some(_)) => Err(Violation::DuplicateToken),
    }
}

/// Every token on a request, as cookie or (if that is allowed) as bearer, which goes without the
/// quotes of the cookie.
pub(super) fn presented(settings: &Settings, request: &Received) -> Vec<String> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let cookies: Vec<String> = request
        .headers
        .get_all(header::COOKIE)
        .iter()
        .map(text)
        .collect();
    let mut tokens: Vec<String> = cookies
        .iter()
        .flat_map(|line| auth_tokens(line))
        .map(str::to_owned)
        .collect();
    if settings.bearer {
        let headers: Vec<String> = request
            .headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .map(text)
            .collect();
        tokens.extend(
            headers
                .iter()
                .filter_map(|line| line.strip_prefix("Bearer "))
                .map(|token| match settings.token_style {
                    TokenStyle::Quoted => format!("\"{token}\""),
                    _ => token.to_owned(),
                }),
        );
    }
    tokens
}

fn key(settings: &Settings, request: &Received) -> Result<(), Violation> {
    let mut values = request.headers.get_all(KEY_HEADER).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Violation::DuplicateKey),
        (None, _) => Err(Violation::MissingKey),
        (Some(value), None) if value.is_empty() => Err(Violation::MissingKey),
        (Some(value), None)
            if settings
                .app_keys
                .iter()
                .any(|key| key.as_bytes() == value.as_bytes()) =>
        {
            Ok(())
        }
        (Some(_), None) => Err(Violation::WrongKey),
    }
}

/// A user's name may stand in the query of a call (the API might search for one), but never in that
/// of a login.
fn no_credentials_in_query(
    settings: &Settings,
    request: &Received,
    names: &[&str],
) -> Result<(), Violation> {
    // A password as short as a page number would be found everywhere.
    let secrets = || {
        settings
            .accounts
            .iter()
            .map(|(_, password)| password)
            .chain(&settings.app_keys)
    };
    let secret = |value: &str| value.len() >= 6 && secrets().any(|secret| secret == value);
    let leaks = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
        names.contains(&name.as_ref()) || secret(&value)
    };
    match form_urlencoded::parse(request.query.as_bytes()).any(leaks) {
        true => Err(Violation::CredentialsInQuery),
        false => Ok(()),
    }
}

fn form(request: &Received) -> Result<Vec<(String, String)>, Violation> {
    let body = &request.body[..];
    if request.body_len > body.len() as u64 || !well_encoded(body) {
        return Err(Violation::BadForm);
    }
    let fields: Vec<_> = form_urlencoded::parse(body).into_owned().collect();
    // The decoder puts U+FFFD where bytes are not UTF-8.
    let broken = |text: &str| text.contains('\u{FFFD}');
    if fields
        .iter()
        .any(|(name, value)| broken(name) || broken(value))
    {
        return Err(Violation::BadForm);
    }
    Ok(fields)
}

/// Printable ASCII without spaces, and two hex digits after every `%`.
pub(super) fn well_encoded(body: &[u8]) -> bool {
    let escape = |at: usize| {
        body.get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    body.iter()
        .enumerate()
        .all(|(at, byte)| byte.is_ascii_graphic() && (*byte != b'%' || escape(at)))
}
