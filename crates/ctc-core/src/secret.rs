//! The three secrets and the login body: validated, never printed, wiped when the last copy is
//! dropped.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

/// The application key that identifies the calling program, sent as `calamp-services-app` with
/// every request.
///
/// Any text that a header can carry is accepted: the vendor documents no format.
#[derive(Clone, PartialEq, Eq)]
pub struct AppKey(HeaderValue);

impl AppKey {
    /// Takes the key as the vendor issued it.
    ///
    /// # Errors
    /// Returns [`SecretError`] if it is empty or has characters other than visible ASCII.
    pub fn new(key: impl Into<String>) -> Result<Self, SecretError> {
        let key = Zeroizing::new(key.into().into_bytes());
        visible_ascii(&key, SecretError::EmptyAppKey, |at| {
            SecretError::AppKeyCharacter { at }
        })?;
        secret_header(key)
            .map(Self)
            .ok_or(SecretError::AppKeyCharacter { at: 1 })
    }

    /// Returns the value of the `calamp-services-app` header, marked as sensitive.
    pub fn to_header_value(&self) -> HeaderValue {
        self.0.clone()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Username and password of one CTC account. Clones share one copy in memory.
#[derive(Clone)]
pub struct Credentials(Arc<(Zeroizing<String>, Zeroizing<String>)>);

impl Credentials {
    /// Takes username and password unchanged, without trimming or checks of the vendor's rules.
    ///
    /// # Errors
    /// Returns [`SecretError`] if one of them is empty, or has a control character (such as the
    /// final line break of a file) or an invisible mark, with which the server would reject the
    /// login.
    pub fn new(
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, SecretError> {
        let (username, password) = (
            Zeroizing::new(username.into()),
            Zeroizing::new(password.into()),
        );
        if username.is_empty() {
            return Err(SecretError::EmptyUsername);
        }
        if password.is_empty() {
            return Err(SecretError::EmptyPassword);
        }
        if let Some(at) = unseen_character(&username) {
            return Err(SecretError::UsernameCharacter { at });
        }
        if let Some(at) = unseen_character(&password) {
            return Err(SecretError::PasswordCharacter { at });
        }
        Ok(Self(Arc::new((username, password))))
    }

    pub(crate) fn username(&self) -> &str {
        &self.0.0
    }

    pub(crate) fn password(&self) -> &str {
        &self.0.1
    }
}

/// The session token: the value of the `authToken` cookie, or the OAuth login's `access_token`,
/// unchanged.
///
/// It is sent back in the cookie byte for byte, with its quotes, and as a bearer token without
/// them. It is never decoded, and its length is not checked. Clones share one copy in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthToken(Bytes);

impl AuthToken {
    /// Takes a token as it was in the cookie, with its quotes if it had any.
    ///
    /// # Errors
    /// Returns [`SecretError`] if the token, without its quotes, is empty or not a safe cookie
    /// value: if it has control characters, white space, `;`, `,` or characters outside ASCII.
    pub fn new(value: impl Into<String>) -> Result<Self, SecretError> {
        let value = Zeroizing::new(value.into().into_bytes());
        visible_ascii(&value, SecretError::EmptyToken, |at| {
            SecretError::TokenCharacter { at }
        })?;
        if let Some(at) = value.iter().position(|byte| matches!(byte, b';' | b',')) {
            return Err(SecretError::TokenCharacter { at: at + 1 });
        }
        if without_quotes(&value).is_empty() {
            return Err(SecretError::EmptyToken);
        }
        Ok(Self(Bytes::from_owner(value)))
    }

    /// Takes a bearer token (RFC 6750, 2.1), which allows fewer characters than a cookie value.
    pub(crate) fn bearer(token: Zeroizing<Vec<u8>>) -> Option<Self> {
        let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
        let end = token.iter().rposition(|byte| *byte != b'=')?;
        let is_bearer = token[..=end].iter().all(is_inside);
        is_bearer.then(|| Self(Bytes::from_owner(token)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The token outside of a cookie: quotes belong to the cookie.
    pub(crate) fn without_quotes(&self) -> &[u8] {
        without_quotes(&self.0)
    }

    /// Whether both are the same token: a server may quote it at one time and not at another.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.without_quotes() == other.without_quotes()
    }
}

/// The body of a login request. It holds the password: it prints as `[redacted]` and is wiped when
/// dropped.
///
/// Send it with [`as_ref`](AsRef::as_ref), or pass it to an HTTP client as `Bytes`, which is wiped
/// as well when the client drops it.
#[derive(Default)]
pub struct FormBody(Zeroizing<Vec<u8>>);

impl FormBody {
    pub(crate) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for FormBody {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<FormBody> for Bytes {
    fn from(body: FormBody) -> Self {
        Bytes::from_owner(body.0)
    }
}

macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    )*};
}
redacted!(AppKey, Credentials, AuthToken, FormBody);

/// Why a text cannot be used as a secret. The error never repeats the text.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// No application key.
    #[error("the CTC application key is empty: use the one that the vendor issued to you")]
    EmptyAppKey,
    /// A character in the application key that a header cannot carry.
    #[error(
        "character {at} of the CTC application key is not allowed in a header: look for a space, \
         a line break or a typographic quote"
    )]
    #[non_exhaustive]
    AppKeyCharacter {
        /// Which character it is, counted from 1.
        at: usize,
    },
    /// No username.
    #[error("the CTC username is empty: check that the variable or secret that holds it is set")]
    EmptyUsername,
    /// A control character or an invisible mark in the username.
    #[error(
        "character {at} of the CTC username is a control character or an invisible mark, often a \
         line break: remove it at its source"
    )]
    #[non_exhaustive]
    UsernameCharacter {
        /// Which character it is, counted from 1.
        at: usize,
    },
    /// A control character or an invisible mark in the password.
    #[error(
        "character {at} of the CTC password is a control character or an invisible mark, often a \
         line break: remove it at its source"
    )]
    #[non_exhaustive]
    PasswordCharacter {
        /// Which character it is, counted from 1.
        at: usize,
    },
    /// No password.
    #[error("the CTC password is empty: check that the variable or secret that holds it is set")]
    EmptyPassword,
    /// No token.
    #[error("the authToken is empty")]
    EmptyToken,
    /// A character in the token that no cookie value may have.
    #[error("character {at} of the authToken is not allowed in a cookie value")]
    #[non_exhaustive]
    TokenCharacter {
        /// Which character it is, counted from 1.
        at: usize,
    },
}

