//! Three callers of one session, with the responses, failures and verbs that there are.

use std::time::{Duration, Instant};

use ctc_core::{
    Admit, Call, Credentials, LoginOutcome, LoginTicket, NoResponse, Phase, Route, SendFailure,
    Session, Target, Verdict, Wait,
};
use http::header::COOKIE;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::parts::{
    BURST, LEASE, Login, REFILL, base, read, response, seconds_of, session, set_cookie,
};
use super::{Small, canonical};

const CALLERS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Ask(usize),
    ServerResponse(usize, ServerResponse),
    Login(usize, Login),
    Cancel(usize),
    /// A login task is dropped before it sent anything.
    Lost(usize),
    /// A leader is gone without a word.
    Vanish(usize),
    Close,
    Reopen,
    Reset,
    NewCredentials,
    Pass(u64),
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
    session: Session,
    base: Instant,
    now: u64,
    callers: Vec<Caller>,
    /// When each login that counts was elected, and by its order whether it is still out.
    elected: Vec<u64>,
    out: Option<(usize, u64)>,
    serial: u64,
    rejected: bool,
    closed: bool,
    renewed: u64,
    /// Whether the token refused last is the one that such a server hands out again and again.
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
            session: session(),
            base: base(),
            now: 0,
            callers,
            elected: Vec::new(),
            out: None,
            serial: 0,
            rejected: false,
            closed: false,
            renewed: 0,
            refused_same: false,
        }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = vec![
            Event::Reset,
            Event::NewCredentials,
            Event::Pass(1),
            Event::Pass(LEASE + 1),
        ];
        events.push(if self.closed {
            Event::Reopen
        } else {
            Event::Close
        });
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
                    if self.session.epoch() != wait.epoch || wait.deadline <= self.instant() {
                        events.push(Event::Ask(i));
                    }
                }
                At::Done => {}
            }
        }
        events
    }

    fn apply(&mut self, event: Event) -> Result<(), String> {
        let (before, same) = (self.held(), self.holds_same());
        let carried = self.carried_by(event);
        match event {
            Event::Ask(i) => self.ask(i)?,
            Event::ServerResponse(i, response) => self.response(i, response)?,
            Event::Login(i, login) => self.login(i, login)?,
            Event::Cancel(i) => {
                if let At::Leads(ticket) = std::mem::replace(&mut self.callers[i].at, At::Done) {
                    self.session.abandon(ticket);
                    self.lands(i);
                }
            }
            Event::Lost(i) => {
                if let At::Leads(ticket) = std::mem::replace(&mut self.callers[i].at, At::Done) {
                    self.session.cancel_unsent(ticket, self.instant());
                    if self.out.is_some_and(|(leader, _)| leader == i) {
                        self.elected.pop();
                    }
                    self.lands(i);
                }
            }
            Event::Vanish(i) => self.callers[i].at = At::Done,
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
            Event::NewCredentials => {
                self.renewed += 1;
                let password = format!("CANARY-PASSWORD-{}", self.renewed);
                let credentials = Credentials::new("CANARY-USER", password);
                self.session
                    .set_credentials(credentials.map_err(|error| error.to_string())?);
                self.rejected = false;
            }
            Event::Pass(seconds) => self.now += seconds,
        }
        if before.is_some() && self.held() != before {
            self.refused_same = same;
        }
        self.check(event, before, carried)
    }

    fn state(&self) -> String {
        let now = self.instant();
        let second = seconds_of(now);
        let live = |wait: &Wait| self.session.epoch() == wait.epoch;
        let mut callers: Vec<_> = self
            .callers
            .iter()
            .enumerate()
            .map(|(i, caller)| {
                let at = match &caller.at {
                    At::Idle => "idle".to_owned(),
                    At::OnTheWire => "wire".to_owned(),
                    At::Leads(_) => {
                        format!("leads {}", self.out.is_some_and(|(leader, _)| leader == i))
                    }
                    At::Waits(wait) => format!("waits {}", live(wait)),
                    At::Done => return "done".to_owned(),
                };
                format!("{at} {:?} {}", caller.call, caller.sends)
            })
            .collect();
        callers.sort(); // who is who makes no difference
        let recent: Vec<_> = self.elected.iter().map(|at| self.now - at).collect();
        format!(
            "{}|{callers:?}|{recent:?}|{} {} {} {} {:?}",
            canonical(&self.session, second),
            self.rejected,
            self.renewed > 0,
            self.holds_same(),
            self.refused_same,
            self.out.map(|(_, at)| self.now - at)
        )
    }
}

