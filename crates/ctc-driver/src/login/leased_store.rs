//! The store as a login and a logout use it: under its lease.

use std::time::Duration;

use ctc_core::__sealing::SealSeed;
use ctc_core::{OpenRecord, RecordKey, SessionRecord};

use super::io::{Io, NoResponseIn, SendLogin};
use crate::ports::{AsyncStoreLease, LeaseTerms, StoreError};
use crate::sealing::{self, Keys, NoRandom, Salt, SealKey, random};
use crate::session::SharedSession;
use crate::session::store_view::SaveGuard;

/// How long a store operation may take; a longer one counts as a store that is not available.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a key is derived for a record whose salt changes each time. After that the login goes
/// on with what is readable without a key.
const MOST_ROUNDS: u32 = 3;

/// How long a response may be held back, in total, while the store is told of the token that it
/// brought.
const SAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest that a login waits for another process's, which may take as long as ours: all of its
/// lease but the time to ask the store and, at least, half of it.
pub(crate) fn full_wait(session: &SharedSession) -> Duration {
    let lease = session.settings().lease;
    lease.saturating_sub(2 * STORE_TIMEOUT).max(lease / 2)
}

/// Takes the lease of this session's record. `None` if another holder has it all the time.
pub(crate) async fn lease(io: &Io<dyn SendLogin>, wait: Duration) -> Option<LeasedStore<'_>> {
    let none = LeasedStore::none(io);
    let key = io.session.record_key();
    // Before the credentials are known, so is not the record's place.
    let Some(store) = io.store.as_ref().filter(|_| !key.account.is_empty()) else {
        return Some(none);
    };
    let ttl = io.session.settings().lease;
    // The store knows best when to stop waiting; this limit is for one that does not return.
    let limit = wait.saturating_add(STORE_TIMEOUT);
    let leased = store.lease(&key, LeaseTerms { wait, ttl });
    match io.within(limit, leased).await {
        None | Some(Err(StoreError::Busy)) => None,
        Some(Err(error)) => {
            io.session.store_failed("lease", &error);
            Some(none)
        }
        Some(Ok(lease)) => Some(LeasedStore {
            lease: Some((lease, key)),
            ..none
        }),
    }
}

/// The store's lease, if there is a store and it works. Its failures are noted and go no further.
pub(crate) struct LeasedStore<'a> {
    io: &'a Io<dyn SendLogin>,
    lease: Option<(Box<dyn AsyncStoreLease>, RecordKey)>,
    /// The record that the store has.
    kept: Option<SessionRecord>,
    /// Once it was loaded: the credentials that it was opened for.
    opened_for: Option<SealSeed>,
    has_saved: bool,
    has_failed: bool,
}

impl<'a> LeasedStore<'a> {
    pub(crate) const fn none(io: &'a Io<dyn SendLogin>) -> Self {
        Self {
            io,
            lease: None,
            kept: None,
            opened_for: None,
            has_saved: false,
            has_failed: false,
        }
    }

    /// Loads the record. Returns what it says to this session's credentials: its history alone
    /// without their key.
    pub(crate) async fn load(&mut self) -> Option<OpenRecord> {
        let lease = &mut self.lease.as_mut()?.0;
        match in_time(self.io, lease.load()).await {
            Ok(kept) => self.kept = kept,
            Err(error) => {
                self.failed("load", &error);
                return None;
            }
        }
        let seed = self.session().with(|session, _| session.seal_seed());
        self.opened_for = Some(seed.clone());
        self.opened(seed)
    }

    /// Loads the record as [`load`](Self::load) does. If its key is missing, the lease is released
    /// while the key is derived, because that is slow, and taken again. `None` in place of the
    /// store if another holder has it by then. Without a record, a key is derived only if the
    /// session `begins` one.
    pub(crate) async fn load_with_key(
        mut self,
        wait: Duration,
        begins: bool,
    ) -> (Option<Self>, Option<OpenRecord>) {
        let io = self.io;
        let mut opened = self.load().await;
        for _ in 0..MOST_ROUNDS {
            if opened.is_none() && !begins {
                break;
            }
            let Some((seed, salt)) = self.missing_key().await else {
                break;
            };
            self.release().await;
            let is_derived = io.derive(seed, salt).await;
            match lease(io, wait).await {
                Some(store) => self = store,
                None => return (None, opened),
            }
            opened = self.load().await.or(opened);
            if !is_derived {
                break;
            }
        }
        (Some(self), opened)
    }

