//! The pass: token, key, generation and origin as one immutable value.

use std::fmt;
use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::secret::{AppKey, AuthToken, secret_header};
use crate::settings::TokenAttachment;
use crate::wire::{APP_KEY_HEADER, TOKEN_COOKIE};
use crate::{Endpoint, Target};

const APP_KEY: HeaderName = HeaderName::from_static(APP_KEY_HEADER);
/// What the vendor's page sends; a caller's own `Accept` is kept.
const ACCEPT_JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");
/// `http` holds at most 2^15 names and panics past them; no request comes near this.
const MOST_HEADERS: usize = 16_384;

/// The number of a token: each token that a session gets has the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub(crate) u64);

impl Generation {
    /// No session counts this far; a record that claims to leaves room for further tokens.
    pub(crate) const MOST_FROM_A_RECORD: Self = Self(u64::MAX / 2);

    /// Returns the number; 0 means "no token yet".
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Stamps requests to one origin with the token of one generation. Cloning increments one reference
/// count.
#[derive(Clone)]
pub struct Pass(Arc<Stamp>);

struct Stamp {
    generation: Generation,
    endpoint: Endpoint,
    /// `None` if calls do not carry it.
    app_key: Option<HeaderValue>,
    token: AuthToken,
    token_header: HeaderValue,
    attachment: TokenAttachment,
}

impl Pass {
    pub(crate) fn new(
        generation: Generation,
        endpoint: Endpoint,
        key: Option<&AppKey>,
        token: AuthToken,
        attachment: TokenAttachment,
    ) -> Option<Self> {
        let header = match attachment {
            TokenAttachment::Cookie => [b"authToken=", token.as_bytes()].concat(),
            TokenAttachment::Bearer => [b"Bearer ", token.without_quotes()].concat(),
        };
        let token_header = secret_header(Zeroizing::new(header))?;
        let app_key = key.map(AppKey::to_header_value);
        Some(Self(Arc::new(Stamp {
            generation,
            endpoint,
            app_key,
            token,
            token_header,
            attachment,
        })))
    }

    /// Adds key, token and (unless the caller set one) `Accept` to a request for `target`.
    ///
    /// An `authToken` or key that the caller set is replaced; the caller's other cookies are kept,
    /// in one `Cookie` header. A `Host` that names another origin is removed: it would select
    /// another virtual host on the same connection. Calling it again replaces the values of the
    /// last call.
    ///
    /// # Errors
    /// Returns [`StampError`] if the request is for another origin, has too many headers, or has
    /// cookies that cannot be joined; `headers` is then unchanged.
    #[inline]
    pub fn stamp(&self, target: Target<'_>, headers: &mut HeaderMap) -> Result<(), StampError> {
        self.bound_for(target)?.stamp(headers)
    }

    /// The first half of [`stamp`](Self::stamp), for requests whose URL and headers cannot be
    /// borrowed together.
    ///
    /// # Errors
    /// Returns [`StampError::ForeignOrigin`] if `target` is on another origin.
    #[inline]
    pub fn bound_for(&self, target: Target<'_>) -> Result<BoundPass<'_>, StampError> {
        if self.0.endpoint.is_origin_of(target) {
            Ok(BoundPass(&self.0))
        } else {
            Err(self.0.foreign_origin())
        }
    }

    /// Returns the same pass in memory of its own. Stamping clones two header values and so counts
    /// references; threads with passes of their own do not contend for these counts.
    #[must_use]
    pub fn deep_clone(&self) -> Self {
        let Stamp {
            generation,
            endpoint,
            app_key,
            token,
            token_header,
            attachment,
        } = &*self.0;
        Self(Arc::new(Stamp {
            generation: *generation,
            endpoint: endpoint.clone(),
            app_key: app_key.as_ref().map(copy_of),
            token: token.clone(),
            token_header: copy_of(token_header),
            attachment: *attachment,
        }))
    }

    /// Returns the generation of the token in this pass.
    #[inline]
    pub fn generation(&self) -> Generation {
        self.0.generation
    }

    /// Returns the origin that this pass is bound to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    pub(crate) fn token(&self) -> &AuthToken {
        &self.0.token
    }

    /// How calls carry the token, and the header's value.
    pub(super) fn header(&self) -> (TokenAttachment, &HeaderValue) {
        (self.0.attachment, &self.0.token_header)
    }
}

/// A [`Pass`] for a request whose origin was checked.
#[derive(Clone, Copy)]
pub struct BoundPass<'a>(&'a Stamp);

