//! The wire format: what is written to and read from HTTP messages. Nothing here remembers
//! anything.

mod challenge;
mod dates;
mod requests;
mod set_cookie;
pub(crate) mod status_code;

pub(crate) use challenge::BearerChallenge;
pub(crate) use dates::{read_rate_limit_reset, read_retry_after};
pub(crate) use requests::{LOGIN_PATH, Requests};
pub(crate) use set_cookie::{TokenChange, mentions_token, read_token_change};

/// The header that names the calling program (vendor's login page).
pub(crate) const APP_KEY_HEADER: &str = "calamp-services-app";
/// The cookie that holds the token (vendor's login page). Its name is case-sensitive.
pub(crate) const TOKEN_COOKIE: &str = "authToken";
