//! Thousands of steps in no order at all, and what must hold after each.

use std::time::Duration;

use ctc_core::{
    Admit, Call, Epoch, Generation, LoginTicket, Pass, Phase, Resumed, SendFailure, SessionRecord,
    Verdict,
};

use crate::scenario::{PASSWORD, Scenario, USER, answer_with, cookie, credentials, response};

/// `SplitMix64`: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

/// A session on its walk, and what its keeper knows about it.
struct Walk {
    s: Scenario,
    random: Random,
    second: u64,
    tokens: u64,
    calls: Vec<Call>,
    /// Every ticket handed out and not yet used up; the last may be live.
    tickets: Vec<LoginTicket>,
    record: Option<SessionRecord>,
    orders: u64,
    /// Orders that, as far as the session was told, never reached the server.
    unsent: u64,
    /// When the live ticket ends, as the keeper counts.
    lease: Option<u64>,
    /// The live ticket's login was announced.
    started: bool,
    /// The newest token's generation when the live ticket was handed out.
    elected_at: Generation,
    /// The session was closed since: the ticket decides nothing, but no other login goes out
    /// beside it.
    void: bool,
    password: &'static str,
    /// What the live ticket's login was made with.
    sent_password: &'static str,
    closed: bool,
    generation: Generation,
}

#[derive(PartialEq, Debug)]
struct Seen {
    epoch: Epoch,
    waits: bool,
}

impl Walk {
    fn new(seed: u64) -> Self {
        Self {
            s: Scenario::with(|settings| settings.seed = seed),
            random: Random(seed),
            second: 0,
            tokens: 0,
            calls: Vec::new(),
            tickets: Vec::new(),
            record: None,
            orders: 0,
            unsent: 0,
            lease: None,
            started: false,
            elected_at: Generation::default(),
            void: false,
            password: PASSWORD,
            sent_password: PASSWORD,
            closed: false,
            generation: Generation::default(),
        }
    }

    fn token(&mut self) -> String {
        // Now and then an old one again.
        if self.random.below(8) > 0 {
            self.tokens += 1;
        }
        cookie(&format!("T{}", self.tokens))
    }

    fn step(&mut self) {
        match self.random.below(25) {
            0..=5 => self.call(),
            6..=11 => self.observe(),
            12..=15 => self.report(),
            16 => self.renew(),
            17 => self.resume(),
            18..=20 => self.time(),
            21 => self.record = Some(self.s.record()),
            22 => self.change(),
            23 => self.start(),
            _ => self.forget(),
        }
    }

    fn call(&mut self) {
        let mut call = Call::new(self.random.below(4) > 0);
        let admit = self.s.admit(&mut call);
        self.admitted(admit);
        self.calls.push(call);
    }

    fn renew(&mut self) {
        let now = self.s.now();
        let admit = self.s.session.renew(now);
        assert!(!matches!(admit, Admit::Proceed(_)));
        self.admitted(admit);
    }

    fn admitted(&mut self, admit: Admit) {
        let elects = matches!(&admit, Admit::Login(_) | Admit::Deny(_)) && !self.closed;
        let is_over = self.lease.is_some_and(|until| until <= self.second);
        if elects && is_over && !self.started {
            // It was not sent, and will not be.
            self.unsent += 1;
            self.lease = None;
        }
        match admit {
            Admit::NeedCredentials(_) => panic!("the session has credentials"),
            Admit::Login(order) => {
                assert!(!self.closed, "a login while closed");
                assert!(
                    self.lease.is_none_or(|until| until <= self.second),
                    "two logins at a time"
                );
                self.orders += 1;
                (self.lease, self.void) = (Some(self.second + 60), false);
                (self.started, self.elected_at) = (false, self.s.record().generation());
                self.sent_password = self.password;
                self.tickets.push(order.ticket);
            }
            Admit::Wait(wait) => {
                assert_eq!(wait.epoch, self.s.session.epoch());
                assert!(
                    self.lease.is_some_and(|until| until > self.second),
                    "waits for nobody"
                );
                let limit = self.s.moment(self.second + 40);
                assert!(
                    wait.deadline <= limit,
                    "waits for longer than a login takes"
                );
            }
            Admit::Proceed(pass) => {
                assert!(!self.closed, "a token while closed");
                assert_eq!(
                    Some(&pass.generation()),
                    self.s.session.pass().map(Pass::generation).as_ref()
                );
            }
            Admit::Deny(denial) => {
                assert!(
                    denial
                        .retry_after(self.s.now())
                        .is_none_or(|wait| !wait.is_zero()),
                    "{denial:?}"
                );
            }
        }
    }

