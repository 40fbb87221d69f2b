//! Two callers of one session that asks a source for its credentials.

use std::time::{Duration, Instant};

use ctc_core::{
    Admit, Call, Credentials, Denial, LoginOutcome, LoginTicket, NoResponse, Phase, SendFailure,
    Session, Wait,
};
use http::{HeaderMap, StatusCode};

use super::parts::{BURST, LEASE, REFILL, base, oauth_session, seconds_of};
use super::{Small, canonical};

const CALLERS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Ask(usize),
    Source(usize, Says),
    Login(usize, Login),
    /// A login task is dropped.
    Lost(usize),
    Close,
    Reopen,
    Reset,
    Pass(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// One of two passwords.
    Password(bool),
    Unavailable,
    Unusable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Token,
    Refused,
    /// It is not about the credentials.
    WrongSetUp,
    NoAnswer,
}

enum At {
    Idle,
    Asks(LoginTicket),
    /// With which password, and how often the source was asked.
    Leads(LoginTicket, bool, u32),
    /// The server refused this password, and the source is asked again.
    AsksAgain(LoginTicket, bool),
    Waits(Wait),
}

pub(crate) struct Source {
    session: Session,
    base: Instant,
    now: u64,
    callers: Vec<At>,
    sent: Vec<u64>,
    out: Option<(usize, u64)>,
    /// No login is made until somebody resets.
    stopped: bool,
    closed: bool,
}

impl Small for Source {
    type Event = Event;

    fn new() -> Self {
        Self {
            session: oauth_session(false),
            base: base(),
            now: 0,
            callers: (0..CALLERS).map(|_| At::Idle).collect(),
            sent: Vec::new(),
            out: None,
            stopped: false,
            closed: false,
        }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = vec![Event::Pass(LEASE + 1), Event::Pass(REFILL)];
        events.push(if self.closed {
            Event::Reopen
        } else {
            Event::Close
        });
        if self.stopped {
            events.push(Event::Reset);
        }
        for (i, caller) in self.callers.iter().enumerate() {
            match caller {
                At::Idle => events.push(Event::Ask(i)),
                At::Asks(_) | At::AsksAgain(..) => {
                    let says = [
                        Says::Password(false),
                        Says::Password(true),
                        Says::Unavailable,
                        Says::Unusable,
                    ];
                    events.extend(says.map(|says| Event::Source(i, says)));
                    events.push(Event::Lost(i));
                }
                At::Leads(..) => {
                    let logins = [
                        Login::Token,
                        Login::Refused,
                        Login::WrongSetUp,
                        Login::NoAnswer,
                    ];
                    events.extend(logins.map(|login| Event::Login(i, login)));
                    events.push(Event::Lost(i));
                }
                At::Waits(wait) => {
                    if self.session.epoch() != wait.epoch || wait.deadline <= self.instant() {
                        events.push(Event::Ask(i));
                    }
                }
            }
        }
        events
    }

    fn apply(&mut self, event: Event) -> Result<(), String> {
        let before = self.session.pass().is_some();
        match event {
            Event::Ask(i) => self.ask(i)?,
            Event::Source(i, says) => self.source(i, says)?,
            Event::Login(i, login) => self.login(i, login)?,
            Event::Lost(i) => self.lose(i),
            Event::Close => {
                self.session.close();
                self.closed = true;
            }
            Event::Reopen => {
                self.session.reopen();
                self.closed = false;
            }
            Event::Reset => {
                self.session.reset();
                self.stopped = false;
            }
            Event::Pass(seconds) => self.now += seconds,
        }
        self.check(event, before)
    }