    /// What the record that was loaded says to the credentials of `seed`.
    fn opened(&self, seed: SealSeed) -> Option<OpenRecord> {
        let kept = self.kept.as_ref()?;
        let key = self.key(&seed, Some(kept.salt()));
        Some(sealing::open(kept, seed, key.as_ref()))
    }

    /// Whether the record that was loaded has tokens, and none with the mark of this session's key.
    pub(crate) fn has_tokens_of_others(&self) -> bool {
        let (Some(kept), Some(seed)) = (&self.kept, &self.opened_for) else {
            return false;
        };
        let key = self.key(seed, Some(kept.salt()));
        kept.has_token()
            && key.is_some_and(|key| kept.tokens().iter().all(|token| token.by != key.by))
    }

    /// What the key to the record that was loaded is derived from, if it is missing. Who finds no
    /// record leaves one for others to take the salt from: they then all derive at the same time.
    async fn missing_key(&mut self) -> Option<(SealSeed, Salt)> {
        let seed = self.opened_for.clone()?;
        let salt = self.kept.as_ref().map(SessionRecord::salt);
        let has_key = self.session().keys().find(&seed, None, salt).is_some();
        if has_key || self.io.store_secret().is_some() {
            return None;
        }
        if salt.is_none() {
            // Nothing else: this session's own login, which is not made yet, would come back as
            // another's.
            let blank = self.session().record().without_history();
            self.save_as(&blank).await;
        }
        let salt = self.kept.as_ref().map(SessionRecord::salt);
        Some((seed, salt.or_else(|| random().ok())?))
    }

    /// The session's key, made here and now if the store has a secret.
    fn key(&self, seed: &SealSeed, salt: Option<Salt>) -> Option<SealKey> {
        let secret = self.io.store_secret();
        let secret = secret.as_ref();
        self.session().keys().find(seed, secret, salt).or_else(|| {
            let secret = secret?;
            let salt = salt.or_else(|| random().ok())?;
            let key = SealKey::derive(seed, salt, Some(secret)).ok()?;
            self.session()
                .keys()
                .put(seed.clone(), Some(secret.clone()), key.clone());
            Some(key)
        })
    }

    /// Whether the record has nothing better of the token's credentials than `ours`.
    fn may_take(&self, ours: &OpenRecord) -> bool {
        let Some(kept) = &self.kept else { return true };
        let own = ours.token_to_seal();
        let seed = own.map_or(ours.seed(), |(_, _, by)| by);
        if own.is_some() && self.key(seed, Some(kept.salt())).is_none() {
            return false; // until the next login, which is not on the path of a call
        }
        let opened = self.opened(seed.clone());
        let theirs = opened.as_ref().and_then(OpenRecord::token_to_seal);
        theirs.is_none_or(|(_, theirs, _)| {
            own.is_some_and(|(_, ours, _)| theirs.generation <= ours.generation)
        })
    }

    /// The session as it is now, as the store is to keep it.
    fn sealed(&mut self, ours: &OpenRecord) -> Result<SessionRecord, NoRandom> {
        let kept = self.kept.as_ref();
        let salt = kept.map(SessionRecord::salt);
        let was_opened = kept.is_none() || self.opened_for.as_ref() == Some(ours.seed());
        let own = self.key(ours.seed(), salt).filter(|_| was_opened);
        let salt = salt.or(own.as_ref().map(|key| key.salt));
        let salt = salt.map_or_else(random, Ok)?;
        let by = ours.token_to_seal().map(|(_, _, by)| by);
        let token = by.and_then(|by| self.key(by, Some(salt)));
        let keys = Keys { salt, own, token };
        let record = sealing::seal(ours, kept, &keys)?;
        // Without its key the session goes on in memory.
        self.has_failed |= keys.own.is_none() && was_opened;
        Ok(record)
    }

    /// Saves the session as it is now, if there is a store that can do it. `false` if the lease is
    /// over: another holder may have written since.
    pub(crate) async fn save(&mut self) -> bool {
        self.save_as(&self.session().record()).await
    }

