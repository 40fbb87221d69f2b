//! How a store's record affects the caller that is about to log in, or has just failed to.

use std::time::SystemTime;

use super::governor::History;
use super::login::{LoginTicket, Resumed};
use super::open_record::{Clocks, OpenRecord};
use super::pass::Generation;
use super::{Proven, RejectedToken, Session};
use crate::time::Instant;

impl Session {
    /// Applies a store's record before the login is sent. Read it under the store lease.
    ///
    /// A token that is newer than the rejected one is adopted. Otherwise the record's history is
    /// merged: other processes' logins, a backoff, a rejection of these credentials.
    pub fn login_resumed(
        &mut self,
        ticket: LoginTicket,
        record: &OpenRecord,
        now: Instant,
        wall: SystemTime,
    ) -> Resumed {
        let clocks = Clocks {
            now: self.tick(now),
            wall,
        };
        if !self.login_is_wanted(&ticket, clocks.now) {
            self.cancel_unsent(ticket, clocks.now);
            return Resumed::Stale;
        }
        if !self.is_ours_too(record) {
            return Resumed::Continue(ticket);
        }
        // Not sent yet, so not counted yet.
        self.governor.refund(clocks.now);
        self.learn_history(record, clocks);
        if let Some(generation) = self.adopt(&ticket, record, clocks) {
            return Resumed::Adopted(generation);
        }
        match self.governor.check(clocks.now) {
            Ok(()) => {
                self.governor.charge(clocks.now);
                Resumed::Continue(ticket)
            }
            Err(denial) => {
                self.take_pending(&ticket);
                Resumed::Denied(denial)
            }
        }
    }

    /// Applies a store's record after a login without success and before it is reported: another
    /// process may have logged in at the same time. Adopts the record's token if it is newer; never
    /// returns [`Resumed::Denied`].
    pub fn login_overtaken(
        &mut self,
        ticket: LoginTicket,
        record: &OpenRecord,
        now: Instant,
        wall: SystemTime,
    ) -> Resumed {
        let clocks = Clocks {
            now: self.tick(now),
            wall,
        };
        if !self.still_counts(&ticket) {
            self.take_pending(&ticket);
            return Resumed::Stale;
        }
        if !self.is_ours_too(record) {
            return Resumed::Continue(ticket);
        }
        self.adopt(&ticket, record, clocks)
            .map_or(Resumed::Continue(ticket), Resumed::Adopted)
    }

    /// Merges the history that other processes of this account saved (logins, a backoff, a
    /// rejection) without adopting the token. Call it before you overwrite a record at any other
    /// time than during a login.
    pub fn merge_history(&mut self, record: &OpenRecord, now: Instant, wall: SystemTime) {
        let clocks = Clocks {
            now: self.tick(now),
            wall,
        };
        if self.is_ours_too(record) {
            self.learn_history(record, clocks);
        }
    }

    fn learn_history(&mut self, record: &OpenRecord, clocks: Clocks) {
        let overcome = self.overcome;
        let refusal = record
            .refusal_of(&self.marks)
            .filter(|refusal| overcome.is_none_or(|overcome| refusal.generation > overcome));
        let history = record.history(refusal, self.governor.longest_pause(), clocks);
        let history = if self.overrides_record || self.knows_better(record, clocks) {
            History {
                stop: None,
                ..history
            }
        } else {
            history
        };
        self.refused_at = self
            .refused_at
            .max(refusal.map(|refusal| refusal.generation));
        self.governor.merge_history(history, clocks.now);
    }

    /// Whether a login succeeded here after the record was saved. Both times are the wall clock's,
    /// for the other one may have stood still since. Who sets the wall clock back in between makes
    /// records look older by as much: then a refused login may be made once more, or a pause cut
    /// short.
    fn knows_better(&self, record: &OpenRecord, clocks: Clocks) -> bool {
        self.proven.is_some_and(|Proven { at, arrived }| {
            let clocks = arrived.map_or(clocks, |wall| Clocks { now: at, wall });
            record.saved_at < clocks.to_wall(at)
        })
    }

    fn is_ours_too(&self, record: &OpenRecord) -> bool {
        record.belongs_to(self.endpoint.origin(), &self.marks)
    }

    /// Adopts a record's token if it is newer than the current one and the rejected one. Otherwise
    /// its generation is still noted, so that the next token here gets a higher one.
    fn adopt(
        &mut self,
        ticket: &LoginTicket,
        record: &OpenRecord,
        clocks: Clocks,
    ) -> Option<Generation> {
        let most = Generation::MOST_FROM_A_RECORD;
        self.min_generation = self.min_generation.max(record.generation().min(most));
        let (found, recorded) = record.token_times(&self.marks, clocks)?;
        let recorded = recorded.min(most);
        self.min_generation = self.min_generation.max(recorded);
        let newer_than_held = self
            .open
            .as_ref()
            .is_none_or(|open| recorded > open.recorded);
        let newer_than = |ended: &Option<RejectedToken>| {
            ended.as_ref().is_none_or(|ended| {
                // Two processes may have given two tokens the same number while they could not
                // reach the store.
                recorded >= ended.generation && !ended.token.is_same(&found.token)
            })
        };
        let is_over = !newer_than(&self.rejected_token) || !newer_than(&self.logged_out);
        if !newer_than_held || is_over {
            return None;
        }
        let generation = self.open_with(found, Some(recorded))?;
        self.obtained_by = self.marks.seed.clone();
        self.take_pending(ticket);
        self.governor.end_failures();
        // A reset still outweighs the record's rejection: an adopted token says nothing about the
        // credentials.
        Some(generation)
    }
}
