//! Three callers of one session, with the responses, failures and verbs that there are.

use std::time::Duration;

use ctc_core::{
    Admit, Call, Credentials, LoginOutcome, LoginTicket, NoResponse, Route, SendFailure, Target,
    Verdict, Wait,
};
use http::header::COOKIE;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::Small;
use super::parts::{LEASE, Login, read, response, session, set_cookie};
use super::stage::{Stage, Verb};

const CALLERS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Ask(usize),
    ServerResponse(usize, ServerResponse),
    Login(usize, Login),
    Cancel(usize),
    /// A login task is dropped before it sent anything.
    Lost(usize),
    /// The elected caller disappears and reports nothing.
    Vanish(usize),
    NewCredentials,
    Verb(Verb),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerResponse {
    Fine,
    Rotates,
    Clears,
    Unauthorized,
    UnauthorizedAndClears,
}

const ANSWERS: [ServerResponse; 5] = [
    ServerResponse::Fine,
    ServerResponse::Rotates,
    ServerResponse::Clears,
    ServerResponse::Unauthorized,
    ServerResponse::UnauthorizedAndClears,
];
const LOGINS: [Login; 8] = [
    Login::Token,
    Login::RejectedToken,
    Login::NoToken,
    Login::Refused,
    Login::Unavailable,
    Login::NoAnswer,
    Login::NotSent,
    Login::Panicked,
];

enum At {
    Idle,
    OnTheWire,
    Leads(LoginTicket),
    Waits(Wait),
    Done,
}

struct Caller {
    at: At,
    call: Call,
    sends: u32,
}

pub(crate) struct OneSession {
    stage: Stage,
    callers: Vec<Caller>,
    serial: u64,
    renewed: u64,
    /// Whether the token rejected last is the one that a faulty server returns again and again.
    refused_same: bool,
}

impl Small for OneSession {
    type Event = Event;

    fn new() -> Self {
        let callers = (0..CALLERS)
            .map(|_| Caller {
                at: At::Idle,
                call: Call::new(true),
                sends: 0,
            })
            .collect();
        Self {
            stage: Stage::new(session()),
            callers,
            serial: 0,
            renewed: 0,
            refused_same: false,
        }
    }

    fn events(&self) -> Vec<Event> {
        let verbs = [
            Verb::Reset,
            Verb::Pass(1),
            Verb::Pass(LEASE + 1),
            self.stage.close_or_reopen(),
        ];
        let mut events = verbs.map(Event::Verb).to_vec();
        events.push(Event::NewCredentials);
        for (i, caller) in self.callers.iter().enumerate() {
            match &caller.at {
                At::Idle => events.extend([Event::Ask(i), Event::Cancel(i)]),
                At::OnTheWire => {
                    events.extend(ANSWERS.map(|response| Event::ServerResponse(i, response)));
                }
                At::Leads(_) => {
                    events.extend(LOGINS.map(|login| Event::Login(i, login)));
                    events.extend([Event::Cancel(i), Event::Lost(i), Event::Vanish(i)]);
                }
                At::Waits(wait) => {
                    if self.stage.is_over(wait) {
                        events.push(Event::Ask(i));
                    }
                }
                At::Done => {}
            }
        }
        events
    }

    fn apply(&mut self, event: Event) -> Result<(), String> {
        let (before, same) = (self.stage.held(), self.holds_same());
        let carried = self.carried_by(event);
        match event {
            Event::Ask(i) => self.ask(i)?,
            Event::ServerResponse(i, response) => self.response(i, response)?,
            Event::Login(i, login) => self.login(i, login)?,
            Event::Cancel(i) => {
                if let At::Leads(ticket) = std::mem::replace(&mut self.callers[i].at, At::Done) {
                    self.stage.session.abandon(ticket);
                    self.stage.lands(i);
                }
            }
            Event::Lost(i) => {
                if let At::Leads(ticket) = std::mem::replace(&mut self.callers[i].at, At::Done) {
                    let now = self.stage.instant();
                    self.stage.session.cancel_unsent(ticket, now);
                    self.stage.lands_unsent(i);
                }
            }
            Event::Vanish(i) => self.callers[i].at = At::Done,
            Event::NewCredentials => {
                self.renewed += 1;
                let password = format!("CANARY-PASSWORD-{}", self.renewed);
                let credentials = Credentials::new("CANARY-USER", password);
                self.stage
                    .session
                    .set_credentials(credentials.map_err(|error| error.to_string())?);
                self.stage.stopped = false;
            }
            Event::Verb(verb) => self.stage.apply(verb),
        }
        if before.is_some() && self.stage.held() != before {
            self.refused_same = same;
        }
        self.check(event, before, carried)
    }

    fn state(&self) -> String {
        let callers = self
            .callers
            .iter()
            .enumerate()
            .map(|(i, caller)| {
                let at = match &caller.at {
                    At::Idle => "idle".to_owned(),
                    At::OnTheWire => "wire".to_owned(),
                    At::Leads(_) => format!("leads {}", self.stage.counts(i)),
                    At::Waits(wait) => format!("waits {}", self.stage.is_told(wait)),
                    At::Done => return "done".to_owned(),
                };
                format!("{at} {:?} {}", caller.call, caller.sends)
            })
            .collect();
        let others = (self.renewed > 0, self.holds_same(), self.refused_same);
        self.stage.state(callers, &format!("{others:?}"))
    }
}

impl OneSession {
    fn holds_same(&self) -> bool {
        let mut headers = HeaderMap::new();
        let home = Uri::from_static("https://connect.calamp.com/");
        let stamped = self
            .stage
            .session
            .pass()
            .is_some_and(|pass| pass.stamp(Target::from(&home), &mut headers).is_ok());
        stamped
            && headers
                .get(COOKIE)
                .is_some_and(|cookie| cookie.as_bytes().ends_with(b"SAME"))
    }

