//! The store as a login and a logout use it: under its lease.

use std::time::Duration;

use ctc_core::{RecordKey, SessionRecord};

use super::io::{BoxedLease, LoginIo};
use crate::ports::{LeaseTerms, StoreError};
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
    let lease = io.lease(&key, terms).await?;
    Ok(LeasedStore {
        lease: lease.map(|lease| (lease, key)),
        has_saved: false,
        has_failed: false,
    })
}

/// The store's lease, if there is a store and it works. Its failures are noted and go no further.
pub(crate) struct LeasedStore {
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

impl LeasedStore {
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
