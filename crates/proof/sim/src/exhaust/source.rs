//! Two callers of one session that asks a source for its credentials.

use ctc_core::{
    Admit, Call, Credentials, Denial, LoginOutcome, LoginTicket, NoResponse, SendFailure, Wait,
};
use http::{HeaderMap, StatusCode};

use super::Small;
use super::parts::{LEASE, REFILL, oauth_session};
use super::stage::{Stage, Verb};

const CALLERS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Ask(usize),
    Source(usize, Says),
    Login(usize, Login),
    /// A login task is dropped.
    Lost(usize),
    Verb(Verb),
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
    /// The password, and how often the source was asked.
    Leads(LoginTicket, bool, u32),
    /// The server rejected this password, and the source is asked again.
    AsksAgain(LoginTicket, bool),
    Waits(Wait),
}

pub(crate) struct Source {
    stage: Stage,
    callers: Vec<At>,
}

impl Small for Source {
    type Event = Event;

    fn new() -> Self {
        Self {
            stage: Stage::new(oauth_session(false)),
            callers: (0..CALLERS).map(|_| At::Idle).collect(),
        }
    }

    fn events(&self) -> Vec<Event> {
        let spans = [LEASE + 1, REFILL].map(Verb::Pass);
        let verbs = spans.into_iter().chain([self.stage.close_or_reopen()]);
        let reset = self.stage.stopped.then_some(Verb::Reset);
        let mut events: Vec<_> = verbs.chain(reset).map(Event::Verb).collect();
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
                    if self.stage.is_over(wait) {
                        events.push(Event::Ask(i));
                    }
                }
            }
        }
        events
    }

    fn apply(&mut self, event: Event) -> Result<(), String> {
        let before = self.stage.held();
        match event {
            Event::Ask(i) => self.ask(i)?,
            Event::Source(i, says) => self.source(i, says)?,
            Event::Login(i, login) => self.login(i, login)?,
            Event::Lost(i) => self.lose(i),
            Event::Verb(verb) => self.stage.apply(verb),
        }
        self.check(event, before)
    }

    fn state(&self) -> String {
        let callers = self
            .callers
            .iter()
            .enumerate()
            .map(|(i, caller)| {
                let is_out = self.stage.counts(i);
                match caller {
                    At::Idle => "idle".to_owned(),
                    At::Asks(_) => format!("asks {is_out}"),
                    At::Leads(_, password, questions) => {
                        format!("leads {is_out} {password} {questions}")
                    }
                    At::AsksAgain(_, password) => format!("asks again {is_out} {password}"),
                    At::Waits(wait) => format!("waits {}", self.stage.is_told(wait)),
                }
            })
            .collect();
        // `Debug` does not show which password the session has.
        let password = self.stage.session.seal_seed().as_bytes()[0];
        self.stage.state(callers, &password.to_string())
    }
}

impl Source {
    fn ask(&mut self, i: usize) -> Result<(), String> {
        let (now, had_login) = (self.stage.instant(), self.stage.has_login());
        self.callers[i] = match self.stage.session.admit(&mut Call::new(true), now) {
            Admit::NeedCredentials(ticket) => {
                self.stage.elects(i, had_login)?;
                At::Asks(ticket)
            }
            Admit::Login(_) => return Err("G5: a login without a question".into()),
            Admit::Wait(_) if !had_login => {
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
        let (now, counts) = (self.stage.instant(), self.stage.counts(i));
        let Says::Password(password) = says else {
            let is_transient = says == Says::Unavailable;
            let why = match is_transient {
                true => NoResponse::CredentialsUnavailable,
                false => NoResponse::CredentialsUnusable,
            };
            let outcome = self.stage.session.login_failed(ticket, why, now);
            let is_failed = matches!(outcome, LoginOutcome::Failed(_));
            self.stage.stopped |= is_failed && !is_transient;
            self.stage.lands(i);
            return if is_failed && !counts {
                Err("G1: a report that no longer counts changes something".into())
            } else {
                Ok(())
            };
        };
        match self
            .stage
            .session
            .login_with(&ticket, &credentials(password), now)
        {
            Some(_) => self.sends(i, ticket, password, 1),
            None => {
                self.stage.session.cancel_unsent(ticket, now);
                self.stage.lands(i);
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
        let now = self.stage.instant();
        if let Says::Password(password) = says
            && self
                .stage
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

    /// Sends the login.
    fn sends(
        &mut self,
        i: usize,
        ticket: LoginTicket,
        password: bool,
        questions: u32,
    ) -> Result<(), String> {
        let now = self.stage.instant();
        if !self.stage.session.login_starting(&ticket, now) {
            return Err("G12: a login is not wanted at once".into());
        }
        if !self.stage.counts(i) {
            return Err("G1: a login goes out though another caller was elected".into());
        }
        // Once sent, it has its whole lease again.
        self.stage.elects(i, false)?;
        self.stage.charges()?;
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
        let (now, counts) = (self.stage.instant(), self.stage.counts(i));
        let outcome = if login == Login::NoAnswer {
            self.stage
                .session
                .login_failed(ticket, SendFailure::MaybeSent, now)
        } else {
            let reading = self.read(login);
            self.stage.session.login_response(ticket, reading, now)
        };
        if !counts && !matches!(outcome, LoginOutcome::Stale { .. }) {
            return Err("G1: a report that no longer counts changes something".into());
        }
        if let LoginOutcome::Failed(denial) = &outcome {
            self.stage.stopped |= matches!(denial, Denial::Rejected { .. });
        }
        self.stage.lands(i);
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
        let reader = self.stage.session.login_reader();
        reader.read(status, &HeaderMap::new(), body.as_bytes())
    }

    fn lose(&mut self, i: usize) {
        let now = self.stage.instant();
        match std::mem::replace(&mut self.callers[i], At::Idle) {
            At::Asks(ticket) => self.stage.session.cancel_unsent(ticket, now),
            At::Leads(ticket, ..) | At::AsksAgain(ticket, _) => self.stage.session.abandon(ticket),
            other => {
                self.callers[i] = other;
                return;
            }
        }
        self.stage.lands(i);
    }

    fn check(&self, event: Event, before: Option<u64>) -> Result<(), String> {
        let after = self.stage.held();
        if before.is_some() && after.is_none() && event != Event::Verb(Verb::Close) {
            return Err(format!("G6: the token is gone by {event:?}"));
        }
        let waits = self.callers.iter().filter_map(|caller| match caller {
            At::Waits(wait) => Some(wait),
            _ => None,
        });
        let is_settled = self.stage.nobody_logs_in() || after.is_some() || self.stage.closed;
        self.stage.check(waits, is_settled)
    }
}

fn credentials(password: bool) -> Credentials {
    Credentials::new("CANARY-USER", format!("CANARY-PASSWORD-{password}"))
        .unwrap_or_else(|_| unreachable!("neither is empty"))
}
