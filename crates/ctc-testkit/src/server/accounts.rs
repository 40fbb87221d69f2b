//! The accounts that both logins share, and which of them are locked.

use std::collections::{HashMap, HashSet};

#[derive(Debug)]
pub(super) struct Accounts {
    /// Usernames and passwords.
    known: Vec<(String, String)>,
    locked: HashSet<String>,
    /// Rejections in a row.
    refusals: HashMap<String, u32>,
    lock_after: Option<u32>,
}

impl Accounts {
    pub(super) fn new(known: Vec<(String, String)>, lock_after: Option<u32>) -> Self {
        Self {
            known,
            locked: HashSet::new(),
            refusals: HashMap::new(),
            lock_after,
        }
    }

    /// Adds an account, or changes the password of an existing one.
    pub(super) fn set(&mut self, username: &str, password: &str) {
        self.known.retain(|(name, _)| name != username);
        self.known.push((username.to_owned(), password.to_owned()));
    }

    pub(super) fn has(&self, username: &str) -> bool {
        self.known.iter().any(|(name, _)| name == username)
    }

    pub(super) fn lock(&mut self, username: &str) {
        self.locked.insert(username.to_owned());
    }

    pub(super) fn unlock(&mut self, username: &str) {
        self.refusals.remove(username);
        self.locked.remove(username);
    }

    /// Returns whether this login is accepted. Counts a rejection, which may lock the account.
    pub(super) fn lets_in(&mut self, username: &str, password: &str) -> bool {
        let known = self
            .known
            .iter()
            .any(|(name, word)| name == username && word == password);
        if !known {
            let refusals = self.refusals.entry(username.to_owned()).or_default();
            *refusals += 1;
            if self.lock_after.is_some_and(|limit| *refusals >= limit) {
                self.lock(username);
            }
        }
        known && !self.locked.contains(username)
    }

    /// Reports that a login of this account succeeded.
    pub(super) fn logged_in(&mut self, username: &str) {
        self.refusals.remove(username);
    }

    pub(super) fn passwords(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|(_, password)| password.as_str())
    }
}
