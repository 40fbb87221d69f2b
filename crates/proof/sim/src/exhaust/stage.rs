//! What the small worlds of one session have in common: the session, its time, the events that may
//! happen at any time, and what is known of its logins from outside.

use std::time::{Duration, Instant};

use ctc_core::{Phase, Session, Wait};

use super::canonical;
use super::parts::{BURST, LEASE, REFILL, base, seconds_of};

/// What may happen to a session whatever its callers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Close,
    Reopen,
    Reset,
    /// So many seconds pass.
    Pass(u64),
}

pub(crate) struct Stage {
    pub(crate) session: Session,
    /// In seconds.
    pub(crate) now: u64,
    /// When each login was made that counts against the budget.
    pub(crate) logins: Vec<u64>,
    /// The caller that makes the newest login, and until when no other caller may make one.
    out: Option<(usize, u64)>,
    /// No login is made until a reset.
    pub(crate) stopped: bool,
    pub(crate) closed: bool,
}

impl Stage {
    pub(crate) const fn new(session: Session) -> Self {
        Self {
            session,
            now: 0,
            logins: Vec::new(),
            out: None,
            stopped: false,
            closed: false,
        }
    }

    pub(crate) fn instant(&self) -> Instant {
        instant(self.now)
    }

    /// The generation of the session's token.
    pub(crate) fn held(&self) -> Option<u64> {
        self.session.pass().map(|pass| pass.generation().number())
    }

    pub(crate) const fn close_or_reopen(&self) -> Verb {
        if self.closed {
            Verb::Reopen
        } else {
            Verb::Close
        }
    }

    pub(crate) fn apply(&mut self, verb: Verb) {
        match verb {
            Verb::Close => {
                self.session.close();
                self.closed = true;
            }
            Verb::Reopen => {
                self.session.reopen();
                self.closed = false;
            }
            Verb::Reset => {
                self.session.reset();
                self.stopped = false;
            }
            Verb::Pass(seconds) => self.now += seconds,
        }
    }

    /// Whether a login is being made.
    pub(crate) fn has_login(&self) -> bool {
        self.out.is_some_and(|(_, until)| self.now < until)
    }

    pub(crate) const fn nobody_logs_in(&self) -> bool {
        self.out.is_none()
    }

    /// Whether this caller makes the newest login: then its report counts.
    pub(crate) fn counts(&self, caller: usize) -> bool {
        self.out.is_some_and(|(leader, _)| leader == caller)
    }

    /// This caller's login has ended.
    pub(crate) fn lands(&mut self, caller: usize) {
        self.out = self.out.filter(|(leader, _)| *leader != caller);
    }

    /// As [`lands`](Self::lands), and it was not sent.
    pub(crate) fn lands_unsent(&mut self, caller: usize) {
        if self.counts(caller) {
            self.logins.pop();
        }
        self.lands(caller);
    }

    /// This caller was elected. `had_login`: another made a login at that moment.
    pub(crate) fn elects(&mut self, caller: usize, had_login: bool) -> Result<(), String> {
        if had_login {
            return Err("G1: two logins at once".into());
        }
        if self.closed || self.stopped {
            return Err("G5: a login while closed, rejected or without credentials".into());
        }
        self.out = Some((caller, self.now + LEASE));
        Ok(())
    }

    /// A login is charged to the budget.
    pub(crate) fn charges(&mut self) -> Result<(), String> {
        self.logins.push(self.now);
        if is_over_budget(&self.logins, self.now) {
            return Err("G2: more logins than the budget allows".into());
        }
        Ok(())
    }

    /// Whether a caller that waits has a reason to ask again.
    pub(crate) fn is_over(&self, wait: &Wait) -> bool {
        self.is_told(wait) || wait.deadline <= self.instant()
    }

    /// Whether the session has changed since.
    pub(crate) fn is_told(&self, wait: &Wait) -> bool {
        self.session.epoch() != wait.epoch
    }

    /// `is_settled`: the login that callers wait for has come to something.
    pub(crate) fn check<'a>(
        &self,
        mut waits: impl Iterator<Item = &'a Wait>,
        is_settled: bool,
    ) -> Result<(), String> {
        if is_settled && waits.any(|wait| !self.is_told(wait)) {
            return Err("G7: a waiter is not told of a change".into());
        }
        check_session(&self.session, self.closed, self.instant())
    }

    /// What tells this state from others: `callers` in any order, and what else there is.
    pub(crate) fn state(&self, mut callers: Vec<String>, others: &str) -> String {
        callers.sort(); // who is who makes no difference
        let since: Vec<_> = self.logins.iter().map(|at| self.now - at).collect();
        let left = self.out.map(|(_, until)| until.abs_diff(self.now));
        format!(
            "{}|{callers:?}|{since:?}|{} {left:?} {} {others}",
            canonical(&self.session, seconds_of(self.instant())),
            self.stopped,
            self.has_login(),
        )
    }
}

pub(crate) fn instant(second: u64) -> Instant {
    base() + Duration::from_secs(second)
}

/// Whether there were more logins in some span up to now than the budget allows.
pub(crate) fn is_over_budget(logins: &[u64], now: u64) -> bool {
    let mut spans = logins.iter().rev().zip(1..);
    spans.any(|(since, count)| count > BURST + (now - since) / REFILL)
}

/// What holds of each session at any time.
pub(crate) fn check_session(session: &Session, closed: bool, now: Instant) -> Result<(), String> {
    if closed != (session.phase(now) == Phase::Closed) {
        return Err("G5: closed and not closed".into());
    }
    if format!("{session:?}").contains("CANARY") {
        return Err("G9: a secret is printed".into());
    }
    Ok(())
}
