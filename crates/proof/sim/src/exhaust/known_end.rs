//! Two callers of one OAuth session whose token has a known end, with both windows of its renewal.

use std::time::{Duration, Instant};

use ctc_core::{
    Admit, Call, Denial, LoginOutcome, LoginTicket, Phase, Route, SendFailure, Session, Verdict,
    Wait,
};
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};

use super::parts::{
    ADVISED, BURST, LEASE, LIFE, MANDATORY, REFILL, SHORT, base, oauth_session, seconds_of,
};
use super::{Small, canonical};

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
    Close,
    Reopen,
    Reset,
    Pass(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// A token of this many seconds; 0: nothing is said.
    Token(u64),
    Refused,
    Unavailable,
    NoAnswer,
    NotSent,
}

enum At {
    Idle(Call),
    OnTheWire(Call),
    Leads(Call, LoginTicket),
    Waits(Call, Wait),
}

/// A token's life, from the moment that its login was sent.
#[derive(Clone, Copy)]
struct Life {
    sent: u64,
    span: u64,
}

pub(crate) struct KnownEnd {
    session: Session,
    base: Instant,
    now: u64,
    callers: Vec<At>,
    elected: Vec<u64>,
    out: Option<(usize, u64)>,
    life: Option<Life>,
    serial: u64,
    rejected: bool,
    closed: bool,
}

impl Small for KnownEnd {
    type Event = Event;

    fn new() -> Self {
        Self {
            session: oauth_session(true),
            base: base(),
            now: 0,
            callers: (0..CALLERS).map(|_| At::Idle(Call::new(true))).collect(),
            elected: Vec::new(),
            out: None,
            life: None,
            serial: 0,
            rejected: false,
            closed: false,
        }
    }

    fn events(&self) -> Vec<Event> {
        // To the windows' beginnings, over the pauses, and past the end.
        let spans = [LEASE + 1, LIFE - ADVISED, LIFE - MANDATORY, LIFE];
        let mut events = spans.map(Event::Pass).to_vec();
        events.push(if self.closed {
            Event::Reopen
        } else {
            Event::Close
        });
        if self.rejected {
            events.push(Event::Reset);
        }
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
                    if self.session.epoch() != wait.epoch || wait.deadline <= self.instant() {
                        events.push(Event::Ask(i));
                    }
                }
            }
        }
        events
    }

    fn apply(&mut self, event: Event) -> Result<(), String> {
        let before = self.held();
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
                self.rejected = false;
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
            .map(|(i, caller)| match caller {
                At::Idle(call) => format!("idle {call:?}"),
                At::OnTheWire(call) => format!("wire {call:?}"),
                At::Leads(call, _) => {
                    format!(
                        "leads {} {call:?}",
                        self.out.is_some_and(|(leader, _)| leader == i)
                    )
                }
                At::Waits(call, wait) => {
                    format!("waits {} {call:?}", self.session.epoch() == wait.epoch)
                }
            })
            .collect();
        callers.sort(); // who is who makes no difference
        let recent: Vec<_> = self.elected.iter().map(|at| self.now - at).collect();
        let life = self.life.map(|life| (self.now - life.sent, life.span));
        format!(
            "{}|{callers:?}|{recent:?}|{} {:?} {life:?}",
            canonical(&self.session, second),
            self.rejected,
            self.out.map(|(_, at)| self.now - at)
        )
    }
}

impl KnownEnd {
    fn instant(&self) -> Instant {
        self.base + Duration::from_secs(self.now)
    }

    fn held(&self) -> Option<u64> {
        self.session.pass().map(|pass| pass.generation().number())
    }

    /// Whether the token is within so many seconds of its known end, or past it.
    fn is_within(&self, window: u64) -> bool {
        let life = self.life.filter(|life| life.span == LIFE);
        life.is_some_and(|life| self.now >= life.sent + life.span - window)
    }

    fn ask(&mut self, i: usize) -> Result<(), String> {
        let (now, held) = (self.instant(), self.held());
        let mut call = match std::mem::replace(&mut self.callers[i], At::Idle(Call::new(true))) {
            At::Idle(call) | At::Waits(call, _) => call,
            other => {
                self.callers[i] = other;
                return Ok(());
            }
        };
        let is_due = self.session.renewal_is_due(now);
        let admit = self.session.admit(&mut call, now);
        let flying = self.out.is_some_and(|(_, at)| self.now < at + LEASE);
        let has_token = held.is_some();
        if has_token && is_due == matches!(admit, Admit::Proceed(_)) {
            return Err(
                "G7: a renewal that is due is not asked for, or the other way round".into(),
            );
        }
        match admit {
            Admit::Proceed(_) => {
                if flying && self.is_within(MANDATORY) {
                    return Err("G3: nobody waits for a renewal although the end is near".into());
                }
                self.callers[i] = At::OnTheWire(call);
            }
            Admit::Login(order) => {
                // Announced at once: a login that is not counts as unsent when its lease ends.
                if !self.session.login_starting(&order.ticket, now) {
                    return Err("G12: a login is not wanted at its election".into());
                }
                self.callers[i] = At::Leads(call, order.ticket);
                self.elects(i, has_token, flying)?;
            }
            Admit::Wait(wait) => {
                if !flying {
                    return Err("G7: waits for a login that nobody makes".into());
                }
                if has_token && !self.is_within(MANDATORY) {
                    return Err("G7: waits although the token serves".into());
                }
                self.callers[i] = At::Waits(call, wait);
            }
            Admit::NeedCredentials(_) => unreachable!(),
            Admit::Deny(Denial::Closed) if self.closed => {}
            Admit::Deny(denial) if has_token => {
                return Err(format!("G6: denied although the token serves: {denial}"));
            }
            Admit::Deny(_) => {}
        }
        Ok(())
    }

