//! The observer's rules about logins: when one may set out, and what may follow from its answer.

use ctc_core::FairUse;
use http::{Response, StatusCode};

use crate::net::SimError;
use crate::plan::Ms;
use crate::server::{Cookie, cookie_of, pause_of};
use crate::watch::{Guarantee, Held, SLACK, Seen, Watch};
use crate::world::State;

/// What is known of one session's logins. Times are on its process's monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    flying: Option<Flying>,
    sent: Vec<Ms>,
    /// Consecutive failures since the last success.
    failures: u32,
    not_before: Ms,
    rejected: Option<StatusCode>,
    /// Credentials changed or the session was closed while a login may have been in preparation: what the next
    /// answer means is not certain.
    doubtful: bool,
    /// Leases held of the store, and when the newest is over (on the world's clock).
    leases: u32,
    leased_until: Ms,
    pub(crate) loaded: Option<String>,
}

#[derive(Clone, Debug)]
struct Flying {
    since: Ms,
    doubtful: bool,
}

impl Logins {
    pub(crate) const fn in_the_air(&self) -> bool {
        self.flying.is_some()
    }

    pub(crate) fn doubt(&mut self) {
        match &mut self.flying {
            Some(flying) => flying.doubtful = true,
            None => self.doubtful = true,
        }
    }

    /// A pause or rejection was lifted.
    pub(crate) const fn forgiven(&mut self) {
        self.failures = 0;
        self.not_before = 0;
        self.rejected = None;
    }

    fn failed(&mut self, asked: Ms, now: Ms, rules: &FairUse) {
        let ms = |span: std::time::Duration| Ms::try_from(span.as_millis()).unwrap_or(Ms::MAX);
        let full = ms(rules.backoff).saturating_mul(1 << self.failures.min(20)).min(ms(rules.backoff_cap));
        self.failures += 1;
        let pause = (full / 4 * 3).max(asked.min(ms(rules.retry_after_cap)));
        self.not_before = now + pause;
    }
}

impl Watch {
    pub(crate) fn leased(&mut self, process: usize, until: Ms) {
        let login = &mut self.sessions[process].login;
        login.leases += 1;
        login.leased_until = until;
        login.loaded = None;
    }

    pub(crate) fn released(&mut self, process: usize) {
        let login = &mut self.sessions[process].login;
        login.leases = login.leases.saturating_sub(1);
    }

    /// It never reached the server, so it does not count.
    pub(crate) fn login_not_sent(&mut self, process: usize) {
        self.sessions[process].login.sent.pop();
        if let Some(store) = self.plan.processes[process].store {
            self.by_store[store].pop();
        }
    }

    /// More logins than `burst + elapsed / refill` in some span that ends now.
    fn beyond_budget(&self, sent: &[Ms], slack: Ms) -> bool {
        let fair_use = &self.plan.settings.fair_use;
        let refill = Ms::try_from(fair_use.refill.as_millis()).unwrap_or(Ms::MAX);
        let burst = u64::from(fair_use.burst.get());
        let Some(now) = sent.last() else { return false };
        sent.iter().rev().zip(1_u64..).any(|(since, count)| count > burst + (now - since + slack) / refill)
    }
}