impl OneSession {
    fn instant(&self) -> Instant {
        self.base + Duration::from_secs(self.now)
    }

    fn held(&self) -> Option<u64> {
        self.session.pass().map(|pass| pass.generation().number())
    }

    fn holds_same(&self) -> bool {
        let mut headers = HeaderMap::new();
        let home = Uri::from_static("https://connect.calamp.com/");
        let stamped = self
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
        let now = self.instant();
        let caller = &mut self.callers[i];
        let admit = self.session.admit(&mut caller.call, now);
        let flying = self.out.is_some_and(|(_, at)| self.now < at + LEASE);
        match admit {
            Admit::Proceed(_) => {
                caller.sends += 1;
                if caller.sends > 2 {
                    return Err("G4: a call was sent a third time".into());
                }
                caller.at = At::OnTheWire;
            }
            Admit::Login(order) => {
                // Announced at once: a login that is not counts as unsent when its lease ends.
                if !self.session.login_starting(&order.ticket, now) {
                    return Err("G12: a login is not wanted at its election".into());
                }
                caller.at = At::Leads(order.ticket);
                if flying {
                    return Err("G1: two logins at once".into());
                }
                if self.closed || self.rejected {
                    return Err("G5: a login while closed or rejected".into());
                }
                self.out = Some((i, self.now));
                self.elected.push(self.now);
                let spent = |since: &u64, count: u64| count > BURST + (self.now - since) / REFILL;
                if self
                    .elected
                    .iter()
                    .rev()
                    .zip(1..)
                    .any(|(since, count)| spent(since, count))
                {
                    return Err("G2: more logins than the budget allows".into());
                }
            }
            Admit::Wait(wait) => {
                if !flying {
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
        let now = self.instant();
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
        let now = self.instant();
        let At::Leads(ticket) = std::mem::replace(&mut self.callers[i].at, At::Idle) else {
            return Ok(());
        };
        let late = self.out.is_none_or(|(leader, _)| leader != i);
        self.serial += 1;
        let outcome = match login {
            Login::NoAnswer => self
                .session
                .login_failed(ticket, SendFailure::MaybeSent, now),
            Login::NotSent => self.session.login_failed(ticket, SendFailure::NotSent, now),
            Login::Panicked => {
                let why = NoResponse::Panicked(SendFailure::MaybeSent);
                self.session.login_failed(ticket, why, now)
            }
            answered => {
                let reading = read(&self.session, &response(answered, self.serial));
                self.session.login_response(ticket, reading, now)
            }
        };
        if late && !matches!(outcome, LoginOutcome::Stale { .. }) {
            return Err("G1: a report counts though another caller was elected".into());
        }
        if login == Login::NotSent && !late {
            self.elected.pop();
        }
        if let LoginOutcome::Failed(denial) = &outcome
            && login == Login::Refused
        {
            self.rejected = matches!(denial, ctc_core::Denial::Rejected { .. });
        }
        self.lands(i);
        Ok(())
    }

    fn lands(&mut self, i: usize) {
        self.out = self.out.filter(|(leader, _)| *leader != i);
    }

    /// Did what changed follow from the event?
    fn check(&self, event: Event, before: Option<u64>, carried: Option<u64>) -> Result<(), String> {
        let after = self.held();
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
        let may_lose = matches!(event, Event::Close)
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
        let settled = self.out.is_none() || after.is_some() || self.closed;
        let stuck = self.callers.iter().any(|caller| match &caller.at {
            At::Waits(wait) => settled && wait.epoch == self.session.epoch(),
            _ => false,
        });
        if stuck {
            return Err("G7: a waiter is not told of a change".into());
        }
        if self.closed != (self.session.phase(self.instant()) == Phase::Closed) {
            return Err("G5: closed and not closed".into());
        }
        if format!("{:?}", self.session).contains("CANARY") {
            return Err("G9: a secret is printed".into());
        }
        Ok(())
    }
}
