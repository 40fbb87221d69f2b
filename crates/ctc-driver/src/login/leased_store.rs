//! The store as a login and a logout use it: under its lease.

use std::time::Duration;

use ctc_core::__sealing::SealSeed;
use ctc_core::{OpenRecord, RecordKey, SessionRecord};

use super::io::{BoxedLease, LoginIo};
use crate::ports::{LeaseTerms, StoreError, StoreSecret};
use crate::sealing::{self, KeyWork, Keys, NoRandom, Salt, SealKey, random};
use crate::session::SharedSession;

/// How long a store operation may take; a longer one counts as a store that is not available.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a response may be held back, in total, while the store is told of the token that it
/// brought.
pub(crate) const SAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest that a login waits for another process's, which may take as long as ours: all of its
/// lease but the time to ask the store and, at least, half of it.
pub(crate) fn full_wait(session: &SharedSession) -> Duration {
    let lease = session.settings().lease;
    lease.saturating_sub(2 * STORE_TIMEOUT).max(lease / 2)
}

/// Takes the lease of this session's record.
pub(crate) async fn lease(
    session: &SharedSession,
    io: &dyn LoginIo,
    wait: Duration,
) -> Result<LeasedStore, StoreError> {
    let terms = LeaseTerms {
        wait,
        ttl: session.settings().lease,
    };
    let key = session.record_key();
    if key.account.is_empty() {
        // The credentials, and so the record's place, are not known yet.
        return Ok(LeasedStore::none());
    }
    let lease = io.lease(&key, terms).await?;
    Ok(LeasedStore {
        lease: lease.map(|lease| (lease, key)),
        secret: io.store_secret(),
        ..LeasedStore::none()
    })
}

/// The store's lease, if there is a store and it works. Its failures are noted and go no further.
pub(crate) struct LeasedStore {
    lease: Option<(BoxedLease, RecordKey)>,
    secret: Option<StoreSecret>,
    /// The record that the store has.
    kept: Option<SessionRecord>,
    /// The credentials that it was opened for.
    opened_for: Option<SealSeed>,
    has_loaded: bool,
    has_saved: bool,
    has_failed: bool,
}

/// What became of a save.
#[derive(PartialEq, Eq)]
pub(crate) enum SaveOutcome {
    /// It is done, or there is no store that could do it.
    Done,
    /// The lease is over: another holder may have written since.
    LeaseLost,
}

impl LeasedStore {
    pub(crate) const fn none() -> Self {
        Self {
            lease: None,
            secret: None,
            kept: None,
            opened_for: None,
            has_loaded: false,
            has_saved: false,
            has_failed: false,
        }
    }

    /// Loads the record. Returns what it says to this session's credentials: its history alone
    /// without their key.
    pub(crate) async fn load(&mut self, session: &SharedSession) -> Option<OpenRecord> {
        match self.lease.as_mut()?.0.load().await {
            Ok(kept) => {
                self.kept = kept;
                self.has_loaded = true;
            }
            Err(error) => {
                self.has_failed = true;
                session.store_failed("load", &error);
                return None;
            }
        }
        let seed = session.with(|session, _| session.seal_seed());
        self.opened_for = Some(seed.clone());
        self.opened(session, seed)
    }

    /// What the record that was loaded says to the credentials of `seed`.
    pub(crate) fn opened(&self, session: &SharedSession, seed: SealSeed) -> Option<OpenRecord> {
        let kept = self.kept.as_ref()?;
        let key = self.key(session, &seed, Some(kept.salt()));
        Some(sealing::open(kept, seed, key.as_ref()))
    }

    /// Whether the record that was loaded has tokens, and none with the mark of this session's key.
    pub(crate) fn has_tokens_of_others(&self, session: &SharedSession) -> bool {
        let (Some(kept), Some(seed)) = (&self.kept, &self.opened_for) else {
            return false;
        };
        let key = self.key(session, seed, Some(kept.salt()));
        kept.has_token()
            && key.is_some_and(|key| kept.tokens().iter().all(|token| token.by != key.by()))
    }

    /// What is to be done for the key to the record that was loaded, if it is missing. Who finds no
    /// record leaves one for others to take the salt from: they then all derive at the same time.
    pub(crate) async fn missing_key(&mut self, session: &SharedSession) -> Option<KeyWork> {
        if self.secret.is_some() || !self.has_loaded {
            return None;
        }
        let seed = self.opened_for.clone()?;
        let salt = self.kept.as_ref().map(SessionRecord::salt);
        if session.keys().find(&seed, None, salt).is_some() {
            return None;
        }
        if salt.is_none() {
            // Nothing else: this session's own login, which is not made yet, would come back as
            // another's.
            let blank = session.record().without_history();
            self.save_as(session, &blank).await;
        }
        let salt = self.kept.as_ref().map(SessionRecord::salt);
        Some(KeyWork::new(seed, salt.or_else(|| random().ok())?))
    }

    /// The session's key, made here and now if the store has a secret.
    fn key(&self, session: &SharedSession, seed: &SealSeed, salt: Option<Salt>) -> Option<SealKey> {
        let secret = self.secret.as_ref();
        session.keys().find(seed, secret, salt).or_else(|| {
            let secret = secret?;
            let salt = salt.or_else(|| random().ok())?;
            let key = KeyWork::new(seed.clone(), salt).run_with(secret.as_bytes());
            session
                .keys()
                .put(seed.clone(), Some(secret.clone()), key.clone());
            Some(key)
        })
    }

