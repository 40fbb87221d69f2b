//! What passes over the simulated network: where it goes, how it fails, and its token.

use ctc_core::{FormBody, SendFailure};
use ctc_driver::TransportError;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, Request};

use crate::kinds::{CLIENTS, Kind, REVOKE_URL, TOKEN_URL};
use crate::server::APP_KEY;

pub(crate) const ORIGIN: &str = "https://ctc.example";

/// No response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SimError {
    #[error("no route to the simulated host")]
    NotSent,
    #[error("the simulated line went dead")]
    Lost,
}

impl TransportError for SimError {
    fn failure(&self) -> SendFailure {
        match self {
            Self::NotSent => SendFailure::NotSent,
            Self::Lost => SendFailure::MaybeSent,
        }
    }
}

/// Returns the token of a request, read from where calls of this login carry it.
pub(crate) fn read_token(headers: &HeaderMap, kind: Kind) -> Option<String> {
    if kind == Kind::Cookie {
        return read_cookie(headers);
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let token = values.next()?.to_str().ok()?.strip_prefix("Bearer ")?;
    values.next().is_none().then(|| token.to_owned())
}

/// Returns the `authToken` of a request, if there is exactly one.
pub(crate) fn read_cookie(headers: &HeaderMap) -> Option<String> {
    let mut tokens = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split("; "))
        .filter_map(|pair| pair.strip_prefix("authToken="));
    let token = tokens.next()?.to_owned();
    tokens.next().is_none().then_some(token)
}

const KEY: &str = "calamp-services-app";

/// Returns a field of a form. No value needs escapes here.
pub(crate) fn field(form: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(form);
    let found = text
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_default().to_owned()
}

/// Returns what is wrong with a login that is sent.
pub(crate) fn wrong_login(request: &Request<FormBody>, kind: Kind) -> Option<&'static str> {
    let Kind::OAuth(client) = kind else {
        let url = format!("{ORIGIN}/connect/services/login?useAuthToken=true");
        return (request.uri() != url.as_str()).then_some("no address of the login");
    };
    let form = request.body().as_ref();
    if request.uri() != TOKEN_URL {
        Some("not the token endpoint")
    } else if field(form, "client_id") != CLIENTS[client] || field(form, "grant_type") != "password"
    {
        Some("not the client's grant")
    } else {
        carries_any_secret(request.headers()).then_some("the API's key or token goes along")
    }
}

/// Returns what is wrong with a revocation that is sent.
pub(crate) fn wrong_revocation(request: &Request<FormBody>) -> Option<&'static str> {
    if request.uri() != REVOKE_URL {
        Some("not the revocation endpoint")
    } else {
        carries_any_secret(request.headers()).then_some("the API's key or token goes along")
    }
}

fn carries_any_secret(headers: &HeaderMap) -> bool {
    let shows = |value: &[u8]| String::from_utf8_lossy(value).contains("CANARY");
    headers.contains_key(KEY) || headers.values().any(|value| shows(value.as_bytes()))
}

/// Returns which secret leaves its origin: key and token stay on the API's origin, and a password
/// never goes there with a call.
pub(crate) fn leaves_its_origin(request: &Request<Vec<u8>>, kind: Kind) -> Option<&'static str> {
    let uri = request.uri();
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let origin = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
    let headers = request.headers();
    let carries = headers.contains_key(KEY) || read_token(headers, kind).is_some();
    if origin != ORIGIN && carries {
        return Some("key or token goes there");
    }
    let shows = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("CANARY-PASSWORD");
    let in_headers = headers.values().any(|value| shows(value.as_bytes()));
    (in_headers || shows(request.body()) || shows(uri.to_string().as_bytes()))
        .then_some("a password goes along")
}

/// Whether a call carries one token, in one place, and one key if it needs one.
pub(crate) fn carries_once(headers: &HeaderMap, kind: Kind, sends_key: bool) -> bool {
    let keys: Vec<_> = headers.get_all(KEY).iter().collect();
    let key = if sends_key {
        keys == [APP_KEY]
    } else {
        // The caller's own header is left unchanged.
        keys.iter().all(|key| *key != APP_KEY)
    };
    let cookies = headers.get_all(COOKIE).iter().count();
    let token = match kind {
        Kind::Cookie => cookies == 1,
        Kind::OAuth(_) => cookies <= 1 && read_cookie(headers).is_none(),
    };
    key && token
}
