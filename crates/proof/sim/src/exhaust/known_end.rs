//! Two callers of one OAuth session whose token has a known end, with both windows of its renewal.

use ctc_core::{Admit, Call, Denial, LoginOutcome, LoginTicket, Route, SendFailure, Verdict, Wait};
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};

use super::Small;
use super::parts::{ADVISED, LEASE, LIFE, MANDATORY, SHORT, oauth_session};
use super::stage::{Stage, Verb, instant};

const CALLERS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Ask(usize),
    Fine(usize),
    Unauthorized(usize),
    /// A 401 that says that the token's scope is too small.
    SmallScope(usize),
    Login(usize, Login),
    /// A login task is dropped before it sent anything.
    Lost(usize),
    Verb(Verb),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// A token with a lifetime of so many seconds; 0: the server states none.
    Token(u64),
    Refused,
    Unavailable,
    NoAnswer,
    NotSent,
}

enum At {
    Idle(Call),
    OnTheWire(Call),
    /// Since when.
    Leads(Call, LoginTicket, u64),
    Waits(Call, Wait),
}

/// A token's life, from the moment that its login was sent.
#[derive(Clone, Copy)]
struct Life {
    sent: u64,
    span: u64,
}

pub(crate) struct KnownEnd {
    stage: Stage,
    callers: Vec<At>,
    life: Option<Life>,
    serial: u64,
}

impl Small for KnownEnd {
    type Event = Event;

    fn new() -> Self {
        Self {
            stage: Stage::new(oauth_session(true)),
            callers: (0..CALLERS).map(|_| At::Idle(Call::new(true))).collect(),
            life: None,
            serial: 0,
        }
    }