    fn observe(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let index = usize::try_from(self.random.below(self.calls.len() as u64)).unwrap();
        let mut call = self.calls.swap_remove(index);
        let code = self.random.of(&[200, 200, 401, 401, 401, 403, 500]);
        let token = self.token();
        let cookies =
            self.random
                .of(&[&[] as &[&str], &[], &[], &["authToken=; Max-Age=0"], &["x"]]);
        let cookies = if cookies == ["x"] {
            &[token.as_str()]
        } else {
            cookies
        };
        let path = format!("/{}", self.random.below(4));
        let newest = call.generation() == self.s.session.pass().map(Pass::generation);
        let before = self.s.token();
        let verdict = self.s.answer_on(&mut call, &path, code, cookies);
        if before.is_some() && !newest {
            assert_eq!(
                self.s.token(),
                before,
                "an old report touched a newer token"
            );
        }
        if verdict == Verdict::Replay {
            assert_eq!(code, 401);
            let admit = self.s.admit(&mut call);
            if before.is_some() && cookies.is_empty() {
                assert!(
                    !matches!(admit, Admit::Deny(_)),
                    "a 401 took the token and no login came of it"
                );
            }
            self.admitted(admit);
            self.calls.push(call);
        }
    }

    fn report(&mut self) {
        let Some(ticket) = self.tickets.pop() else {
            return;
        };
        // Mostly the live one, sometimes one that is long over.
        let ticket = match self.random.below(6) {
            0 if !self.tickets.is_empty() => std::mem::replace(&mut self.tickets[0], ticket),
            _ => ticket,
        };
        let (lands, live) = (self.lands(&ticket), self.is_live(&ticket));
        let before = self.s.token();
        let token = self.token();
        let kind = self.random.below(10);
        match kind {
            0..=3 => drop(self.s.login(ticket, 200, &[&token])),
            4 => drop(self.s.login(ticket, 401, &["authToken="])),
            5 => {
                let response =
                    answer_with(429, "retry-after", self.random.of(&["7", "700", "never"]));
                drop(self.s.reports(ticket, &response));
            }
            6 => drop(self.s.reports(ticket, &response(200, &[]))),
            7 => {
                drop(self.s.fails(ticket, SendFailure::NotSent));
                self.unsent += u64::from(lands);
            }
            8 => drop(self.s.fails(ticket, SendFailure::MaybeSent)),
            _ => self.s.session.abandon(ticket),
        }
        if kind > 3 || !live {
            assert_eq!(
                self.s.token(),
                before,
                "a failed or late login changed the token"
            );
        }
        if lands {
            self.lease = None;
        }
    }

    fn is_live(&self, ticket: &LoginTicket) -> bool {
        self.lands(ticket) && !self.void
    }

    /// As the keeper counts: the newest ticket, not used up. Past its lease it counts until
    /// another is handed out.
    fn lands(&self, ticket: &LoginTicket) -> bool {
        let number = format!("LoginTicket({})", self.orders);
        self.lease.is_some() && format!("{ticket:?}") == number
    }

    /// Whether a login that is not sent yet should be.
    fn is_wanted(&self, ticket: &LoginTicket) -> bool {
        // A login with old credentials is better not sent.
        self.is_live(ticket)
            && self.sent_password == self.password
            && self.lease.is_some_and(|until| until > self.second)
            // A token that came since makes it needless.
            && self.s.session.pass().is_none_or(|pass| pass.generation() <= self.elected_at)
    }