    async fn save_as(&mut self, ours: &OpenRecord) -> bool {
        // The account may have changed since: its record has a place and a lease of its own. And a
        // record that could not be read may hold what others need.
        let key = self.lease.as_ref().map(|(_, key)| key);
        if self.opened_for.is_none() || key != Some(&ours.key()) {
            return true;
        }
        let record = match self.sealed(ours) {
            Ok(record) => record,
            Err(error) => {
                self.failed("seal", &StoreError::unavailable(error));
                return true;
            }
        };
        match self.write(record).await {
            Ok(()) => self.session().store_view().set_saved(ours.auth_token()),
            Err(StoreError::LeaseLost) => return false,
            Err(_) => {}
        }
        true
    }

    async fn write(&mut self, record: SessionRecord) -> Result<(), StoreError> {
        let Some((lease, _)) = &mut self.lease else {
            return Ok(());
        };
        let saved = in_time(self.io, lease.save(&record)).await;
        match &saved {
            Ok(()) => (self.kept, self.has_saved) = (Some(record), true),
            Err(error) => self.failed("save", error),
        }
        saved
    }

    /// Takes a token of the credentials of `seed` out of the record, if `is_over` says that it is
    /// over. The tokens of others stay.
    pub(crate) async fn remove(
        &mut self,
        seed: SealSeed,
        is_over: impl FnOnce(&OpenRecord) -> bool,
    ) {
        let Some(kept) = &self.kept else { return };
        let key = self.key(&seed, Some(kept.salt()));
        if let Some(key) = key.filter(|key| is_over(&sealing::open(kept, seed, Some(key)))) {
            let record = kept.clone().without_token_by(key.by);
            let _ = self.write(record).await;
        }
    }

    pub(crate) async fn release(self) {
        let Some((lease, _)) = self.lease else { return };
        match in_time(self.io, lease.release()).await {
            // One failed operation marks the store as down, so that not every failure is a warning.
            Ok(()) if self.has_saved && !self.has_failed => self.io.session.store_view().mark_up(),
            Ok(()) => {}
            Err(error) => self.io.session.store_failed("release", &error),
        }
    }

    fn failed(&mut self, operation: &'static str, error: &StoreError) {
        self.has_failed = true;
        self.session().store_failed(operation, error);
    }

    fn session(&self) -> &'a SharedSession {
        &self.io.session
    }
}

async fn in_time<R>(
    io: &Io<dyn SendLogin>,
    work: impl Future<Output = Result<R, StoreError>> + Send + Unpin,
) -> Result<R, StoreError> {
    let done = io.within(STORE_TIMEOUT, work).await;
    done.unwrap_or_else(|| Err(StoreError::unavailable(NoResponseIn(STORE_TIMEOUT))))
}

/// Returns the right to save what the store does not have yet, if it is time to.
pub(crate) fn save_due(io: &Io<dyn SendLogin>) -> Option<SaveGuard<'_>> {
    io.store.as_ref()?;
    SaveGuard::when_due(&io.session)
}

/// Saves what the store does not have yet: a token that the server rotated, or what a login brought
/// whose save was cut off. An asynchronous store holds no response back for longer than a second.
pub(crate) async fn save_pending(io: &Io<dyn SendLogin>, save: SaveGuard<'_>) {
    let done = io.within(SAVE_TIMEOUT, Box::pin(try_save(io))).await;
    if done.is_none() {
        let late = StoreError::unavailable(NoResponseIn(SAVE_TIMEOUT));
        io.session.store_failed("save", &late);
    }
    if done != Some(false) {
        save.complete();
    }
}

/// Saves, unless the store has a newer token or is in use: the holder of its lease is about to log
/// in or has just done so. `false` in the latter case: try again later.
async fn try_save(io: &Io<dyn SendLogin>) -> bool {
    let session = &io.session;
    let Some(mut store) = lease(io, Duration::ZERO).await else {
        return false;
    };
    if let Some(kept) = store.load().await {
        // Its history is not to be lost with it.
        let wall = session.wall();
        session.with(|session, now| session.merge_history(&kept, now, wall));
    }
    // Without a token: a login failed, or the session was closed. That takes no token out of the
    // store.
    if store.may_take(&session.record()) {
        store.save().await;
    }
    store.release().await;
    true
}