    /// Whether the record has nothing better of the token's credentials than `ours`.
    fn may_take(&self, session: &SharedSession, ours: &OpenRecord) -> bool {
        let Some(kept) = &self.kept else { return true };
        let own = ours.token_to_seal();
        let seed = own.map_or(ours.seed(), |(_, _, by)| by);
        if own.is_some() && self.key(session, seed, Some(kept.salt())).is_none() {
            return false; // till the next login, which is not on the path of a call
        }
        let opened = self.opened(session, seed.clone());
        let theirs = opened.as_ref().and_then(OpenRecord::token_to_seal);
        theirs.is_none_or(|(_, theirs, _)| {
            own.is_some_and(|(_, ours, _)| theirs.generation <= ours.generation)
        })
    }

    /// The session as it is now, as the store is to keep it.
    fn sealed(
        &mut self,
        session: &SharedSession,
        ours: &OpenRecord,
    ) -> Result<SessionRecord, NoRandom> {
        let kept = self.kept.as_ref();
        let salt = kept.map(SessionRecord::salt);
        let was_opened = kept.is_none() || self.opened_for.as_ref() == Some(ours.seed());
        let own = self.key(session, ours.seed(), salt).filter(|_| was_opened);
        let salt = salt.or(own.as_ref().map(SealKey::salt));
        let salt = salt.map_or_else(random, Ok)?;
        let by = ours.token_to_seal().map(|(_, _, by)| by);
        let token = by.and_then(|by| self.key(session, by, Some(salt)));
        let keys = Keys { salt, own, token };
        let record = sealing::seal(ours, kept, &keys)?;
        // Without its key the session goes on in memory.
        self.has_failed |= keys.own.is_none() && was_opened;
        Ok(record)
    }

    /// Saves the session as it is now.
    pub(crate) async fn save(&mut self, session: &SharedSession) -> SaveOutcome {
        self.save_as(session, &session.record()).await
    }

    async fn save_as(&mut self, session: &SharedSession, ours: &OpenRecord) -> SaveOutcome {
        // The account may have changed since: its record has a place and a lease of its own. And a
        // record that could not be read may hold what others need.
        let is_ours = |(_, key): &(BoxedLease, RecordKey)| *key == ours.key();
        if !self.has_loaded || !self.lease.as_ref().is_some_and(is_ours) {
            return SaveOutcome::Done;
        }
        let record = match self.sealed(session, ours) {
            Ok(record) => record,
            Err(error) => {
                self.has_failed = true;
                session.store_failed("seal", &StoreError::Unavailable(error.into()));
                return SaveOutcome::Done;
            }
        };
        let has_saved = std::mem::take(&mut self.has_saved);
        let outcome = self.write(session, record).await;
        if self.has_saved {
            session.store_view().set_saved(ours.auth_token());
        }
        self.has_saved |= has_saved;
        outcome
    }

    async fn write(&mut self, session: &SharedSession, record: SessionRecord) -> SaveOutcome {
        let Some((lease, _)) = &mut self.lease else {
            return SaveOutcome::Done;
        };
        let Err(error) = lease.save(&record).await else {
            self.kept = Some(record);
            self.has_saved = true;
            return SaveOutcome::Done;
        };
        self.has_failed = true;
        session.store_failed("save", &error);
        if matches!(error, StoreError::LeaseLost) {
            SaveOutcome::LeaseLost
        } else {
            SaveOutcome::Done
        }
    }

    /// Takes a token of the credentials of `seed` out of the record, if `is_over` says that it is
    /// over. The tokens of others stay.
    pub(crate) async fn remove(
        &mut self,
        session: &SharedSession,
        seed: SealSeed,
        is_over: impl FnOnce(&OpenRecord) -> bool,
    ) {
        let Some(kept) = &self.kept else { return };
        let key = self.key(session, &seed, Some(kept.salt()));
        if let Some(key) = key.filter(|key| is_over(&sealing::open(kept, seed, Some(key)))) {
            let record = kept.clone().without_token_by(key.by());
            self.write(session, record).await;
        }
    }

    pub(crate) async fn release(self, session: &SharedSession) {
        let Some((lease, _)) = self.lease else { return };
        match lease.release().await {
            // A store that fails in one thing of many is one that is down: it is not warned of each
            // time.
            Ok(()) if self.has_saved && !self.has_failed => session.store_view().mark_up(),
            Ok(()) => {}
            Err(error) => session.store_failed("release", &error),
        }
    }
}

/// Takes into the store what it does not have yet: a token that the server rotated, or what a login
/// brought whose save was cut off. Not if the store has a newer token or is in use: whoever holds
/// its lease is about to log in or has just done so. `false` in the latter case: try again later.
pub(crate) async fn save_pending(session: &SharedSession, io: &dyn LoginIo) -> bool {
    match lease(session, io, Duration::ZERO).await {
        Ok(mut store) => {
            if let Some(kept) = store.load(session).await {
                // Its history is not to be lost with it.
                let wall = session.wall();
                session.with(|session, now| session.merge_history(&kept, now, wall));
            }
            // Without a token: a login failed, or the session was closed. That takes no token out
            // of the store.
            if store.may_take(session, &session.record()) {
                store.save(session).await;
            }
            store.release(session).await;
            true
        }
        Err(StoreError::Busy) => false,
        Err(error) => {
            session.store_failed("lease", &error);
            true
        }
    }
}