    fn start(&mut self) {
        let Some(ticket) = self.tickets.last() else {
            return;
        };
        let (now, wanted) = (self.s.now(), self.is_wanted(ticket));
        assert_eq!(self.s.session.login_starting(ticket, now), wanted);
        if wanted {
            // The timeout and the margin.
            self.lease = Some(self.second + 40);
            self.started = true;
        }
    }

    fn resume(&mut self) {
        let (Some(record), Some(ticket)) = (self.record.clone(), self.tickets.pop()) else {
            return;
        };
        let live = self.is_wanted(&ticket);
        let lands = self.lands(&ticket);
        match self.s.offer_with(ticket, &record) {
            Resumed::Continue(ticket) => self.tickets.push(ticket),
            Resumed::Adopted(_) | Resumed::Denied(_) => {
                assert!(live);
                self.unsent += 1;
                self.lease = None;
            }
            _ => {
                assert!(!live);
                if lands {
                    self.unsent += 1;
                    self.lease = None;
                }
            }
        }
    }

    fn time(&mut self) {
        self.second += self.random.of(&[0, 0, 1, 1, 5, 30, 60, 200]);
        self.s.at(self.second);
    }

    fn change(&mut self) {
        match self.random.below(6) {
            0 => {
                let _ = self.s.session.logout();
                (self.closed, self.void) = (true, true);
            }
            1 | 2 => {
                self.s.session.reopen();
                self.closed = false;
            }
            step @ (3 | 4) => {
                self.password = if step == 3 { PASSWORD } else { "another" };
                self.s
                    .session
                    .set_credentials(credentials(USER, self.password));
            }
            _ => self.s.session.reset(),
        }
    }

    /// Callers go away: calls and tickets are dropped without a word.
    fn forget(&mut self) {
        self.calls.truncate(8);
        if self.random.below(4) == 0 {
            self.tickets.clear();
        }
    }

    /// Whether a caller would have to wait; asked of the phase, which changes nothing.
    fn seen(&self) -> Seen {
        Seen {
            epoch: self.s.session.epoch(),
            waits: self.s.phase() == Phase::LoggingIn,
        }
    }

    fn check(&mut self, before: &Seen) {
        let phase = self.s.phase();
        assert_eq!(self.closed, phase == Phase::Closed);
        let open = self.s.session.pass().map(Pass::generation);
        assert_eq!(matches!(phase, Phase::Open(_)), open.is_some());
        if self.closed {
            assert!(open.is_none(), "a token while closed");
        }
        if let Some(open) = open {
            assert!(open >= self.generation, "the generation went backwards");
            self.generation = open;
        }
        let generation = self.s.record().generation();
        assert!(generation >= self.generation);
        self.generation = generation;
        let lease_ended = self.lease.is_some_and(|until| until <= self.second);
        if before.waits && !self.seen().waits && !lease_ended {
            assert_ne!(
                self.s.session.epoch(),
                before.epoch,
                "a waiter could go on and was not woken"
            );
        }
        let allowed = 3 + self.second / 120;
        let logins = self.orders - self.unsent;
        assert!(logins <= allowed, "{logins} logins in {} s", self.second);
    }
}

#[test]
fn a_random_walk_keeps_every_promise_at_every_step() {
    let mut opened = 0;
    for seed in 0..40 {
        let mut walk = Walk::new(seed);
        for _ in 0..2500 {
            let before = walk.seen();
            walk.step();
            walk.check(&before);
        }
        opened += walk.generation.number();
        // However it went, it can be had to work again.
        walk.s.session.reopen();
        walk.s.session.reset();
        walk.s.at(walk.second);
        walk.s.pass_time(Duration::from_secs(24 * 3600).as_secs());
        if walk.s.token().is_none() {
            let order = walk.s.order();
            let _ = walk.s.login(order.ticket, 200, &["authToken=LAST"]);
        }
        assert!(walk.s.token().is_some(), "seed {seed}");
    }
    assert!(opened > 1000, "the walk gets somewhere: {opened} tokens");
}
