//! The observer's rules about the known end of a token: when it may be renewed, and when callers
//! may wait for that.

use crate::count::Fault;
use crate::held::Held;
use crate::logins::Life;
use crate::plan::Ms;
use crate::watch::{Guarantee, SLACK};
use crate::world::State;

impl State {
    /// A login obtained a token.
    pub(crate) fn token_has_life(
        &mut self,
        process: usize,
        token: &str,
        (sent, sent_world): (Ms, Ms),
        span: Option<Ms>,
    ) {
        let lives = self.watch.lives.entry(token.to_owned()).or_default();
        if let Some(span) = span {
            let life = Life {
                process,
                life: self.processes[process].life,
                sent,
                sent_world,
                span,
            };
            lives.push(life);
        }
    }

    /// Whether a token is in the last `percent` of its lifetime, as far as its session can know.
    /// For an adopted token the wall clock counts.
    fn is_in_last(&self, process: usize, percent: u8, token: &str) -> bool {
        let is_in_last = |life: &Life| {
            let begins = |sent: Ms| sent + life.span - life.span * Ms::from(percent) / 100;
            let of_process = &self.processes[process];
            let is_own = life.process == process && life.life == of_process.life;
            let adopted = self.watch.sessions[process].adopted.contains(token) || !is_own;
            let by_wall =
                !self.watch.plan.true_clocks || self.now + SLACK >= begins(life.sent_world);
            (adopted && by_wall)
                || (is_own && of_process.clock.true_ms() + SLACK >= begins(life.sent))
        };
        let mut lives = self.watch.lives.get(token).into_iter().flatten();
        lives.any(is_in_last)
    }

    /// Whether this token may be renewed although it is valid.
    pub(crate) fn may_renew_early(&self, process: usize, held: &Held) -> bool {
        let plan = &self.watch.plan;
        let renewal = plan.terms.renewal();
        let is_oauth = plan.processes[process].kind.is_oauth();
        is_oauth
            && renewal.is_some_and(|(rules, _)| {
                self.is_in_last(process, rules.advised_percent, &held.token)
            })
    }

    /// Checks whether callers may wait although there is a token.
    pub(crate) fn check_wait_for_renewal(&mut self, process: usize, waiting: usize) {
        let Some(held) = &self.watch.sessions[process].held else {
            return;
        };
        let plan = &self.watch.plan;
        let renewal = plan.terms.renewal();
        let may = plan.processes[process].kind.is_oauth()
            && renewal.is_some_and(|(rules, _)| {
                self.is_in_last(process, rules.mandatory_percent, &held.token)
            });
        if may {
            self.tally.count(Fault::WaitedForRenewal);
        } else {
            self.violated(Guarantee::NoWedge, || {
                format!("p{process}: {waiting} callers wait although the token serves")
            });
        }
    }

    /// Checks, when a call is sent, that its token has not expired. With faults, that may happen.
    pub(crate) fn check_end(&mut self, process: usize, token: &str) {
        let plan = &self.watch.plan;
        let renews = plan.terms.renewal().is_some() && plan.clean;
        let lives = self.watch.lives.get(token).into_iter().flatten();
        let ends = lives.map(|life| life.sent_world + life.span);
        let over = ends.max().is_some_and(|end| self.now > end + SLACK);
        if renews && over && plan.processes[process].kind.is_oauth() {
            self.violated(Guarantee::Coalesced, || {
                format!("p{process}: a call goes out with a token whose end is known to be over")
            });
        }
    }
}