    fn carried_by(&self, event: Event) -> Option<u64> {
        let Event::ServerResponse(i, _) = event else {
            return None;
        };
        self.callers[i]
            .call
            .generation()
            .map(ctc_core::Generation::number)
    }

    fn ask(&mut self, i: usize) -> Result<(), String> {
        let now = self.stage.instant();
        let caller = &mut self.callers[i];
        let admit = self.stage.session.admit(&mut caller.call, now);
        let had_login = self.stage.has_login();
        match admit {
            Admit::Proceed(_) => {
                caller.sends += 1;
                if caller.sends > 2 {
                    return Err("G4: a call was sent a third time".into());
                }
                caller.at = At::OnTheWire;
            }
            Admit::Login(order) => {
                // Started at once: a login that is not started counts as unsent when its lease
                // expires.
                if !self.stage.session.login_starting(&order.ticket, now) {
                    return Err("G12: a login is not wanted at its election".into());
                }
                caller.at = At::Leads(order.ticket);
                self.stage.elects(i, had_login)?;
                self.stage.charges()?;
            }
            Admit::Wait(wait) => {
                if !had_login {
                    return Err("G7: waits for a login that nobody makes".into());
                }
                if wait.deadline.saturating_duration_since(now) > Duration::from_secs(LEASE) {
                    return Err("G7: waits longer than the lease".into());
                }
                caller.at = At::Waits(wait);
            }
            Admit::NeedCredentials(_) => unreachable!(),
            Admit::Deny(_) => caller.at = At::Done,
        }
        Ok(())
    }

    fn response(&mut self, i: usize, response: ServerResponse) -> Result<(), String> {
        let now = self.stage.instant();
        self.serial += 1;
        let mut headers = HeaderMap::new();
        match response {
            ServerResponse::Rotates => {
                set_cookie(&mut headers, &format!("authToken=CANARY-{}", self.serial));
            }
            ServerResponse::Clears | ServerResponse::UnauthorizedAndClears => {
                set_cookie(&mut headers, "authToken=; Max-Age=0");
            }
            _ => {}
        }
        let refused = matches!(
            response,
            ServerResponse::Unauthorized | ServerResponse::UnauthorizedAndClears
        );
        let status = if refused {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::OK
        };
        let route = Route::new(&Method::GET, "/");
        let caller = &mut self.callers[i];
        let verdict = self
            .stage
            .session
            .observe(&mut caller.call, route, status, &headers, now);
        caller.at = if verdict == Verdict::Replay {
            At::Idle
        } else {
            At::Done
        };
        if !refused && verdict != Verdict::Deliver {
            return Err("G4: only a 401 is sent again".into());
        }
        Ok(())
    }

    fn login(&mut self, i: usize, login: Login) -> Result<(), String> {
        let now = self.stage.instant();
        let At::Leads(ticket) = std::mem::replace(&mut self.callers[i].at, At::Idle) else {
            return Ok(());
        };
        let late = !self.stage.counts(i);
        self.serial += 1;
        let outcome = match login {
            Login::NoAnswer => self
                .stage
                .session
                .login_failed(ticket, SendFailure::MaybeSent, now),
            Login::NotSent => self
                .stage
                .session
                .login_failed(ticket, SendFailure::NotSent, now),
            Login::Panicked => {
                let why = NoResponse::Panicked(SendFailure::MaybeSent);
                self.stage.session.login_failed(ticket, why, now)
            }
            answered => {
                let reading = read(&self.stage.session, &response(answered, self.serial));
                self.stage.session.login_response(ticket, reading, now)
            }
        };
        if late && !matches!(outcome, LoginOutcome::Stale { .. }) {
            return Err("G1: a report counts though another caller was elected".into());
        }
        if let LoginOutcome::Failed(denial) = &outcome
            && login == Login::Refused
        {
            self.stage.stopped = matches!(denial, ctc_core::Denial::Rejected { .. });
        }
        match login {
            Login::NotSent => self.stage.lands_unsent(i),
            _ => self.stage.lands(i),
        }
        Ok(())
    }

    /// Checks that what changed follows from the event.
    fn check(&self, event: Event, before: Option<u64>, carried: Option<u64>) -> Result<(), String> {
        let after = self.stage.held();
        let (gained, lost) = (
            after.is_some() && after != before,
            before.is_some() && after.is_none(),
        );
        if gained && after < before {
            return Err("G4: a generation went back".into());
        }
        let may_gain = matches!(event, Event::Login(_, Login::Token | Login::RejectedToken))
            || matches!(event, Event::ServerResponse(_, ServerResponse::Rotates));
        let about_it = carried.is_some() && carried == before;
        let may_lose = event == Event::Verb(Verb::Close)
            || (about_it
                && !matches!(
                    event,
                    Event::ServerResponse(_, ServerResponse::Fine | ServerResponse::Rotates)
                ));
        if gained && !may_gain || (gained && carried.is_some() && before.is_some() && !about_it) {
            return Err(format!("G4: {before:?} -> {after:?} by {event:?}"));
        }
        if lost && !may_lose {
            let which = if matches!(event, Event::Login(..)) {
                "G6"
            } else {
                "G4"
            };
            return Err(format!("{which}: the token is gone by {event:?}"));
        }
        let waits = self.callers.iter().filter_map(|caller| match &caller.at {
            At::Waits(wait) => Some(wait),
            _ => None,
        });
        let is_settled = self.stage.nobody_logs_in() || after.is_some() || self.stage.closed;
        self.stage.check(waits, is_settled)
    }
}
