//! What the server saw: one [`Entry`] per request, and the [`Counts`] that most tests need.

use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::{cookies::auth_tokens, fault::RuleId};

/// How many bytes of a request's body an [`Entry`] keeps; [`Entry::body_len`] is the whole length.
pub const JOURNALED_BODY: usize = 64 * 1024;

/// What kind of request it was, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// The path of the cookie login, whatever the method.
    Login,
    /// The logout path, whatever the method.
    Logout,
    /// The token endpoint, whatever the method.
    Token,
    /// The revocation endpoint, whatever the method.
    Revocation,
    /// Anything else below `/connect/` or `/device-services/`.
    Call,
    /// The control path below `/_ctc/`. In [`Counts`], only its connections count.
    Control,
    /// Any other path: the response is 404. In [`Counts`], only its connections count.
    Other,
}

impl Class {
    /// Whether it is a login, of either kind.
    pub(super) fn is_login(self) -> bool {
        matches!(self, Self::Login | Self::Token)
    }
}

/// Which of the server's two origins a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// The API's: [`Server::url`](crate::Server::url).
    Api,
    /// The token endpoint's: [`Server::token_url`](crate::Server::token_url).
    Token,
}

/// A rule of the interface that a request broke. A wrong password or an invalid token is not a
/// violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Violation {
    /// No `calamp-services-app` header, or an empty one.
    MissingKey,
    /// An application key that this server does not know.
    WrongKey,
    /// More than one `calamp-services-app` header.
    DuplicateKey,
    /// A password, a token or an application key in the query string; on a login also a user's
    /// name.
    CredentialsInQuery,
    /// A login (or logout) by another method than `POST`.
    WrongMethod,
    /// An application key that reached the token endpoint.
    KeyAtTokenEndpoint,
    /// An `Authorization` header or a cookie that reached the token endpoint: its client is public.
    HeaderAtTokenEndpoint,
    /// A login without `useAuthToken=true`.
    MissingUseAuthToken,
    /// A login whose body is not declared `application/x-www-form-urlencoded`.
    WrongContentType,
    /// A login body that is not a form: a stray `%`, a raw space or non-ASCII byte, not UTF-8, or
    /// far too long.
    BadForm,
    /// A form without a field that it needs; to the token endpoint, an empty field is one, too.
    MissingField,
    /// A login form in which a field stands twice.
    DuplicateField,
    /// A login form with a field of another name: mostly a password that was not encoded.
    UnexpectedField,
    /// A call or logout without a token, or with a cookie login's token as bearer where that is not
    /// taken.
    MissingToken,
    /// More than one token on a call: two `authToken` cookies, or a cookie beside a bearer token.
    DuplicateToken,
    /// More than one `Cookie` header on a call.
    DuplicateCookieHeader,
    /// A token that this server never gave out. A byte changed on the way looks like this.
    UnknownToken,
}

/// One request, as received, and its response.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Position in the order of arrival, from 1; never reused, not even after a reset.
    pub seq: u64,
    /// When it arrived, by the server's clock; as JSON, seconds since 1970.
    #[serde(serialize_with = "as_seconds")]
    pub time: SystemTime,
    /// The origin it came to.
    pub origin: Origin,
    /// The connection it came on, from 1: equal numbers mean that a connection was reused.
    pub connection: u64,
    /// What kind of request it was.
    pub class: Class,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without the question mark; empty if there was none.
    pub query: String,
    /// All headers in the order of arrival, secrets included. Names are in lower case.
    pub headers: Vec<(String, String)>,
    /// The first [`JOURNALED_BODY`] bytes of the body.
    #[serde(serialize_with = "as_text")]
    pub body: Vec<u8>,
    /// The length of the whole body, in bytes.
    pub body_len: u64,
    /// The rule it broke, if any.
    pub violation: Option<Violation>,
    /// The rules that struck on it, in order.
    pub rules: Vec<RuleId>,
    /// The status of its response; `None` while it waits, and also later if the response was
    /// withheld.
    pub status: Option<u16>,
}

impl Entry {
    /// The values of every header of this name (in lower case).
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Every `authToken` cookie on the request, byte for byte.
    pub fn tokens(&self) -> Vec<&str> {
        self.header("cookie")
            .into_iter()
            .flat_map(auth_tokens)
            .collect()
    }
}

fn as_seconds<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    // Whole milliseconds: nobody reads more.
    serializer.serialize_f64(since.as_millis() as f64 / 1000.0)
}

fn as_text<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}

/// Sums over all requests since the start, or since the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Logins accepted: a token was issued, whether or not the response arrived.
    pub logins: u64,
    /// Logins without violation that got a 4xx other than 408, 425 and 429.
    pub logins_refused: u64,
    /// Requests to the login path or the token endpoint, however they ended.
    pub login_requests: u64,
    /// Those of them that went to the token endpoint.
    pub token_requests: u64,
    /// Logouts accepted.
    pub logouts: u64,
    /// Revocations of an access token accepted.
    pub revocations: u64,
    /// Calls that carried key and token as they should, whatever the response.
    pub calls: u64,
    /// Those calls that got a 401.
    pub unauthorized: u64,
    /// Requests that broke a rule of the interface: see [`Violation`].
    pub violations: u64,
    /// Logins accepted although the account had a valid token, and the client had got neither a 401
    /// nor a clearing cookie for it. Not rejected, but unfair use.
    pub needless_logins: u64,
    /// Tokens alive now, over all accounts.
    pub live_tokens: u64,
    /// Connections accepted, those of control requests included.
    pub connections: u64,
    /// The largest number of logins that were in flight at once for one account.
    pub logins_in_flight_max: u64,
    /// Writes that took effect (notes added to a device): a replay shows here.
    pub writes: u64,
    /// Requests that wait now for [`Server::release`](crate::Server::release).
    pub held: u64,
}
