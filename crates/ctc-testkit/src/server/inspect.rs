//! Checks whether a request obeys the rules of the interface. These checks depend only on the
//! request and the server's settings, and change nothing.

use std::borrow::Cow;

use http::{Method, header};

use super::{
    accounts::Accounts,
    cookies::auth_tokens,
    journal::{Class, Origin, Violation},
    received::Received,
    settings::Settings,
};

pub(super) const TOKEN_PATH: &str = "/oauth2/test/v1/token";
pub(super) const REVOCATION_PATH: &str = "/oauth2/test/v1/revoke";

const KEY_HEADER: &str = "calamp-services-app";
const FORM: &str = "application/x-www-form-urlencoded";

pub(super) fn classify(settings: &Settings, origin: Origin, path: &str) -> Class {
    match origin {
        Origin::Token if path == TOKEN_PATH => Class::Token,
        Origin::Token if path == REVOCATION_PATH => Class::Revocation,
        Origin::Token => Class::Other,
        Origin::Api if path == settings.login_path => Class::Login,
        Origin::Api if path == settings.logout_path => Class::Logout,
        Origin::Api if path.starts_with("/connect/") || path.starts_with("/device-services/") => {
            Class::Call
        }
        Origin::Api if path == "/_ctc" || path.starts_with("/_ctc/") => Class::Control,
        Origin::Api => Class::Other,
    }
}

/// The username and password of a login that obeyed every rule.
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) password: String,
}

/// A token request that obeyed every rule.
pub(super) struct TokenRequest {
    pub(super) credentials: Credentials,
    pub(super) grant_type: String,
    pub(super) client_id: String,
    pub(super) scope: String,
}

/// A revocation that obeyed every rule.
pub(super) struct Revocation {
    pub(super) token: String,
    pub(super) client_id: String,
}

/// The tokens of a call, unchanged.
pub(super) struct Presented {
    pub(super) cookies: Vec<String>,
    pub(super) bearers: Vec<String>,
}

pub(super) fn login(
    settings: &Settings,
    accounts: &Accounts,
    request: &Received,
) -> Result<Credentials, Violation> {
    if request.method != Method::POST {
        return Err(Violation::WrongMethod);
    }
    key(settings, request)?;
    let names = ["username", "password", "authToken"];
    no_credentials_in_query(settings, accounts, request, &names)?;
    let form = Form::read(request, &["username", "password", "useAuthToken"])?;
    let in_query = request.parameter("useAuthToken");
    let in_form = form
        .field("useAuthToken")?
        .filter(|_| settings.use_auth_token_in_form);
    if in_query.as_deref() != Some("true") && in_form.as_deref() != Some("true") {
        return Err(Violation::MissingUseAuthToken);
    }
    let field = |name| form.field(name)?.ok_or(Violation::MissingField);
    Ok(Credentials {
        username: field("username")?,
        password: field("password")?,
    })
}

pub(super) fn token(
    settings: &Settings,
    accounts: &Accounts,
    request: &Received,
) -> Result<TokenRequest, Violation> {
    let fields = ["grant_type", "username", "password", "client_id", "scope"];
    let form = token_origin(settings, accounts, request, &fields)?;
    Ok(TokenRequest {
        credentials: Credentials {
            username: form.needed("username")?,
            password: form.needed("password")?,
        },
        grant_type: form.needed("grant_type")?,
        client_id: form.needed("client_id")?,
        scope: form.field("scope")?.unwrap_or_default(),
    })
}

pub(super) fn revocation(
    settings: &Settings,
    accounts: &Accounts,
    request: &Received,
) -> Result<Revocation, Violation> {
    let fields = ["token", "token_type_hint", "client_id"];
    let form = token_origin(settings, accounts, request, &fields)?;
    Ok(Revocation {
        token: form.needed("token")?,
        client_id: form.needed("client_id")?,
    })
}