    fn elects(&mut self, i: usize, has_token: bool, flying: bool) -> Result<(), String> {
        if flying {
            return Err("G1: two logins at once".into());
        }
        if self.closed || self.rejected {
            return Err("G5: a login while closed or rejected".into());
        }
        if has_token && !self.is_within(ADVISED) {
            return Err("G3: a login although there is a good token".into());
        }
        self.out = Some((i, self.now));
        self.elected.push(self.now);
        let spent = |since: &u64, count: u64| count > BURST + (self.now - since) / REFILL;
        let mut spans = self.elected.iter().rev().zip(1..);
        if spans.any(|(since, count)| spent(since, count)) {
            return Err("G2: more logins than the budget allows".into());
        }
        Ok(())
    }

    fn response(
        &mut self,
        i: usize,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<(), String> {
        let (now, before) = (self.instant(), self.held());
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
            .session
            .observe(&mut call, route, status, &headers, now);
        if verdict == Verdict::Replay {
            self.callers[i] = At::Idle(call);
        }
        let is_about_token = error == Some("invalid_token");
        if !is_about_token && verdict == Verdict::Replay {
            return Err("G4: only a 401 about the token is sent again".into());
        }
        if before.is_some() && self.held().is_none() && (!is_about_token || carried != before) {
            return Err("G4: the token is gone, and no report was about it".into());
        }
        Ok(())
    }

    fn login(&mut self, i: usize, login: Login) -> Result<(), String> {
        let now = self.instant();
        let idle = At::Idle(Call::new(true));
        let At::Leads(call, ticket) = std::mem::replace(&mut self.callers[i], idle) else {
            return Ok(());
        };
        self.callers[i] = At::Idle(call);
        let sent = self.out.filter(|(leader, _)| *leader == i);
        self.serial += 1;
        let (status, body) = match login {
            Login::Token(life) => (200, token(self.serial, life)),
            Login::Refused => (400, r#"{"error":"invalid_grant"}"#.to_owned()),
            _ => (503, String::new()),
        };
        let outcome = match login {
            Login::NoAnswer => self
                .session
                .login_failed(ticket, SendFailure::MaybeSent, now),
            Login::NotSent => self.session.login_failed(ticket, SendFailure::NotSent, now),
            _ => {
                let status = StatusCode::from_u16(status).unwrap_or_default();
                let reader = self.session.login_reader();
                let reading = reader.read(status, &HeaderMap::new(), body.as_bytes());
                self.session.login_response(ticket, reading, now)
            }
        };
        match (&outcome, login, sent) {
            (LoginOutcome::Stale { .. }, ..) => {}
            (_, _, None) => {
                return Err("G1: a report that no longer counts changes something".into());
            }
            (LoginOutcome::Opened(_), Login::Token(span), Some((_, sent))) => {
                self.life = (span > 0).then_some(Life { sent, span });
            }
            (LoginOutcome::Failed(denial), ..) => {
                self.rejected |= matches!(denial, Denial::Rejected { .. });
            }
            _ => return Err(format!("G6: {login:?} gives {outcome:?}")),
        }
        if login == Login::NotSent && sent.is_some() {
            self.elected.pop();
        }
        self.lands(i);
        Ok(())
    }

    /// As the driver does it: with a token there is a pause, and nobody is denied.
    fn lose(&mut self, i: usize) {
        let (now, has_token) = (self.instant(), self.session.is_renewing(self.instant()));
        let idle = At::Idle(Call::new(true));
        let At::Leads(call, ticket) = std::mem::replace(&mut self.callers[i], idle) else {
            return;
        };
        self.callers[i] = At::Idle(call);
        if has_token {
            let _ = self.session.login_failed(ticket, SendFailure::NotSent, now);
        } else {
            self.session.cancel_unsent(ticket, now);
        }
        if self.out.is_some_and(|(leader, _)| leader == i) {
            self.elected.pop();
        }
        self.lands(i);
    }

    fn lands(&mut self, i: usize) {
        self.out = self.out.filter(|(leader, _)| *leader != i);
    }

    fn check(&self, event: Event, before: Option<u64>) -> Result<(), String> {
        let (now, after) = (self.instant(), self.held());
        if matches!(event, Event::Login(..)) && before.is_some() && after.is_none() {
            return Err("G6: a failed renewal takes the token away".into());
        }
        let stated = self.life.filter(|_| after.is_some());
        let end = stated.map(|life| self.base + Duration::from_secs(life.sent + life.span));
        if self.session.known_end() != end {
            return Err("G3: the known end is not the one that was stated".into());
        }
        let settled = self.out.is_none() || self.closed;
        let stuck = self.callers.iter().any(|caller| match caller {
            At::Waits(_, wait) => settled && wait.epoch == self.session.epoch(),
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

fn token(serial: u64, life: u64) -> String {
    let life = match life {
        0 => String::new(),
        life => format!(r#","expires_in":{life}"#),
    };
    format!(r#"{{"token_type":"Bearer","access_token":"CANARY-{serial}"{life}}}"#)
}
