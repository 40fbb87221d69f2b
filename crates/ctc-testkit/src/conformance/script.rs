//! A source of credentials that goes by a script.

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

/// What a source says to one question.
#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    Password(&'static str),
    /// Not at the moment.
    Unavailable,
    /// Asking again does not help.
    Unusable,
    /// Nothing, ever.
    Nothing,
}

/// What a source says to one question after the other; the last line is repeated.
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

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// Makes it the source of a session, in the kind that the stack's driver is of.
    pub(super) fn give(self: Arc<Self>, session: &SharedSession, is_async: bool) {
        if is_async {
            session.set_async_credentials_source(Scripted(self));
        } else {
            session.set_credentials_source(Scripted(self));
        }
    }

    /// `None`: it says nothing.
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

/// For drivers of either kind; asynchronous ones ask it on a thread, too.
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
