//! What a session knows of its store: what the store has, and what it does not have yet.

use std::time::Duration;

use ctc_core::{AuthToken, Instant};

use super::SharedSession;
use super::sync::{AtomicBool, Mutex, Ordering::SeqCst, lock};

/// The time between two saves other than a login's: some servers give a new token with every
/// response.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// A session's view of its store.
#[derive(Default)]
pub(crate) struct StoreView {
    /// There is something that the store does not have yet. Every call looks at this.
    unsaved: AtomicBool,
    /// The store failed, and has not worked since.
    is_down: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the next save is due; `None`: at once.
    next: Option<Instant>,
    /// The token that this session last put into the store or found there.
    saved: Option<AuthToken>,
}

impl StoreView {
    /// Notes that there is something to save.
    pub(crate) fn note_unsaved(&self) {
        self.unsaved.store(true, SeqCst);
    }

    /// Notes that all there is to save goes with a save that begins now.
    pub(crate) fn forget_unsaved(&self) {
        self.unsaved.store(false, SeqCst);
        lock(&self.state).next = None;
    }

    #[inline]
    pub(crate) fn has_unsaved(&self) -> bool {
        self.unsaved.load(SeqCst)
    }

    /// Notes that the store failed. Returns whether it worked until now.
    pub(crate) fn mark_down(&self) -> bool {
        !self.is_down.swap(true, SeqCst)
    }

    /// Notes that the store works.
    pub(crate) fn mark_up(&self) {
        self.is_down.store(false, SeqCst);
    }

    /// Notes which token of this session the store has.
    pub(crate) fn set_saved(&self, token: Option<&AuthToken>) {
        lock(&self.state).saved = token.cloned();
    }

    /// Returns the token that this session last put into the store or found there.
    pub(crate) fn saved(&self) -> Option<AuthToken> {
        lock(&self.state).saved.clone()
    }
}

/// A save in progress. Dropped half way, it notes that something is not saved.
#[must_use]
pub(crate) struct SaveGuard<'a>(Option<&'a StoreView>);

impl<'a> SaveGuard<'a> {
    /// A login's save: everything up to now goes with it.
    pub(crate) fn of_login(session: &'a SharedSession) -> Self {
        session.store_view().forget_unsaved();
        Self(Some(session.store_view()))
    }

    /// A save between logins, for one caller at a time and not before it is due. `None` for all
    /// others.
    pub(crate) fn when_due(session: &'a SharedSession) -> Option<Self> {
        let (view, now) = (session.store_view(), session.now());
        let mut state = lock(&view.state);
        if state.next.is_some_and(|next| now < next) || !view.unsaved.swap(false, SeqCst) {
            return None;
        }
        state.next = now.checked_add(SAVE_INTERVAL);
        Some(Self(Some(view)))
    }

    /// The save is done, or the store failed and is not asked again.
    pub(crate) fn complete(mut self) {
        self.0 = None;
    }
}

impl Drop for SaveGuard<'_> {
    fn drop(&mut self) {
        if let Some(view) = self.0 {
            view.note_unsaved();
        }
    }
}