    fn state(&self) -> String {
        let second = seconds_of(self.instant());
        let mut callers: Vec<_> = self
            .callers
            .iter()
            .enumerate()
            .map(|(i, caller)| {
                let is_out = self.out.is_some_and(|(leader, _)| leader == i);
                match caller {
                    At::Idle => "idle".to_owned(),
                    At::Asks(_) => format!("asks {is_out}"),
                    At::Leads(_, password, questions) => {
                        format!("leads {is_out} {password} {questions}")
                    }
                    At::AsksAgain(_, password) => format!("asks again {is_out} {password}"),
                    At::Waits(wait) => format!("waits {}", self.session.epoch() == wait.epoch),
                }
            })
            .collect();
        callers.sort(); // who is who makes no difference
        let recent: Vec<_> = self.sent.iter().map(|at| self.now - at).collect();
        format!(
            "{}|{}|{callers:?}|{recent:?}|{} {:?}",
            canonical(&self.session, second),
            // Which password it has: `Debug` does not tell.
            self.session.seal_seed().as_bytes()[0],
            self.stopped,
            self.out.map(|(_, at)| self.now - at)
        )
    }
}

impl Source {
    fn instant(&self) -> Instant {
        self.base + Duration::from_secs(self.now)
    }

    fn ask(&mut self, i: usize) -> Result<(), String> {
        let now = self.instant();
        let flying = self.out.is_some_and(|(_, until)| self.now < until);
        self.callers[i] = match self.session.admit(&mut Call::new(true), now) {
            Admit::NeedCredentials(ticket) => {
                if flying {
                    return Err("G1: two are elected at once".into());
                }
                if self.closed || self.stopped {
                    return Err("G5: a login while closed, rejected or without credentials".into());
                }
                self.out = Some((i, self.now + LEASE));
                At::Asks(ticket)
            }
            Admit::Login(_) => return Err("G5: a login without a question".into()),
            Admit::Wait(_) if !flying => {
                return Err("G7: waits for a login that nobody makes".into());
            }
            Admit::Wait(wait) => At::Waits(wait),
            Admit::Proceed(_) | Admit::Deny(_) => At::Idle,
        };
        Ok(())
    }

    fn source(&mut self, i: usize, says: Says) -> Result<(), String> {
        match std::mem::replace(&mut self.callers[i], At::Idle) {
            At::Asks(ticket) => self.first(i, ticket, says),
            At::AsksAgain(ticket, refused) => self.second(i, ticket, refused, says),
            other => {
                self.callers[i] = other;
                Ok(())
            }
        }
    }

    fn first(&mut self, i: usize, ticket: LoginTicket, says: Says) -> Result<(), String> {
        let (now, counts) = (self.instant(), self.counts(i));
        let Says::Password(password) = says else {
            let is_transient = says == Says::Unavailable;
            let why = match is_transient {
                true => NoResponse::CredentialsUnavailable,
                false => NoResponse::CredentialsUnusable,
            };
            let outcome = self.session.login_failed(ticket, why, now);
            let is_failed = matches!(outcome, LoginOutcome::Failed(_));
            self.stopped |= is_failed && !is_transient;
            self.lands(i);
            return if is_failed && !counts {
                Err("G1: a report that no longer counts changes something".into())
            } else {
                Ok(())
            };
        };
        match self
            .session
            .login_with(&ticket, &credentials(password), now)
        {
            Some(_) => self.sends(i, ticket, password, 1),
            None => {
                self.session.cancel_unsent(ticket, now);
                self.lands(i);
                Ok(())
            }
        }
    }

    fn second(
        &mut self,
        i: usize,
        ticket: LoginTicket,
        refused: bool,
        says: Says,
    ) -> Result<(), String> {
        let now = self.instant();
        if let Says::Password(password) = says
            && self
                .session
                .login_again(&ticket, &credentials(password), now)
                .is_some()
        {
            if password == refused {
                return Err("G5: the same credentials are sent again".into());
            }
            return self.sends(i, ticket, password, 2);
        }
        self.reports(i, ticket, Login::Refused)
    }

    /// The login goes out.
    fn sends(
        &mut self,
        i: usize,
        ticket: LoginTicket,
        password: bool,
        questions: u32,
    ) -> Result<(), String> {
        let now = self.instant();
        if !self.session.login_starting(&ticket, now) {
            return Err("G12: a login is not wanted at once".into());
        }
        if self.closed || self.stopped {
            return Err("G5: a login while closed, rejected or without credentials".into());
        }
        if !self.counts(i) {
            return Err("G1: a login goes out though another caller was elected".into());
        }
        self.out = Some((i, self.now + LEASE));
        self.sent.push(self.now);
        let spent = |since: &u64, count: u64| count > BURST + (self.now - since) / REFILL;
        let mut spans = self.sent.iter().rev().zip(1..);
        if spans.any(|(since, count)| spent(since, count)) {
            return Err("G2: more logins than the budget allows".into());
        }
        self.callers[i] = At::Leads(ticket, password, questions);
        Ok(())
    }

