//! The record of what the server received: one [`Entry`] per request, and the [`Counts`] that most
//! tests need.

use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::{cookies::auth_tokens, fault::RuleId};

/// How many bytes of a request's body an [`Entry`] contains. [`Entry::body_len`] is the whole
/// length.
pub const JOURNALED_BODY: usize = 64 * 1024;

/// The kind of a request, by its path.
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
    /// Returns whether it is a login, of either kind.
    pub(super) fn is_login(self) -> bool {
        matches!(self, Self::Login | Self::Token)
    }
}

/// The server's two origins.
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
    /// A password, a token or an application key in the query; on a login also a username.
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
    /// A form without a required field. At the token endpoint, an empty field counts as missing.
    MissingField,
    /// A login form with the same field twice.
    DuplicateField,
    /// A login form with an unknown field: usually the result of a password that was not encoded.
    UnexpectedField,
    /// A call or logout without a token, or with a cookie login's token as a bearer token where
    /// that is not accepted.
    MissingToken,
    /// More than one token on a call: two `authToken` cookies, or a cookie beside a bearer token.
    DuplicateToken,
    /// More than one `Cookie` header on a call.
    DuplicateCookieHeader,
    /// A token that this server never issued, for example because a byte was changed on the way.
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
    /// The origin that received it.
    pub origin: Origin,
    /// The number of its connection, from 1. Equal numbers mean that a connection was reused.
    pub connection: u64,
    /// Its kind.
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
    /// The rule that it broke, if any.
    pub violation: Option<Violation>,
    /// The rules that applied to it, in order.
    pub rules: Vec<RuleId>,
    /// The status of its response. `None` while it waits, and if the response was withheld.
    pub status: Option<u16>,
}

impl Entry {
    /// Returns the values of every header of this name (in lower case).
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Returns every `authToken` cookie of the request, unchanged.
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
    // Round to milliseconds, which is precise enough.
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
    /// Login requests among them that went to the token endpoint.
    pub token_requests: u64,
    /// Logouts accepted.
    pub logouts: u64,
    /// Revocations of an access token accepted.
    pub revocations: u64,
    /// Calls that carried key and token as they should, whatever the response.
    pub calls: u64,
    /// Calls among them that got a 401.
    pub unauthorized: u64,
    /// Requests that broke a rule of the interface: see [`Violation`].
    pub violations: u64,
    /// Logins accepted although the account had a valid token, for which the client had received
    /// neither a 401 nor a clearing cookie. They are not rejected, but break fair use.
    pub needless_logins: u64,
    /// Tokens that are valid now, of all accounts.
    pub live_tokens: u64,
    /// Connections accepted, those of control requests included.
    pub connections: u64,
    /// The largest number of logins of one account that were in progress at the same time.
    pub logins_in_flight_max: u64,
    /// Writes that took effect (notes added to a device): a replay shows here.
    pub writes: u64,
    /// Requests that are waiting for [`Server::release`](crate::Server::release).
    pub held: u64,
}