/// The rules for every request to the token endpoint's origin: it must contain neither the key nor
/// a token of the API.
fn token_origin(
    settings: &Settings,
    accounts: &Accounts,
    request: &Received,
    fields: &[&str],
) -> Result<Form, Violation> {
    if request.method != Method::POST {
        return Err(Violation::WrongMethod);
    }
    if request.headers.contains_key(KEY_HEADER) {
        return Err(Violation::KeyAtTokenEndpoint);
    }
    if [header::AUTHORIZATION, header::COOKIE]
        .iter()
        .any(|name| request.headers.contains_key(name))
    {
        return Err(Violation::HeaderAtTokenEndpoint);
    }
    no_credentials_in_query(settings, accounts, request, fields)?;
    Form::read(request, fields)
}

/// Returns the tokens of a call or logout that obeyed every rule that depends only on the request.
pub(super) fn call(
    settings: &Settings,
    accounts: &Accounts,
    request: &Received,
) -> Result<Presented, Violation> {
    let presented = presented(request);
    let is_bearer = presented.cookies.is_empty() && !presented.bearers.is_empty();
    let may_lack = is_bearer && !settings.bearer_needs_key;
    if !may_lack || request.headers.contains_key(KEY_HEADER) {
        key(settings, request)?;
    }
    no_credentials_in_query(settings, accounts, request, &["password", "authToken"])?;
    if request.headers.get_all(header::COOKIE).iter().count() > 1 {
        return Err(Violation::DuplicateCookieHeader);
    }
    Ok(presented)
}

fn presented(request: &Received) -> Presented {
    let texts = |name| {
        let values = request.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()))
    };
    let bearer = |line: Cow<'_, str>| {
        let (scheme, token) = line.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.to_owned())
    };
    let cookies = |line: Cow<'_, str>| auth_tokens(&line).map(str::to_owned).collect::<Vec<_>>();
    Presented {
        cookies: texts(header::COOKIE).flat_map(cookies).collect(),
        bearers: texts(header::AUTHORIZATION).filter_map(bearer).collect(),
    }
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

/// A username may be in the query of a call (the API might search for one), but not in that of a
/// login.
fn no_credentials_in_query(
    settings: &Settings,
    accounts: &Accounts,
    request: &Received,
    names: &[&str],
) -> Result<(), Violation> {
    // Ignore very short passwords: a page number could match.
    let secrets = || {
        let keys = settings.app_keys.iter().map(String::as_str);
        accounts.passwords().chain(keys)
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

/// A form without unknown fields.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(request: &Received, known: &[&str]) -> Result<Self, Violation> {
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
        let body = &request.body[..];
        if request.body_len > body.len() as u64 || !well_encoded(body) {
            return Err(Violation::BadForm);
        }
        let fields: Vec<_> = form_urlencoded::parse(body).into_owned().collect();
        // The decoder replaces bytes that are not UTF-8 with U+FFFD.
        let broken = |text: &str| text.contains('\u{FFFD}');
        if fields
            .iter()
            .any(|(name, value)| broken(name) || broken(value))
        {
            return Err(Violation::BadForm);
        }
        if fields
            .iter()
            .any(|(name, _)| !known.contains(&name.as_str()))
        {
            return Err(Violation::UnexpectedField);
        }
        Ok(Self(fields))
    }

    fn field(&self, name: &str) -> Result<Option<String>, Violation> {
        let mut values = self.0.iter().filter(|(n, _)| n == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Violation::DuplicateField),
            (value, None) => Ok(value.map(|(_, value)| value.clone())),
        }
    }

    /// An empty field counts as missing (RFC 6749, 3.2).
    fn needed(&self, name: &str) -> Result<String, Violation> {
        self.field(name)?
            .filter(|value| !value.is_empty())
            .ok_or(Violation::MissingField)
    }
}

/// Whether the text is printable ASCII without spaces, with two hex digits after every `%`.
pub(super) fn well_encoded(body: &[u8]) -> bool {
    let escape = |at: usize| {
        body.get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    body.iter()
        .enumerate()
        .all(|(at, byte)| byte.is_ascii_graphic() && (*byte != b'%' || escape(at)))
}
