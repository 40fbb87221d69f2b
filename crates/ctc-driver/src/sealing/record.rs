//! A whole record: what it says to the holder of a key, and what a session makes of it.

use ctc_core::__sealing::{Refusal, SealSeed, SealedParts, SealedToken};
use ctc_core::{AuthToken, OpenRecord, RecordKey, SessionRecord};

use super::key::{Salt, SealKey};
use super::random::{NoRandom, random};
use super::refusal::put_refusal;
use super::token::put_token;

/// What `record` says to the credentials of `seed`, whose key for its salt is `key`: the history
/// alone if there is no key.
pub(crate) fn open(record: &SessionRecord, seed: SealSeed, key: Option<&SealKey>) -> OpenRecord {
    let Some(key) = key else {
        return record.opened(seed, None, None);
    };
    let place = &record.key();
    let token = own_token(key, place, record.tokens());
    let number = token.as_ref().map(|(sealed, _)| sealed.facts.generation);
    let refusal = key.refused(place, record.refusals(), number);
    record.opened(seed, token, refusal)
}

/// The keys that a session seals with, if they are to be had, all for one salt.
pub(crate) struct Keys {
    pub(crate) salt: Salt,
    /// Of the session's present credentials. `None` also if the record that is replaced was not
    /// opened with it: nothing of what that holds of them may be lost.
    pub(crate) own: Option<SealKey>,
    /// Of the credentials that the token belongs to.
    pub(crate) token: Option<SealKey>,
}

/// The record of a session, in place of `kept`, whose entries of other passwords are carried over
/// byte for byte. What there is no key for is left as it is.
///
/// # Errors
/// Returns [`NoRandom`] if there is no nonce to seal with.
pub(crate) fn seal(
    ours: &OpenRecord,
    kept: Option<&SessionRecord>,
    keys: &Keys,
) -> Result<SessionRecord, NoRandom> {
    let place = &ours.key();
    let mut tokens = kept.map_or(Vec::new(), |kept| kept.tokens().to_vec());
    let mut refusals = kept.map_or(Vec::new(), |kept| kept.refusals().to_vec());
    match (ours.token_to_seal(), &keys.token, &keys.own) {
        (Some((text, facts, _)), Some(key), _) => {
            // One that is there already stays as it was sealed: by its times it would seem to be
            // another.
            let is_there = own_token(key, place, &tokens).is_some_and(|(sealed, token)| {
                sealed.facts.generation >= facts.generation && ours.has_auth_token(&token)
            });
            if !is_there && let Some(sealed) = key.seal(place, facts, random()?, text) {
                put_token(&mut tokens, sealed);
            }
        }
        // The one on record, if there is one, has been refused.
        (None, _, Some(own)) => tokens.retain(|token| token.by != own.by),
        _ => {}
    }
    let with = |tokens, refusals| {
        let parts = SealedParts {
            salt: keys.salt,
            tokens,
            refusals,
        };
        SessionRecord::sealed(ours, kept, parts)
    };
    // A younger token stays: the session's may be its last password's, which others still use. A
    // store would keep nothing of a record without it, and so lose what it says besides.
    let offered = with(tokens.clone(), Vec::new());
    if let Some(kept) = kept.filter(|kept| kept.has_younger_token_than(&offered)) {
        tokens = kept.tokens().to_vec();
    }
    if let Some(own) = &keys.own {
        take_over_refusal(ours, own, place, &tokens, &mut refusals);
    }
    Ok(with(tokens, refusals))
}

/// The refusals of the session's credentials as the session has them: one, or none.
fn take_over_refusal(
    ours: &OpenRecord,
    own: &SealKey,
    place: &RecordKey,
    tokens: &[SealedToken],
    refusals: &mut Vec<Refusal>,
) {
    let Some(mut refusal) = ours.refusal_to_seal() else {
        return own.clear_refusals(place, refusals);
    };
    let token = tokens.iter().find(|token| token.by == own.by);
    let number = token.map(|token| token.facts.generation);
    let on_record = own.refused(place, refusals, number);
    let says_so = |kept: Refusal| (kept.status, kept.reason) == (refusal.status, refusal.reason);
    if !on_record.is_some_and(says_so) {
        refusal.generation = refusal.generation.max(number.unwrap_or_default());
        put_refusal(refusals, own.refusal(place, refusal));
    }
}

/// The token that this key opens.
fn own_token<'a>(
    key: &SealKey,
    place: &RecordKey,
    tokens: &'a [SealedToken],
) -> Option<(&'a SealedToken, AuthToken)> {
    tokens.iter().find_map(|sealed| {
        let mut text = key.open(place, sealed)?;
        let text = String::from_utf8(std::mem::take(&mut *text)).ok()?;
        Some((sealed, AuthToken::new(text).ok()?))
    })
}