impl BoundPass<'_> {
    /// The second half of [`Pass::stamp`].
    ///
    /// # Errors
    /// Returns [`StampError`] if the request is for another origin, has too many headers, or has
    /// cookies that cannot be joined; `headers` is then unchanged.
    #[inline]
    pub fn stamp(self, headers: &mut HeaderMap) -> Result<(), StampError> {
        let Self(stamp) = self;
        if headers.keys_len() > MOST_HEADERS {
            return Err(StampError::TooManyHeaders);
        }
        // Walking over the few names costs less than looking them up.
        let mut has_accept = false;
        let is_ordinary = headers.keys().all(|name| {
            has_accept |= name == ACCEPT;
            name != COOKIE && name != HOST
        });
        if is_ordinary {
            headers.insert(stamp.token_name(), stamp.token_header.clone());
        } else {
            stamp.attach(headers)?;
            has_accept = headers.contains_key(ACCEPT);
        }
        if let Some(key) = &stamp.app_key {
            headers.insert(APP_KEY, key.clone());
        }
        if !has_accept {
            headers.insert(ACCEPT, ACCEPT_JSON);
        }
        Ok(())
    }
}

impl Stamp {
    #[inline]
    fn token_name(&self) -> HeaderName {
        match self.attachment {
            TokenAttachment::Cookie => COOKIE,
            TokenAttachment::Bearer => AUTHORIZATION,
        }
    }

    /// Attaches the token to a request that has cookies already, or names a host.
    #[inline(never)]
    fn attach(&self, headers: &mut HeaderMap) -> Result<(), StampError> {
        let others = other_cookies(headers);
        match self.attachment {
            TokenAttachment::Cookie if others.is_empty() => {
                headers.insert(COOKIE, self.token_header.clone());
            }
            TokenAttachment::Cookie => {
                let cookies = [&others, b"; ".as_slice(), self.token_header.as_bytes()].concat();
                headers.insert(
                    COOKIE,
                    secret_header(Zeroizing::new(cookies)).ok_or(StampError::Cookie)?,
                );
            }
            TokenAttachment::Bearer => {
                if others.is_empty() {
                    headers.remove(COOKIE);
                } else {
                    headers.insert(COOKIE, secret_header(others).ok_or(StampError::Cookie)?);
                }
                headers.insert(AUTHORIZATION, self.token_header.clone());
            }
        }
        if headers.contains_key(HOST) && !self.endpoint.is_named_by(headers) {
            headers.remove(HOST);
        }
        Ok(())
    }

    #[cold]
    fn foreign_origin(&self) -> StampError {
        StampError::ForeignOrigin {
            endpoint: self.endpoint.origin().to_owned(),
        }
    }
}

impl fmt::Debug for BoundPass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stamp {
            generation,
            endpoint,
            ..
        } = self.0;
        write!(
            f,
            "BoundPass {{ generation: {generation}, endpoint: {endpoint}, token: [redacted] }}"
        )
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stamp {
            generation,
            endpoint,
            ..
        } = &*self.0;
        write!(
            f,
            "Pass {{ generation: {generation}, endpoint: {endpoint}, token: [redacted] }}"
        )
    }
}

/// A secret header value in memory of its own.
fn copy_of(value: &HeaderValue) -> HeaderValue {
    // The bytes are from a header value, so they are valid.
    secret_header(Zeroizing::new(value.as_bytes().to_vec())).unwrap_or_else(|| value.clone())
}

/// All of the caller's cookies except `authToken`, joined as one header value.
fn other_cookies(headers: &HeaderMap) -> Zeroizing<Vec<u8>> {
    let pairs = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
    let is_other = |pair: &&[u8]| {
        let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        !pair.is_empty() && name.trim_ascii() != TOKEN_COOKIE.as_bytes()
    };
    let others: Vec<_> = pairs.map(<[u8]>::trim_ascii).filter(is_other).collect();
    // Joined in one allocation: a growing buffer would leave copies behind.
    Zeroizing::new(others.join(b"; ".as_slice()))
}

/// Why a request was not stamped. The request is unchanged.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// The request is for another origin than the session's.
    #[error(
        "this request is not for {endpoint}: the key and token never leave that origin, so it was \
         not sent"
    )]
    ForeignOrigin {
        /// The origin that the session is bound to.
        endpoint: String,
    },
    /// More headers than any request should have.
    #[error("this request has more than 16384 headers: remove some")]
    TooManyHeaders,
    /// The caller's cookies cannot be joined.
    #[error("the cookies of this request cannot be joined into one header: remove them")]
    Cookie,
}

crate::__readable_debug!(StampError);
