//! A copy of a token outside of its session, for other tools.

use std::fmt;

use http::{HeaderName, HeaderValue, header};

use crate::secret::AuthToken;
use crate::settings::TokenAttachment;

use super::pass::{Generation, Pass};

/// A copy of a session's token, for a tool that cannot make its calls through the session, such as
/// `curl` or a vendor's program.
///
/// The holder of the copy has the account until the token becomes invalid, and the session no
/// longer protects it:
///
/// - It is **not bound to the endpoint**: the tool may send it anywhere, by a redirect or a typing
///   error.
/// - It is **not renewed**. Ask the session again only after a 401: the
///   [`generation`](Self::generation) shows whether there is another token. The session does not
///   see the tool's responses.
/// - It **ends for both**: a logout by the tool or by the session ends it for the other.
/// - This value is wiped from memory when it is dropped and prints as `[redacted]`; you have to
///   protect what [`expose`](Self::expose) and [`header`](Self::header) return. Other programs can
///   read a command line and an environment, but not a pipe or a file of your own (mode 0600).
pub struct UnprotectedToken {
    generation: Generation,
    token: AuthToken,
    attachment: TokenAttachment,
    header: HeaderValue,
}

impl UnprotectedToken {
    /// Returns the bare token.
    pub fn expose(&self) -> &str {
        let bytes = match self.attachment {
            TokenAttachment::Cookie => self.token.as_bytes(),
            TokenAttachment::Bearer => self.token.without_quotes(),
        };
        // Visible ASCII, because it is a header value.
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Returns the header that carries it, as the session's own calls do: `Cookie` or
    /// `Authorization`. The value is marked as sensitive. The application key is not part of it.
    pub fn header(&self) -> (HeaderName, HeaderValue) {
        let name = match self.attachment {
            TokenAttachment::Cookie => header::COOKIE,
            TokenAttachment::Bearer => header::AUTHORIZATION,
        };
        (name, self.header.clone())
    }

    /// Returns the generation of the token.
    pub fn generation(&self) -> Generation {
        self.generation
    }
}

impl Pass {
    /// Returns a copy of the token without the session's protection: see [`UnprotectedToken`].
    pub fn unprotected_token(&self) -> UnprotectedToken {
        let (attachment, header) = self.header();
        UnprotectedToken {
            generation: self.generation(),
            token: self.token().clone(),
            attachment,
            header: header.clone(),
        }
    }
}

impl fmt::Debug for UnprotectedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self.generation;
        write!(
            f,
            "UnprotectedToken {{ generation: {generation}, token: [redacted] }}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AppKey, Endpoint};

    #[test]
    fn an_unprotected_token_is_what_calls_carry_and_prints_nothing() {
        for (attachment, bare, value) in [
            (
                TokenAttachment::Cookie,
                "\"s3cret\"",
                "authToken=\"s3cret\"",
            ),
            (TokenAttachment::Bearer, "s3cret", "Bearer s3cret"),
        ] {
            let token = AuthToken::new("\"s3cret\"").unwrap();
            let key = AppKey::new("key").unwrap();
            let pass = Pass::new(Generation(3), Endpoint::us(), Some(&key), token, attachment);
            let token = pass.unwrap().unprotected_token();
            assert_eq!((token.expose(), token.generation()), (bare, Generation(3)));
            let (name, header) = token.header();
            assert!(header.is_sensitive() && header == value, "{name}");
            assert_eq!(
                name == header::COOKIE,
                attachment == TokenAttachment::Cookie
            );
            assert!(!format!("{token:?}{token:#?}").contains("s3cret"));
        }
    }
}
