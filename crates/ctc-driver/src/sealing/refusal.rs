//! Refusals on record: of the passwords tried lately, each of which recognises its own alone.

use ctc_core::__sealing::Refusal;
use ctc_core::RecordKey;

use super::key::{SealKey, first_16, length, mac};

/// How many refusals a record holds.
pub(super) const MOST_REFUSALS: usize = 8;

impl SealKey {
    /// The refusal of a login with this key's password, with its tag.
    pub(crate) fn refusal(&self, place: &RecordKey, refusal: Refusal) -> Refusal {
        let Refusal {
            status,
            reason,
            generation,
            ..
        } = refusal;
        let reason = [reason];
        let tag = mac(
            &self.refusal,
            &[
                b"ctc refusal 2",
                &length(&place.origin),
                place.origin.as_bytes(),
                &length(&place.account),
                place.account.as_bytes(),
                &status.to_be_bytes(),
                &generation.to_be_bytes(),
                // Nothing for a reason that was not stated: all before it has a fixed length.
                if reason == [0] { &[] } else { &reason },
            ],
        );
        Refusal {
            tag: first_16(&tag),
            ..refusal
        }
    }

    /// The newest refusal of this key's password, if it is not older than its token.
    pub(crate) fn refused(
        &self,
        place: &RecordKey,
        refusals: &[Refusal],
        own_token: Option<u64>,
    ) -> Option<Refusal> {
        let in_force = |refusal: &&Refusal| own_token.is_none_or(|own| refusal.generation >= own);
        let mut looked_at = refusals.iter().take(MOST_REFUSALS);
        looked_at
            .find(|refusal| in_force(refusal) && self.has_made(place, refusal))
            .copied()
    }

    /// Takes out this key's refusals: its password was accepted, or is to be tried again.
    pub(crate) fn clear_refusals(&self, place: &RecordKey, refusals: &mut Vec<Refusal>) {
        refusals.truncate(MOST_REFUSALS);
        refusals.retain(|refusal| !self.has_made(place, refusal));
    }

    /// Takes as long for any tag, so that no byte of the right one can be found out.
    fn has_made(&self, place: &RecordKey, refusal: &Refusal) -> bool {
        let due = self.refusal(place, *refusal);
        let pairs = due.tag.iter().zip(&refusal.tag);
        pairs.fold(0, |differ, (due, found)| differ | (due ^ found)) == 0
    }
}

/// Puts a refusal first. The oldest goes when they are too many.
pub(crate) fn put_refusal(refusals: &mut Vec<Refusal>, refusal: Refusal) {
    refusals.retain(|kept| *kept != refusal);
    refusals.insert(0, refusal);
    refusals.truncate(MOST_REFUSALS);
}