impl State {
    /// May this login set out?
    pub(crate) fn login_sets_out(&mut self, process: usize, held: Option<&Held>, user: &str) {
        let now = self.processes[process].clock.true_ms();
        let world_now = self.now;
        let lease = Ms::try_from(self.watch.plan.settings.lease.as_millis()).unwrap_or(Ms::MAX);
        let timeout = Ms::try_from(self.watch.plan.settings.login_timeout.as_millis()).unwrap_or(Ms::MAX);
        let store = self.watch.plan.processes[process].store;
        let stores_work = self.watch.plan.faults.stores_work();
        let watched = &mut self.watch.sessions[process];
        let mut wrong = None;
        if watched.closed {
            wrong = Some((Guarantee::Stopped, "a login goes out while the session is closed"));
        } else if watched.login.rejected.is_some() {
            wrong = Some((Guarantee::Stopped, "a login goes out although the credentials were refused"));
        } else if now + SLACK < watched.login.not_before {
            wrong = Some((Guarantee::FairUse, "a login goes out before the pause is over"));
        }
        if let Some(flying) = &watched.login.flying {
            // With a store, some of the lease went by before that login set out.
            let sure = if store.is_none() { lease } else { timeout.min(lease / 4) };
            if now - flying.since + SLACK < sure {
                wrong = Some((Guarantee::OneLogin, "a second login goes out beside one in flight"));
            }
        }
        if held.is_some() && (store.is_none() || !watched.rotated_in) && stores_work {
            wrong = Some((Guarantee::Coalesced, "a login goes out although there is a good token"));
        }
        if store.is_some() && stores_work {
            if watched.login.leases == 0 || watched.login.leased_until <= world_now {
                wrong = Some((Guarantee::OneLogin, "a login goes out without the store's lease"));
            }
            let newer = watched.login.loaded.as_ref().filter(|token| watched.refused.as_ref() != Some(token));
            let known = held.map(|held| &held.token) == newer;
            if newer.is_some() && !known && !watched.login.doubtful {
                wrong = Some((Guarantee::Coalesced, "a login goes out although the store has a newer token"));
            }
        }
        let doubtful = std::mem::take(&mut watched.login.doubtful);
        watched.login.flying = Some(Flying { since: now, doubtful });
        watched.login.sent.push(now);
        let sent = watched.login.sent.clone();
        if let Some((guarantee, text)) = wrong {
            self.violated(guarantee, || format!("p{process}: {text}"));
        }
        // With a store the right to log in was debited when the lease was taken, which may take some time.
        let slack = if store.is_some() { lease + 20_000 } else { SLACK };
        if self.watch.beyond_budget(&sent, slack) {
            self.violated(Guarantee::FairUse, || format!("p{process}: more logins than the budget allows"));
        }
        if let Some(store) = store {
            self.watch.by_store[store].push(world_now);
            let one_account = user.ends_with('A') && !self.watch.changes_user();
            let sure = stores_work && self.watch.plan.true_clocks && one_account;
            if sure && self.watch.beyond_budget(&self.watch.by_store[store], slack) {
                self.violated(Guarantee::FairUse, || {
                    format!("more logins over store {store} than the budget allows")
                });
            }
        }
    }

    /// What follows from the answer?
    pub(crate) fn login_answered(&mut self, process: usize, result: &Result<Response<()>, SimError>) {
        let now = self.processes[process].clock.true_ms();
        let settings = self.watch.plan.settings.clone();
        let lease = Ms::try_from(settings.lease.as_millis()).unwrap_or(Ms::MAX);
        let has_store = self.watch.plan.processes[process].store.is_some();
        let watched = &mut self.watch.sessions[process];
        let Some(flying) = watched.login.flying.take() else { return };
        let age = now - flying.since;
        let late = age >= lease;
        let sure = !flying.doubtful && age + SLACK < if has_store { lease / 4 } else { lease };
        let mut token = None;
        match result {
            Ok(answer) if answer.status() == StatusCode::OK => match cookie_of(answer.headers()) {
                Cookie::Set(found) => {
                    if sure && watched.refused.as_ref() != Some(&found) {
                        watched.login.forgiven();
                    }
                    token = Some(found);
                }
                _ if sure => watched.login.failed(0, now, &settings.fair_use),
                _ => {}
            },
            Ok(answer) => {
                let status = answer.status();
                let refused = status.is_client_error() && ![408, 425, 429].contains(&status.as_u16());
                match (sure, refused) {
                    (true, true) => watched.login.rejected = Some(status),
                    (true, false) => {
                        watched.login.failed(pause_of(answer.headers()), now, &settings.fair_use);
                    }
                    _ => {}
                }
            }
            Err(_) if sure => watched.login.failed(0, now, &settings.fair_use),
            Err(_) => {}
        }
        watched.seen.push(Seen::Login { token, late });
    }

    /// Nobody waits for the login's answer any more: it timed out, or all who waited have gone.
    pub(crate) fn login_dropped(&mut self, process: usize) {
        if !self.processes[process].dying {
            let now = self.processes[process].clock.true_ms();
            let watched = &mut self.watch.sessions[process];
            watched.login.flying = None;
            watched.seen.push(Seen::Login { token: None, late: false });
            self.note(|| format!("p{process}: login is no longer waited for at {now} ms of its clock"));
        }
    }
}
