//! The observer's rules about the state of a session, and about the callers that wait for it.

use ctc_core::{Denial, LoginFailure, Phase};
use ctc_driver::Counts;

use crate::calls::CallState;
use crate::held::Held;
use crate::logins::{MOST_REFILLS, MOST_WHEN_SHORT};
use crate::plan::{Ms, ms};
use crate::watch::{Guarantee, SLACK};
use crate::world::State;

impl State {
    /// Checks that each change of a session in this step follows from what reached it in this step.
    pub(crate) fn check_step(&mut self, process: usize, now: Option<Held>, counts: &Counts) {
        if counts.logins_failed > self.watch.sessions[process].failed {
            self.watch.sessions[process].failed = counts.logins_failed;
            self.login_counted_as_failed(process);
        }
        let (said, sent) = (counts.replays, self.watch.sessions[process].replays);
        if said != sent {
            self.violated(Guarantee::Generations, || {
                format!("p{process}: {sent} calls were sent again, and {said} are counted")
            });
        }
        let watched = &mut self.watch.sessions[process];
        let seen = std::mem::take(&mut watched.seen);
        let before = watched.held.clone();
        if let Some(verdict) = watched.follow(before.as_ref(), now.as_ref(), &seen) {
            let (before, now) = (before.clone(), now.clone());
            self.violated(verdict.0, || {
                format!("p{process}: {} ({before:?} -> {now:?})", verdict.1)
            });
        }
        if before != now {
            self.note(|| format!("p{process}: {before:?} -> {now:?}"));
        }
        self.watch.sessions[process].held = now;
    }

    /// Checks, when nothing can run at this moment, that no caller waits without a reason.
    pub(crate) fn check_rest(&mut self, process: usize, phase: &Phase) {
        let life = self.processes[process].life;
        let patient = matches!(phase, Phase::Empty | Phase::BackingOff { .. });
        let waits = |call: &CallState| {
            let mine = call.process == process && call.life == life && !call.done;
            mine && !call.on_the_wire
                && self.runs(process, call.runtime)
                && (call.max_wait == 0 || !patient)
        };
        let waiting = self.watch.calls.iter().filter(|call| waits(call)).count();
        let for_others =
            |call: &&CallState| waits(call) && !call.renews && !call.elected_without_token;
        let for_renewal = self.watch.calls.iter().filter(for_others).count();
        let login = &self.watch.sessions[process].login;
        let logging_in = login.tasks > 0;
        let has_store = self.watch.plan.processes[process].store.is_some();
        if *phase == Phase::LoggingIn && !logging_in {
            self.violated(Guarantee::NoWedge, || {
                format!("p{process} is LoggingIn, but nobody logs in")
            });
        }
        // With a store, a response may be held back until its token is saved.
        let settled = *phase != Phase::LoggingIn;
        let logging_out = self.watch.sessions[process].logouts > 0;
        let is_open = matches!(phase, Phase::Open(_));
        if is_open && for_renewal > 0 && logging_in && !logging_out && !has_store {
            self.check_wait_for_renewal(process, for_renewal);
        }
        if settled && waiting > 0 && !logging_in && !logging_out && !has_store {
            let text = || {
                format!("p{process} is {phase:?}, but {waiting} callers wait on: a lost wake-up")
            };
            self.violated(Guarantee::NoWedge, text);
        }
    }

    /// Whether the budget must be whole. A login that was lost before it was sent is not charged.
    fn budget_is_unspent(&self, process: usize) -> bool {
        let plan = &self.watch.plan;
        // An election whose lease expired before its login was sent is charged, and so is a panic
        // just before sending.
        let sure = plan.processes[process].store.is_none()
            && plan.faults.panics == 0
            && !plan.stalls(process);
        let fair_use = &plan.settings.fair_use;
        let watched = &self.watch.sessions[process];
        let most = if watched.route_rejected {
            MOST_REFILLS
        } else {
            MOST_WHEN_SHORT + 1
        };
        let refill = ms(fair_use.refill);
        let paid_off = refill * Ms::from(fair_use.burst.get() + most);
        let now = self.processes[process].clock.true_ms();
        let login = &watched.login;
        let long_ago = |at: &Ms| now - at > paid_off;
        let unspent = if watched.has_lost_no_token() {
            // In this case each login that was sent cost one refill.
            let room = refill * Ms::from(fair_use.burst.get() - 1);
            let debt = login.sent.iter().rev().scan(0, |spent: &mut Ms, at| {
                *spent += refill;
                Some(spent.saturating_sub(now - at))
            });
            debt.max().is_none_or(|debt| debt <= room)
        } else {
            login.sent.last().is_none_or(long_ago)
        };
        sure && login.tasks == 0 && unspent
    }

    /// Checks a denial: all callers that are denied for one reason get the same denial.
    pub(crate) fn check_denial(
        &mut self,
        process: usize,
        failed: u64,
        denial: &Denial,
        pause: Option<Ms>,
        waited_for_the_end: bool,
    ) {
        let fair_use = &self.watch.plan.settings.fair_use;
        let longest = ms(fair_use.backoff_cap.max(fair_use.retry_after_cap));
        let unspent =
            matches!(denial, Denial::BudgetSpent { .. }) && self.budget_is_unspent(process);
        if unspent {
            self.violated(Guarantee::FairUse, || {
                format!("p{process}: the budget is spent, but no login was sent")
            });
        }
        let watched = &mut self.watch.sessions[process];
        let (closed, period) = (watched.closed, (watched.period, failed));
        let differs = match denial {
            // The caller waited for the end of its login, so its denial may be an older one.
            _ if waited_for_the_end => false,
            Denial::Closed => !closed,
            // A runtime that fails one caller says nothing to the others.
            Denial::BudgetSpent { .. } | Denial::NotRun => false,
            _ => {
                let said = watched.said.replace((period, denial.clone()));
                said.is_some_and(|(when, said)| when == period && said != *denial)
            }
        };
        if differs {
            self.violated(Guarantee::Coalesced, || {
                format!("p{process}: one failure, two errors: {denial}")
            });
        }
        // A login that was not sent costs the server nothing, and the network may be back at any
        // time: its backoff doubles at most once. (With a store, the failed logins of other
        // processes count, too.)
        let has_store = self.watch.plan.processes[process].store.is_some();
        let backoff = ms(self.watch.plan.settings.fair_use.backoff);
        let not_sent = matches!(
            denial,
            Denial::BackingOff {
                cause: LoginFailure::NotSent,
                ..
            }
        );
        let too_long_unsent =
            not_sent && !has_store && pause.is_some_and(|pause| pause > 2 * backoff + SLACK);
        if too_long_unsent {
            self.violated(Guarantee::NoWedge, || {
                format!("p{process}: a pause of {pause:?} ms after a login that was not sent")
            });
        }
        let too_long = matches!(denial, Denial::BackingOff { .. })
            && pause.is_some_and(|pause| pause > longest + SLACK);
        if too_long {
            self.violated(Guarantee::NoWedge, || {
                format!("p{process}: a pause beyond its cap: {pause:?} ms")
            });
        }
    }
}