    fn events(&self) -> Vec<Event> {
        // To the start of each window, past a backoff, and past the token's end.
        let spans = [LEASE + 1, LIFE - ADVISED, LIFE - MANDATORY, LIFE].map(Verb::Pass);
        let verbs = spans.into_iter().chain([self.stage.close_or_reopen()]);
        let reset = self.stage.stopped.then_some(Verb::Reset);
        let mut events: Vec<_> = verbs.chain(reset).map(Event::Verb).collect();
        for (i, caller) in self.callers.iter().enumerate() {
            match caller {
                At::Idle(_) => events.push(Event::Ask(i)),
                At::OnTheWire(_) => {
                    events.extend([Event::Fine(i), Event::Unauthorized(i), Event::SmallScope(i)]);
                }
                At::Leads(..) => {
                    let logins = [
                        Login::Token(LIFE),
                        Login::Token(SHORT),
                        Login::Token(0),
                        Login::Refused,
                        Login::Unavailable,
                        Login::NoAnswer,
                        Login::NotSent,
                    ];
                    events.extend(logins.map(|login| Event::Login(i, login)));
                    events.push(Event::Lost(i));
                }
                At::Waits(_, wait) => {
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
            Event::Fine(i) => self.response(i, StatusCode::OK, None)?,
            Event::Unauthorized(i) => {
                self.response(i, StatusCode::UNAUTHORIZED, Some("invalid_token"))?;
            }
            Event::SmallScope(i) => {
                self.response(i, StatusCode::UNAUTHORIZED, Some("insufficient_scope"))?;
            }
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
            .map(|(i, caller)| match caller {
                At::Idle(call) => format!("idle {call:?}"),
                At::OnTheWire(call) => format!("wire {call:?}"),
                At::Leads(call, ..) => format!("leads {} {call:?}", self.stage.counts(i)),
                At::Waits(call, wait) => format!("waits {} {call:?}", self.stage.is_told(wait)),
            })
            .collect();
        let life = self
            .life
            .map(|life| (self.stage.now - life.sent, life.span));
        self.stage.state(callers, &format!("{life:?}"))
    }
}

impl KnownEnd {
    /// Whether the token is within so many seconds of its known end, or past it.
    fn is_within(&self, window: u64) -> bool {
        let life = self.life.filter(|life| life.span == LIFE);
        life.is_some_and(|life| self.stage.now >= life.sent + life.span - window)
    }

    fn ask(&mut self, i: usize) -> Result<(), String> {
        let (now, held) = (self.stage.instant(), self.stage.held());
        let mut call = match std::mem::replace(&mut self.callers[i], At::Idle(Call::new(true))) {
            At::Idle(call) | At::Waits(call, _) => call,
            other => {
                self.callers[i] = other;
                return Ok(());
            }
        };
        let had_login = self.stage.has_login();
        let is_due = self.stage.session.renewal_is_due(now);
        let admit = self.stage.session.admit(&mut call, now);
        let has_token = held.is_some();
        if has_token && is_due == matches!(admit, Admit::Proceed(_)) {
            return Err(
                "G7: a renewal that is due is not asked for, or the other way round".into(),
            );
        }
        match admit {
            Admit::Proceed(_) => {
                if had_login && self.is_within(MANDATORY) {
                    return Err("G3: nobody waits for a renewal although the end is near".into());
                }
                self.callers[i] = At::OnTheWire(call);
            }
            Admit::Login(order) => {
                // Started at once: a login that is not started counts as unsent when its lease
                // expires.
                if !self.stage.session.login_starting(&order.ticket, now) {
                    return Err("G12: a login is not wanted at its election".into());
                }
                self.callers[i] = At::Leads(call, order.ticket, self.stage.now);
                if has_token && !self.is_within(ADVISED) {
                    return Err("G3: a login although there is a good token".into());
                }
                self.stage.elects(i, had_login)?;
                self.stage.charges()?;
            }
            Admit::Wait(wait) => {
                if !had_login {
                    return Err("G7: waits for a login that nobody makes".into());
                }
                if has_token && !self.is_within(MANDATORY) {
                    return Err("G7: waits although the token serves".into());
                }
                self.callers[i] = At::Waits(call, wait);
            }
            Admit::NeedCredentials(_) => unreachable!(),
            Admit::Deny(Denial::Closed) if self.stage.closed => {}
            Admit::Deny(denial) if has_token => {
                return Err(format!("G6: denied although the token serves: {denial}"));
            }
            Admit::Deny(_) => {}
        }
        Ok(())
    }

    fn response(
        &mut self,
        i: usize,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<(), String> {
        let (now, before) = (self.stage.instant(), self.stage.held());
        let mut headers = HeaderMap::new();
        let challenge = error.map(|error| format!("Bearer error=\"{error}\""));
        if let Some(challenge) = challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        let idle = At::Idle(Call::new(true));
        let At::OnTheWire(mut call) = std::mem::replace(&mut self.callers[i], idle) else {
            return Ok(());
        };
        let carried = call.generation().map(ctc_core::Generation::number);
        let route = Route::new(&Method::GET, "/");
        let verdict = self
            .stage
            .session
            .observe(&mut call, route, status, &headers, now);
        if verdict == Verdict::Replay {
            self.callers[i] = At::Idle(call);
        }
        let is_about_token = error == Some("invalid_token");
        if !is_about_token && verdict == Verdict::Replay {
            return Err("G4: only a 401 about the token is sent again".into());
        }
        if before.is_some() && self.stage.held().is_none() && (!is_about_token || carried != before)
        {
            return Err("G4: the token is gone, and no report was about it".into());
        }
        Ok(())
    }

    fn login(&mut self, i: usize, login: Login) -> Result<(), String> {
        let now = self.stage.instant();
        let idle = At::Idle(Call::new(true));
        let At::Leads(call, ticket, since) = std::mem::replace(&mut self.callers[i], idle) else {
            return Ok(());
        };
        self.callers[i] = At::Idle(call);
        let sent = self.stage.counts(i).then_some(since);
        self.serial += 1;
        let (status, body) = match login {
            Login::Token(life) => (200, token(self.serial, life)),
            Login::Refused => (400, r#"{"error":"invalid_grant"}"#.to_owned()),
            _ => (503, String::new()),
        };
        let outcome = match login {
            Login::NoAnswer => self
                .stage
                .session
                .login_failed(ticket, SendFailure::MaybeSent, now),
            Login::NotSent => self
                .stage
                .session
                .login_failed(ticket, SendFailure::NotSent, now),
            _ => {
                let status = StatusCode::from_u16(status).unwrap_or_default();
                let reader = self.stage.session.login_reader();
                let reading = reader.read(status, &HeaderMap::new(), body.as_bytes());
                self.stage.session.login_response(ticket, reading, now)
            }
        };
        match (&outcome, login, sent) {
            (LoginOutcome::Stale { .. }, ..) => {}
            (_, _, None) => {
                return Err("G1: a report that no longer counts changes something".into());
            }
            (LoginOutcome::Opened(_), Login::Token(span), Some(sent)) => {
                self.life = (span > 0).then_some(Life { sent, span });
            }
            (LoginOutcome::Failed(denial), ..) => {
                self.stage.stopped |= matches!(denial, Denial::Rejected { .. });
            }
            _ => return Err(format!("G6: {login:?} gives {outcome:?}")),
        }
        match login {
            Login::NotSent => self.stage.lands_unsent(i),
            _ => self.stage.lands(i),
        }
        Ok(())
    }

    /// As in the driver: with a token there is a backoff, and no caller is denied.
    fn lose(&mut self, i: usize) {
        let (now, has_token) = (
            self.stage.instant(),
            self.stage.session.is_renewing(self.stage.instant()),
        );
        let idle = At::Idle(Call::new(true));
        let At::Leads(call, ticket, _) = std::mem::replace(&mut self.callers[i], idle) else {
            return;
        };
        self.callers[i] = At::Idle(call);
        if has_token {
            let _ = self
                .stage
                .session
                .login_failed(ticket, SendFailure::NotSent, now);
        } else {
            self.stage.session.cancel_unsent(ticket, now);
        }
        self.stage.lands_unsent(i);
    }

    fn check(&self, event: Event, before: Option<u64>) -> Result<(), String> {
        let after = self.stage.held();
        if matches!(event, Event::Login(..)) && before.is_some() && after.is_none() {
            return Err("G6: a failed renewal takes the token away".into());
        }
        let stated = self.life.filter(|_| after.is_some());
        let end = stated.map(|life| instant(life.sent + life.span));
        if self.stage.session.known_end() != end {
            return Err("G3: the known end is not the one that was stated".into());
        }
        let waits = self.callers.iter().filter_map(|caller| match caller {
            At::Waits(_, wait) => Some(wait),
            _ => None,
        });
        let is_settled = self.stage.nobody_logs_in() || self.stage.closed;
        self.stage.check(waits, is_settled)
    }
}

fn token(serial: u64, life: u64) -> String {
    let life = match life {
        0 => String::new(),
        life => format!(r#","expires_in":{life}"#),
    };
    format!(r#"{{"token_type":"Bearer","access_token":"CANARY-{serial}"{life}}}"#)
}
