//! The observer's rules about logins: when one may be sent, and what its response may change.

use http::{Response, StatusCode};

use crate::count::Fault;
use crate::held::Held;
use crate::logins::MOST_REFILLS;
use crate::observer::REPORT_MARGIN;
use crate::plan::{Ms, ms};
use crate::server::{Cookie, cookie_of, pause_of};
use crate::store_rules::named;
use crate::token_endpoint::Meaning;
use crate::watch::{Guarantee, SLACK, Seen, Watch};
use crate::wire::SimError;
use crate::world::State;

impl Watch {
    pub(crate) fn asks_for_lease(&mut self, process: usize) {
        self.sessions[process].login.lease_lost = false;
    }

    pub(crate) fn leased(&mut self, process: usize, by: u64, fence: u64, until: Ms) {
        let login = &mut self.sessions[process].login;
        login.leases.push(by);
        login.leased_until = until;
        login.lease_lost = false;
        login.fence = fence;
        login.loaded = None;
    }

    pub(crate) fn released(&mut self, process: usize, by: u64) {
        let leases = &mut self.sessions[process].login.leases;
        let at = leases.iter().position(|other| *other == by);
        at.map(|at| leases.swap_remove(at));
    }

    /// A caller renews: from now on a login of this process needs no reason.
    pub(crate) fn renewal_begins(&mut self, process: usize) {
        self.sessions[process].login.may_renew = true;
    }

    /// The login was not sent, so it does not count.
    pub(crate) fn login_not_sent(&mut self, process: usize) {
        self.sessions[process].login.sent.pop();
        self.sessions[process].login.not_sent = true;
        let plan = &self.plan.processes[process];
        if let Some(store) = plan.store {
            self.by_store.entry((store, plan.kind)).or_default().pop();
        }
    }

    /// Whether logins that do not help follow each other too soon. Each costs twice as many refills
    /// as the one before, up to twenty; the first two may be chance.
    fn wastes_logins(&self, sent: &[Ms]) -> bool {
        let fair_use = &self.plan.settings.fair_use;
        let refill = ms(fair_use.refill);
        let cost = |login: u32| {
            refill * (1_u64 << login.saturating_sub(2).min(5)).min(Ms::from(MOST_REFILLS))
        };
        let (Some(first), Some(now)) = (sent.first(), sent.last()) else {
            return false;
        };
        let spent: Ms = (0..).zip(&sent[1..]).map(|(login, _)| cost(login)).sum();
        let room = refill * Ms::from(fair_use.burst.get() - 1);
        spent > room + (now - first) + SLACK
    }

    /// Whether there were more than `burst + elapsed / refill` logins in some span that ends now.
    fn beyond_budget(&self, sent: &[Ms], slack: Ms) -> bool {
        let fair_use = &self.plan.settings.fair_use;
        let refill = ms(fair_use.refill);
        let burst = u64::from(fair_use.burst.get());
        let Some(now) = sent.last() else { return false };
        sent.iter()
            .rev()
            .zip(1_u64..)
            .any(|(since, count)| count > burst + (now - since + slack) / refill)
    }
}

