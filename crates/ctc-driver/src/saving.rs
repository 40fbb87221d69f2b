//! What goes into a store, and when: the lease as a login and a logout use it, and what a store
//! does not have yet.

use std::sync::PoisonError;
use std::time::Duration;

use ctc_core::{Instant, RecordKey, SessionRecord};

use crate::login::{BoxedLease, LoginIo};
use crate::shared::SharedSession;
use crate::store::{LeaseTerms, StoreError};
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering::SeqCst};

/// How long a store operation may take; a longer one counts as a store out of reach.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a response may be held back, all told, while the store is told of the token that it
/// brought.
pub(crate) const SAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause between two saves other than a login's: some servers give a new token with every
/// answer.
const SAVE_PAUSE: Duration = Duration::from_secs(60);

/// A session's view of its store.
#[derive(Default)]
pub(crate) struct StoreView {
    /// There is something that the store does not have yet. Every call looks at this.
    unsaved: AtomicBool,
    /// It failed, and did not work since.
    is_down: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When it may be saved; `None`: at once.
    next: Option<Instant>,
    /// The token that this session last put into the store or found there.
    kept: Option<SessionRecord>,
}

impl StoreView {
    /// There is something to save.
    pub(crate) fn note_unsaved(&self) {
        self.unsaved.store(true, SeqCst);
    }

    /// All there is to save goes with a save that begins now.
    pub(crate) fn forget_unsaved(&self) {
        self.unsaved.store(false, SeqCst);
        self.state().next = None;
    }

    #[inline]
    pub(crate) fn has_unsaved(&self) -> bool {
        self.unsaved.load(SeqCst)
    }

    /// Whether it worked up to now.
    pub(crate) fn mark_down(&self) -> bool {
        !self.is_down.swap(true, SeqCst)
    }

    /// The store has this session's token as of `record`.
    pub(crate) fn set_saved(&self, record: &SessionRecord) {
        self.state().kept = Some(record.clone());
    }

    /// Whether `record` has a token that this session put into the store or found there.
    pub(crate) fn is_saved(&self, record: &SessionRecord) -> bool {
        self.state()
            .kept
            .as_ref()
            .is_some_and(|kept| kept.same_token(record))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A save on its way. Dropped half way, it leaves word that something is not saved.
#[must_use]
pub(crate) struct SaveGuard<'a>(Option<&'a StoreView>);

impl<'a> SaveGuard<'a> {
    /// A login's save: everything up to now goes with it.
    pub(crate) fn of_login(session: &'a SharedSession) -> Self {
        session.store_view().forget_unsaved();
        Self(Some(session.store_view()))
    }

    /// For one caller at a time, and not before it is time. `None` for all others.
    pub(crate) fn when_due(session: &'a SharedSession) -> Option<Self> {
        let (store_view, now) = (session.store_view(), session.now());
        let mut state = store_view.state();
        if state.next.is_some_and(|next| now < next) || !store_view.unsaved.swap(false, SeqCst) {
            return None;
        }
        state.next = now.checked_add(SAVE_PAUSE);
        Some(Self(Some(store_view)))
    }

    /// It is done, or the store failed and is not asked again.
    pub(crate) fn complete(mut self) {
        self.0 = None;
    }
}

impl Drop for SaveGuard<'_> {
    fn drop(&mut self) {
        if let Some(store_view) = self.0 {
            store_view.note_unsaved();
        }
    }
}

/// The longest that a login waits for another process's, which may take as long as ours: all of its
/// lease but the time to ask the store and, at least, half of it.
pub(crate) fn full_wait(session: &SharedSession) -> Duration {
    let lease = session.settings().lease;
    lease.saturating_sub(2 * STORE_TIMEOUT).max(lease / 2)
}

pub(crate) async fn lease(
    session: &SharedSession,
    io: &dyn LoginIo,
    wait: Duration,
) -> Result<Store, StoreError> {
    let terms = LeaseTerms {
        wait,
        ttl: session.settings().lease,
    };
    let key = session.record_key();
    let lease = io.lease(&key, terms).await?;
    Ok(Store {
        lease: lease.map(|lease| (lease, key)),
        has_saved: false,
        has_failed: false,
    })
}

/// The store's lease, if there is a store and it works. Its failures are noted and go no further.
pub(crate) struct Store {
    lease: Option<(BoxedLease, RecordKey)>,
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

impl Store {
    pub(crate) const fn none() -> Self {
        Self {
            lease: None,
            has_saved: false,
            has_failed: false,
        }
    }

    pub(crate) async fn load(&mut self, session: &SharedSession) -> Option<SessionRecord> {
        let result = self.lease.as_mut()?.0.load().await;
        result.unwrap_or_else(|error| {
            self.has_failed = true;
            session.store_failed("load", &error);
            None
        })
    }

    /// Saves the session as it is now.
    pub(crate) async fn save(&mut self, session: &SharedSession) -> SaveOutcome {
        if self.lease.is_none() {
            SaveOutcome::Done
        } else {
            self.write(session, &session.record()).await
        }
    }

    pub(crate) async fn write(
        &mut self,
        session: &SharedSession,
        record: &SessionRecord,
    ) -> SaveOutcome {
        // The account may have changed since: its record has a place and a lease of its own.
        let Some((lease, _)) = self.lease.as_mut().filter(|(_, key)| *key == record.key()) else {
            return SaveOutcome::Done;
        };
        let Err(error) = lease.save(record).await else {
            session.store_view().set_saved(record);
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

    pub(crate) async fn release(self, session: &SharedSession) {
        let Some((lease, _)) = self.lease else { return };
        match lease.release().await {
            // A store that fails in one thing of many is one that is down: it is not warned of each
            // time.
            Ok(()) if self.has_saved && !self.has_failed => {
                session.store_view().is_down.store(false, SeqCst)
            }
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
            let kept = store.load(session).await;
            if let Some(kept) = &kept {
                // Its history is not to be lost with it.
                let wall = session.wall();
                session.with(|session, now| session.merge_history(kept, now, wall));
            }
            let ours = session.record();
            // Without a token: a login failed, or the session was closed. That takes no token out
            // of the store.
            if kept.is_none_or(|kept| {
                kept.generation() <= ours.generation() && (ours.has_token() || !kept.has_token())
            }) {
                store.write(session, &ours).await;
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