    fn login(&mut self, i: usize, login: Login) -> Result<(), String> {
        let caller = std::mem::replace(&mut self.callers[i], At::Idle);
        let At::Leads(ticket, password, questions) = caller else {
            self.callers[i] = caller;
            return Ok(());
        };
        let asks = login != Login::NoAnswer && self.read(login).rejects_credentials();
        if asks != (login == Login::Refused) {
            return Err("G3: a refusal of the credentials is mistaken for another".into());
        }
        if asks && questions == 1 {
            self.callers[i] = At::AsksAgain(ticket, password);
            return Ok(());
        }
        self.reports(i, ticket, login)
    }

    fn reports(&mut self, i: usize, ticket: LoginTicket, login: Login) -> Result<(), String> {
        let (now, counts) = (self.instant(), self.counts(i));
        let outcome = if login == Login::NoAnswer {
            self.session
                .login_failed(ticket, SendFailure::MaybeSent, now)
        } else {
            let reading = self.read(login);
            self.session.login_response(ticket, reading, now)
        };
        if !counts && !matches!(outcome, LoginOutcome::Stale { .. }) {
            return Err("G1: a report that no longer counts changes something".into());
        }
        if let LoginOutcome::Failed(denial) = &outcome {
            self.stopped |= matches!(denial, Denial::Rejected { .. });
        }
        self.lands(i);
        Ok(())
    }

    fn read(&self, login: Login) -> ctc_core::LoginReading {
        let (status, body) = match login {
            Login::Token => (
                200,
                r#"{"token_type":"Bearer","access_token":"CANARY-TOKEN"}"#,
            ),
            Login::WrongSetUp => (401, r#"{"error":"invalid_client"}"#),
            Login::Refused | Login::NoAnswer => (400, r#"{"error":"invalid_grant"}"#),
        };
        let status = StatusCode::from_u16(status).unwrap_or_default();
        let reader = self.session.login_reader();
        reader.read(status, &HeaderMap::new(), body.as_bytes())
    }

    fn lose(&mut self, i: usize) {
        let now = self.instant();
        match std::mem::replace(&mut self.callers[i], At::Idle) {
            At::Asks(ticket) => self.session.cancel_unsent(ticket, now),
            At::Leads(ticket, ..) | At::AsksAgain(ticket, _) => self.session.abandon(ticket),
            other => {
                self.callers[i] = other;
                return;
            }
        }
        self.lands(i);
    }

    /// Nobody else was elected since.
    fn counts(&self, i: usize) -> bool {
        self.out.is_some_and(|(leader, _)| leader == i)
    }

    fn lands(&mut self, i: usize) {
        self.out = self.out.filter(|(leader, _)| *leader != i);
    }

    fn check(&self, event: Event, before: bool) -> Result<(), String> {
        let (now, after) = (self.instant(), self.session.pass().is_some());
        if before && !after && event != Event::Close {
            return Err(format!("G6: the token is gone by {event:?}"));
        }
        let settled = self.out.is_none() || after || self.closed;
        let stuck = self.callers.iter().any(|caller| match caller {
            At::Waits(wait) => settled && wait.epoch == self.session.epoch(),
            _ => false,
        });
        if stuck {
            return Err("G7: a waiter is not told of a change".into());
        }
        if self.closed != (self.session.phase(now) == Phase::Closed) {
            return Err("G5: closed and not closed".into());
        }
        if format!("{:?}", self.session).contains("CANARY") {
            return Err("G9: a secret is printed".into());
        }
        Ok(())
    }
}

fn credentials(password: bool) -> Credentials {
    Credentials::new("CANARY-USER", format!("CANARY-PASSWORD-{password}"))
        .unwrap_or_else(|_| unreachable!("neither is empty"))
}
