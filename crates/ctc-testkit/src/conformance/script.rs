//! A source of credentials that follows a script.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use ctc_driver::{CredentialsError, CredentialsSource, SharedSession, ctc_core::Credentials};

use crate::DEFAULT_USERNAME;

/// What a source returns when asked once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    Password(&'static str),
    /// A failure for now.
    Unavailable,
    /// A failure for good.
    Unusable,
    /// It never returns.
    Nothing,
}

/// What a source returns, one line each time that it is asked. The last line is repeated.
#[derive(Debug)]
pub(super) struct Script {
    lines: Mutex<VecDeque<Says>>,
    asked: AtomicUsize,
}

impl Script {
    pub(super) fn new(lines: &[Says]) -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::new(lines.iter().copied().collect()),
            asked: AtomicUsize::new(0),
        })
    }

    /// Returns how often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// Makes this the source of a session, of the kind that the stack's driver needs.
    pub(super) fn give(self: Arc<Self>, session: &SharedSession, is_async: bool) {
        if is_async {
            session.set_async_credentials_source(Scripted(self));
        } else {
            session.set_credentials_source(Scripted(self));
        }
    }

    /// Returns the next line; `None` if the source never returns.
    fn next(&self) -> Option<Result<Credentials, CredentialsError>> {
        self.asked.fetch_add(1, SeqCst);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = if lines.len() > 1 {
            lines.pop_front()
        } else {
            lines.front().copied()
        };
        Some(match line.unwrap_or(Says::Nothing) {
            Says::Password(password) => {
                Credentials::new(DEFAULT_USERNAME, password).map_err(CredentialsError::from)
            }
            Says::Unavailable => Err(CredentialsError::unavailable("the vault is sealed")),
            Says::Unusable => Err(CredentialsError::unusable("there is no such vault")),
            Says::Nothing => return None,
        })
    }
}

/// For both drivers: the asynchronous one asks it on a thread.
#[derive(Clone)]
struct Scripted(Arc<Script>);

impl CredentialsSource for Scripted {
    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        match self.0.next() {
            Some(said) => said,
            None => loop {
                thread::park();
            },
        }
    }
}
