//! Sealed tokens: one for each password that has been accepted.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use ctc_core::__sealing::{SealedToken, TokenFacts};
use ctc_core::RecordKey;
use zeroize::Zeroizing;

use super::key::{Mark, SealKey, length};

/// How many passwords have a token in one record.
const MOST_TOKENS: usize = 4;

/// What the cipher adds to a token.
pub(super) const OVERHEAD: usize = 16;

impl SealKey {
    /// Seals a token for its place: what is sealed for one opens in no other. Each nonce is for one
    /// use. `None` for a token of more than 256 GiB.
    pub(crate) fn seal(
        &self,
        place: &RecordKey,
        facts: TokenFacts,
        nonce: [u8; 24],
        token: &[u8],
    ) -> Option<SealedToken> {
        // Room for all of it from the start: a buffer that grows would leave the token behind.
        let mut text = Zeroizing::new(Vec::with_capacity(token.len() + OVERHEAD));
        text.extend_from_slice(token);
        let bound = bound(place, self.by, facts);
        let cipher = XChaCha20Poly1305::new((&*self.seal).into());
        cipher
            .encrypt_in_place(&nonce.into(), &bound, &mut *text)
            .ok()?;
        Some(SealedToken {
            by: self.by,
            facts,
            nonce,
            sealed: std::mem::take(&mut *text),
        })
    }

    /// Opens a token of this key's. `None` for another password's, and for one that was changed, or
    /// moved here from elsewhere.
    ///
    /// The mark is compared first. The cipher does not commit to its key: a writer of a store could
    /// otherwise plant one box that opens under many keys, and learn from a client's conduct which
    /// of many passwords it has.
    pub(crate) fn open(
        &self,
        place: &RecordKey,
        token: &SealedToken,
    ) -> Option<Zeroizing<Vec<u8>>> {
        if token.by != self.by {
            return None;
        }
        let mut text = Zeroizing::new(token.sealed.clone());
        let bound = bound(place, token.by, token.facts);
        let cipher = XChaCha20Poly1305::new((&*self.seal).into());
        let opened = cipher.decrypt_in_place(&token.nonce.into(), &bound, &mut *text);
        opened.is_ok().then_some(text)
    }
}

/// Puts a token in place of its writer's last one, newest first. The others stay as they are, but
/// for the oldest when they are too many.
pub(crate) fn put_token(tokens: &mut Vec<SealedToken>, token: SealedToken) {
    tokens.retain(|kept| kept.by != token.by);
    tokens.insert(0, token);
    tokens.truncate(MOST_TOKENS);
}

/// What a token is bound to. Not bound is what writers with different passwords share: when the
/// record was saved, the login history, a backoff.
fn bound(place: &RecordKey, by: Mark, facts: TokenFacts) -> Vec<u8> {
    let mut bound = b"ctc token 2".to_vec();
    for text in [&place.origin, &place.account] {
        bound.extend(length(text));
        bound.extend(text.as_bytes());
    }
    bound.extend(by);
    bound.extend(facts.generation.to_be_bytes());
    for time in [facts.obtained_at, facts.expires_at] {
        bound.push(u8::from(time.is_some()));
        bound.extend(time.iter().flat_map(|time| time.to_be_bytes()));
    }
    bound
}