crate::__readable_debug!(SecretError);

fn without_quotes(value: &[u8]) -> &[u8] {
    let inside = value.strip_prefix(b"\"");
    inside
        .and_then(|inside| inside.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// A header value over memory that is wiped when its last clone is dropped.
pub(crate) fn secret_header(bytes: Zeroizing<Vec<u8>>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The position, counted from 1, of the first character that is invisible and probably not
/// intended: a control character, or a zero-width mark from copied text.
///
/// White space is allowed, because it may be part of a password.
fn unseen_character(text: &str) -> Option<usize> {
    let is_unseen = |character: char| {
        character.is_control()
            || matches!(
                character,
                '\u{AD}'                     // soft hyphen
                | '\u{34F}'                  // combining grapheme joiner
                | '\u{61C}'                  // Arabic letter mark
                | '\u{115F}' | '\u{1160}'    // Hangul fillers
                | '\u{3164}' | '\u{FFA0}'
                | '\u{17B4}' | '\u{17B5}'    // Khmer inherent vowels
                | '\u{180B}'..='\u{180F}'    // Mongolian selectors
                | '\u{200B}'..='\u{200F}'    // zero widths, direction marks
                | '\u{2028}'..='\u{202E}'    // line and paragraph ends, direction marks
                | '\u{2060}'..='\u{206F}'    // word joiner, invisible operators, direction marks
                | '\u{FEFF}'                 // byte order mark
                | '\u{FFF0}'..='\u{FFFB}'    // annotation marks
                | '\u{1D173}'..='\u{1D17A}'  // musical marks
                | '\u{E0000}'..='\u{E0FFF}'  // tags, selectors
            )
    };
    text.chars().position(is_unseen).map(|index| index + 1)
}

fn visible_ascii(
    bytes: &[u8],
    empty: SecretError,
    wrong: impl FnOnce(usize) -> SecretError,
) -> Result<(), SecretError> {
    if bytes.is_empty() {
        return Err(empty);
    }
    // All before it are ASCII, so that bytes are characters.
    match bytes.iter().position(|byte| !byte.is_ascii_graphic()) {
        Some(at) => Err(wrong(at + 1)),
        None => Ok(()),
    }
}
