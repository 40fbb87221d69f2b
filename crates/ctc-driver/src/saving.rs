//! What goes into a store, and when: the lease as a login and a logout use it, and tokens that a store does not have.

use std::time::Duration;

use ctc_core::{RecordKey, SessionRecord};

use crate::login::{LoginIo, StoreAccess};
use crate::shared::SharedSession;
use crate::store::{LeaseTerms, StoreError};

/// How long a store operation may take; a longer one counts as a store out of reach.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that a login waits for another process's, which may take as long as ours: all of its lease but
/// the time to ask the store and, at least, half of it.
pub(crate) fn full_wait(session: &SharedSession) -> Duration {
    let lease = session.settings().lease;
    lease.saturating_sub(2 * STORE_TIMEOUT).max(lease / 2)
}

pub(crate) async fn lease(
    session: &SharedSession,
    io: &dyn LoginIo,
    wait: Duration,
) -> Result<Store, StoreError> {
    let terms = LeaseTerms { wait, ttl: session.settings().lease };
    let key = session.record_key();
    let lease = io.lease(&key, terms).await?;
    Ok(Store(lease.map(|lease| (lease, key))))
}

/// The store's lease, if there is a store and it works. Its failures are noted and go no further.
pub(crate) struct Store(Option<(StoreAccess, RecordKey)>);

/// What became of a save.
#[derive(PartialEq, Eq)]
pub(crate) enum Saved {
    /// It is done, or there is no store that could do it.
    AsFarAsCanBe,
    /// The lease is over: another holder may have written since.
    TooLate,
}

impl Store {
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    pub(crate) async fn load(&mut self, session: &SharedSession) -> Option<SessionRecord> {
        let result = self.0.as_mut()?.0.load().await;
        result.unwrap_or_else(|error| {
            session.store_failed("load", &error);
            None
        })
    }

    /// Saves the session as it is now.
    pub(crate) async fn save(&mut self, session: &SharedSession) -> Saved {
        if self.0.is_none() { Saved::AsFarAsCanBe } else { self.write(session, &session.record()).await }
    }

    pub(crate) async fn write(&mut self, session: &SharedSession, record: &SessionRecord) -> Saved {
        // The account may have changed since: its record has a place and a lease of its own.
        let Some((lease, _)) = self.0.as_mut().filter(|(_, key)| *key == record.key()) else {
            return Saved::AsFarAsCanBe;
        };
        let Err(error) = lease.save(record).await else { return Saved::AsFarAsCanBe };
        session.store_failed("save", &error);
        if matches!(error, StoreError::Lost) { Saved::TooLate } else { Saved::AsFarAsCanBe }
    }

    pub(crate) async fn release(self, session: &SharedSession) {
        if let Some((lease, _)) = self.0
            && let Err(error) = lease.release().await
        {
            session.store_failed("release", &error);
        }
    }
}

/// Takes a token that the server rotated into the store, unless the store has a newer one or is in use: whoever
/// holds its lease is about to log in or has just done so.
pub(crate) async fn keep_rotated(session: &SharedSession, io: &dyn LoginIo) {
    match lease(session, io, Duration::ZERO).await {
        Ok(mut store) => {
            let kept = store.load(session).await;
            if let Some(kept) = &kept {
                // Its history is not to be lost with it.
                let wall = session.wall();
                session.with(|session, now| session.learn(kept, now, wall));
            }
            let ours = session.record();
            // Without a token: closed in the meantime.
            if ours.has_token() && kept.is_none_or(|kept| kept.generation() <= ours.generation()) {
                store.write(session, &ours).await;
            }
            store.release(session).await;
        }
        Err(StoreError::Busy) => {}
        Err(error) => session.store_failed("lease", &error),
    }
}