impl State {
    /// Checks whether this login may be sent, and returns its number.
    pub(crate) fn login_sets_out(
        &mut self,
        process: usize,
        held: Option<&Held>,
        (user, password): (&str, &str),
    ) -> u64 {
        self.takes_first_offered(process);
        self.check_asked(process, (user, password));
        let now = self.processes[process].clock.true_ms();
        let world_now = self.now;
        let early = held.is_some_and(|held| self.may_renew_early(process, held));
        let kind = self.watch.plan.processes[process].kind;
        let lease = ms(self.watch.plan.settings.lease);
        let sent_lease = lease.min(ms(self.watch.plan.settings.login_timeout) + REPORT_MARGIN);
        let left = self.processes[process].left;
        let store = self.watch.plan.processes[process].store;
        let stores_work = self.watch.plan.faults.stores_work();
        let on_record = self.is_refused_on_record(process);
        let watched = &mut self.watch.sessions[process];
        let mut wrong = None;
        if watched.closed {
            wrong = Some((
                Guarantee::Stopped,
                "a login goes out while the session is closed",
            ));
        } else if watched.login.rejected.is_some() {
            wrong = Some((
                Guarantee::Stopped,
                "a login goes out although the credentials were refused",
            ));
        } else if watched.login.no_credentials {
            wrong = Some((
                Guarantee::Stopped,
                "a login goes out although the source of its credentials is of no use",
            ));
        } else if on_record {
            wrong = Some((
                Guarantee::Stopped,
                "a login goes out although its credentials' refusal is on record",
            ));
        } else if now + SLACK < watched.login.not_before {
            wrong = Some((
                Guarantee::FairUse,
                "a login goes out before the pause is over",
            ));
        }
        if left {
            wrong = Some((
                Guarantee::LoginEnds,
                "a login goes out although all its clients are gone",
            ));
        }
        if watched
            .login
            .flying
            .last()
            .is_some_and(|(_, since)| now - since + SLACK < sent_lease)
        {
            wrong = Some((
                Guarantee::OneLogin,
                "a second login goes out beside one in flight",
            ));
        }
        let renews = watched.login.may_renew || early;
        if early {
            self.tally.count(Fault::RenewedEarly);
        }
        if held.is_some() && !renews && !watched.rotated_in && stores_work {
            wrong = Some((
                Guarantee::Coalesced,
                "a login goes out although there is a good token",
            ));
        }
        if store.is_some() {
            let over = watched.login.leases.is_empty() || watched.login.leased_until <= world_now;
            if watched.login.lease_lost || (stores_work && over) {
                wrong = Some((
                    Guarantee::OneLogin,
                    "a login goes out without the store's lease",
                ));
            }
            let newer = watched
                .login
                .loaded
                .as_ref()
                .is_some_and(|Held { generation, token }| {
                    let no_older = match held {
                        Some(held) => *generation > watched.number_of(held),
                        None => watched
                            .refused_generation()
                            .is_none_or(|refused| *generation >= refused),
                    };
                    let known = held.is_some_and(|held| held.token == *token);
                    let no_older = no_older
                        && watched
                            .ended
                            .as_ref()
                            .is_none_or(|ended| *generation >= watched.number_of(ended));
                    // A token that the server set meanwhile is just as good.
                    no_older && !known && !watched.rotated_in && !watched.knows_refused(token)
                });
            if newer && stores_work && !watched.login.doubtful {
                wrong = Some((
                    Guarantee::Coalesced,
                    "a login goes out although the store has a newer token",
                ));
            }
        }
        watched.login.doubtful = false;
        watched.login.sent_as = named(user, password);
        (watched.login.asked, watched.login.refusal) = (0, None);
        watched.login.numbers += 1;
        watched.login.fence = 0;
        let number = watched.login.numbers;
        watched.login.flying.push((number, now));
        watched.login.sent.push(now);
        let sent = watched.login.sent.clone();
        let delay = now - watched.login.elected_at;
        let longest_delay = watched.login.longest_delay.max(delay);
        watched.login.longest_delay = longest_delay;
        if let Some((guarantee, text)) = wrong {
            self.violated(guarantee, || format!("p{process}: {text}"));
        }
        // A login is charged at its election and, with a store, again under the store lease.
        // Sending it may take some time after that.
        let slack = if store.is_some() {
            lease + 20_000
        } else {
            SLACK
        };
        let slack = slack + longest_delay;
        if self.watch.plan.forbidden && self.watch.wastes_logins(&sent) {
            self.violated(Guarantee::FairUse, || {
                format!(
                    "p{process}: login {} in a row that does not help",
                    sent.len()
                )
            });
        }
        if self.watch.beyond_budget(&sent, slack) {
            self.violated(Guarantee::FairUse, || {
                format!("p{process}: more logins than the budget allows")
            });
        }
        if let Some(store) = store {
            let of_store = self.watch.by_store.entry((store, kind)).or_default();
            of_store.push(world_now);
            let of_store = of_store.clone();
            let one_account = user.ends_with('A') && !self.watch.changes_user();
            let sure = stores_work && self.watch.plan.true_clocks && one_account;
            if sure && self.watch.beyond_budget(&of_store, slack) {
                self.violated(Guarantee::FairUse, || {
                    format!("more logins over store {store} than the budget allows")
                });
            }
        }
        number
    }

