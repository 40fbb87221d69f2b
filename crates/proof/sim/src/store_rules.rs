//! The observer's rules about stores: which tokens a save may remove from a record, and what a
//! session may find in one.

use crate::held::Held;
use crate::server::USERS;
use crate::shelf::Entry;
use crate::watch::{Guarantee, Seen, Watch};
use crate::world::State;

impl Watch {
    /// A login succeeded: a rejection of its credentials in a record is out of date.
    pub(crate) fn accepted(&mut self, process: usize) {
        let plan = &self.plan.processes[process];
        let (store, kind) = (plan.store, plan.kind);
        let watched = &mut self.sessions[process];
        if let Some((store, (user, password))) = store.zip(watched.login.sent_as) {
            self.refusals.remove(&(store, kind, user, password));
        }
        watched.overrides = false;
    }
}

impl State {
    /// A session loaded a record. Its token is the one that its own password opens, if a login with
    /// that password obtained it.
    pub(crate) fn loaded(&mut self, process: usize, entries: &[Entry]) {
        self.takes_first_offered(process);
        let kind = self.watch.plan.processes[process].kind;
        if let Some(entry) = entries.iter().find(|entry| entry.kind != kind).cloned() {
            self.violated(Guarantee::OwnSession, || {
                format!("p{process}: its record has {entry:?}, which is another login's")
            });
        }
        let watched = &mut self.watch.sessions[process];
        let credentials = watched.credentials;
        let is_own = |entry: &&Entry| {
            (entry.user, entry.password) == credentials
                && entry.kind == kind
                && self.server.has_issued(&entry.token, kind, credentials)
        };
        let own = entries.iter().find(is_own);
        let token = own.map(|own| Held {
            generation: own.generation,
            token: own.token.clone(),
        });
        watched.login.loaded.clone_from(&token);
        watched.period += 1;
        let others = entries.iter().map(|entry| entry.token.clone());
        let others = others.filter(|other| own.is_none_or(|own| own.token != *other));
        watched.seen.push(Seen::Loaded {
            others: others.collect(),
            token,
        });
    }

    /// A session replaced a record in which it had seen the tokens `shown`.
    pub(crate) fn saved(&mut self, process: usize, store: usize, shown: &[Entry], now: &[Entry]) {
        let foreign = now
            .iter()
            .find(|entry| {
                !self
                    .server
                    .has_issued(&entry.token, entry.kind, (entry.user, entry.password))
            })
            .cloned();
        if let Some(entry) = foreign {
            self.violated(Guarantee::OwnSession, || {
                format!("p{process}: a record gives {entry:?}, whose login did not obtain it")
            });
        }
        let watched = &self.watch.sessions[process];
        let is_kept = |old: &Entry| {
            let mut of_password = now.iter();
            let mark = |entry: &Entry| (entry.kind, entry.user, entry.password);
            let kept = of_password.find(|new| mark(new) == mark(old));
            kept.is_some_and(|new| new.generation >= old.generation)
        };
        let lost = shown
            .iter()
            .find(|old| !is_kept(old) && !watched.may_drop(old))
            .cloned();
        if let Some(lost) = lost {
            self.violated(Guarantee::Generations, || {
                format!("p{process}: a save takes {lost:?} out of a record, which is not over")
            });
        }
        let election = self.current.login;
        let kind = self.watch.plan.processes[process].kind;
        let watched = &mut self.watch.sessions[process];
        let (user, password) = watched.credentials;
        if watched.overrides {
            self.watch.refusals.remove(&(store, kind, user, password));
        }
        if election.is_some() && watched.login.to_record == election {
            watched.login.to_record = None;
            self.watch.refusals.insert((store, kind, user, password));
        }
    }

    /// Whether the record in a working store has a rejection of these credentials.
    pub(crate) fn is_refused_on_record(&self, process: usize) -> bool {
        let watched = &self.watch.sessions[process];
        let (user, password) = watched.credentials;
        let plan = &self.watch.plan.processes[process];
        let on_record = plan.store.is_some_and(|store| {
            let mark = (store, plan.kind, user, password);
            self.watch.refusals.contains(&mark)
        });
        // Sessions compare the times of a record and of their own last login by the wall clock.
        // With a wrong one, a session may try the rejected password once more.
        let sure = self.watch.plan.faults.stores_work() && self.watch.plan.true_clocks;
        on_record && sure && !watched.overrides && !watched.login.doubtful
    }
}

/// Returns static names of a user and a password of the world, which can be keys.
pub(crate) fn named(user: &str, password: &str) -> Option<(&'static str, &'static str)> {
    let user = USERS.into_iter().find(|known| *known == user)?;
    let password = crate::plan::PASSWORDS
        .into_iter()
        .find(|known| *known == password)?;
    Some((user, password))
}