    /// Notes what the session may do after this response.
    pub(crate) fn login_answered(
        &mut self,
        process: usize,
        (number, sent): (u64, Ms),
        result: &Result<Response<()>, SimError>,
    ) {
        let election = self.current.login.unwrap_or_default();
        let is_oauth = self.watch.plan.processes[process].kind.is_oauth();
        let watched = &mut self.watch.sessions[process];
        let Some(sent_by_clock) = watched.login.landed(number) else {
            return;
        };
        // It counts until another caller is elected, however late it is.
        let late = election < watched.login.elections;
        let (mut token, mut asked, mut span) = (None, 0, None);
        watched.login.refusal = None;
        if let Ok(response) = result {
            let status = response.status();
            match meaning_of(response, is_oauth) {
                Meaning::Token { token: new, life } => (token, span) = (Some(new), life),
                Meaning::Refused { about_credentials } => {
                    watched.login.refusal = Some(status);
                    watched.questions.entry(election).or_default().refused = about_credentials;
                }
                Meaning::Failed { pause } => asked = pause,
            }
        }
        if late || number != watched.login.numbers {
            // A late response says nothing about a newer login.
            watched.login.refusal = None;
        } else {
            watched.login.asked = asked;
        }
        let seen = token.clone();
        watched.seen.push(Seen::Login { token: seen, late });
        if let Some(token) = token.filter(|_| is_oauth) {
            self.token_has_life(process, &token, (sent_by_clock, sent), span);
        }
    }

    /// The session counts one more failed login: from now on, the meaning of the last response
    /// applies.
    pub(crate) fn login_counted_as_failed(&mut self, process: usize) {
        let now = self.processes[process].clock.true_ms();
        let rules = self.watch.plan.settings.fair_use.clone();
        let watched = &mut self.watch.sessions[process];
        let login = &mut watched.login;
        let sent = !std::mem::take(&mut login.not_sent);
        let questions = watched.questions.entry(login.elections).or_default();
        let is_of_no_use = std::mem::take(&mut questions.is_of_no_use);
        match login.refusal.take() {
            None if is_of_no_use => login.no_credentials = true,
            Some(status) => login.rejected = Some(status),
            None => login.failed(now, sent, &rules),
        }
    }

    /// Nothing waits for the login's response any more: it timed out, or its task was dropped.
    pub(crate) fn login_dropped(&mut self, process: usize, number: u64) {
        if !self.processes[process].dying {
            let now = self.processes[process].clock.true_ms();
            let watched = &mut self.watch.sessions[process];
            watched.login.landed(number);
            watched.seen.push(Seen::Login {
                token: None,
                late: false,
            });
            self.note(|| {
                format!("p{process}: login is no longer waited for at {now} ms of its clock")
            });
        }
    }
}

/// How the session should read a login's response.
fn meaning_of(response: &Response<()>, is_oauth: bool) -> Meaning {
    if is_oauth {
        let meaning = response.extensions().get::<Meaning>().cloned();
        return meaning.unwrap_or(Meaning::Failed { pause: 0 });
    }
    let status = response.status();
    if status == StatusCode::OK {
        match cookie_of(response.headers()) {
            Cookie::Set(token) => Meaning::Token { token, life: None },
            _ => Meaning::Failed { pause: 0 },
        }
    } else if status.is_client_error() && ![408, 425, 429].contains(&status.as_u16()) {
        let about_credentials = status != StatusCode::NOT_FOUND;
        Meaning::Refused { about_credentials }
    } else {
        let pause = pause_of(response.headers());
        Meaning::Failed { pause }
    }
}
