//! Two processes, each with its session, and one store between them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ctc_core::__sealing::{SealedParts, SealedToken};
use ctc_core::{
    Admit, Call, LoginOrder, LoginOutcome, LoginTicket, OpenRecord, Phase, Resumed, Route,
    SendFailure, Session, SessionRecord, Verdict,
};
use http::{HeaderMap, Method, StatusCode};

use super::parts::{LEASE, Login, base, number, read, response, seconds_of, session, set_cookie};
use super::stage::{check_session, instant, is_over_budget};
use super::{Small, canonical};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Ask(usize),
    Fine(usize),
    Unauthorized(usize),
    /// Rotates the token, which goes into the store if that is free.
    Rotates(usize),
    /// Takes the store's lease and asks its record.
    Lease(usize),
    /// Saves the charge of the login, and sends it.
    Send(usize),
    Login(usize, Login),
    /// The login is abandoned.
    Abandon(usize),
    /// `kill -9`, and a new start.
    Die(usize),
    Close(usize),
    Reopen(usize),
    Pass(u64),
}

enum At {
    Idle,
    OnTheWire,
    Elected(Box<LoginOrder>),
    Leased(LoginTicket, u64),
    Sent(LoginTicket, u64),
}

struct Process {
    session: Session,
    call: Call,
    at: At,
    top: u64,
    closed: bool,
}

/// The store: one record, and a lease with its fence.
#[derive(Default)]
struct Shelf {
    record: Option<OpenRecord>,
    fence: u64,
    held_until: u64,
}

pub(crate) struct SharedStore {
    processes: [Process; 2],
    store: Shelf,
    now: u64,
    sent: Vec<u64>,
    serial: u64,
}

impl Process {
    fn new() -> Self {
        Self {
            session: session(),
            call: Call::new(true),
            at: At::Idle,
            top: 0,
            closed: false,
        }
    }
}

impl Small for SharedStore {
    type Event = Event;

    fn new() -> Self {
        let processes = [Process::new(), Process::new()];
        Self {
            processes,
            store: Shelf::default(),
            now: 0,
            sent: Vec::new(),
            serial: 0,
        }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = vec![Event::Pass(LEASE + 1)];
        for (i, process) in self.processes.iter().enumerate() {
            events.push(if process.closed {
                Event::Reopen(i)
            } else {
                Event::Close(i)
            });
            match &process.at {
                At::Idle => events.push(Event::Ask(i)),
                At::OnTheWire => {
                    events.extend([Event::Fine(i), Event::Unauthorized(i), Event::Rotates(i)]);
                }
                At::Elected(_) => {
                    if self.store.held_until <= self.now {
                        events.push(Event::Lease(i));
                    }
                    events.extend([Event::Abandon(i), Event::Die(i)]);
                }
                At::Leased(..) => events.extend([Event::Send(i), Event::Abandon(i), Event::Die(i)]),
                At::Sent(..) => {
                    let responses = [
                        Login::Token,
                        Login::Refused,
                        Login::Unavailable,
                        Login::NoAnswer,
                    ];
                    events.extend(responses.map(|login| Event::Login(i, login)));
                    events.extend([Event::Abandon(i), Event::Die(i)]);
                }
            }
        }
        events
    }

    fn apply(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Ask(i) => self.ask(i)?,
            Event::Fine(i) => self.response(i, StatusCode::OK, false),
            Event::Unauthorized(i) => self.response(i, StatusCode::UNAUTHORIZED, false),
            Event::Rotates(i) => self.response(i, StatusCode::OK, true),
            Event::Lease(i) => self.lease(i),
            Event::Send(i) => self.send(i)?,
            Event::Login(i, login) => self.login(i, login)?,
            Event::Abandon(i) => self.abandon(i),
            Event::Die(i) => self.processes[i] = Process::new(),
            Event::Close(i) => {
                self.processes[i].session.close();
                self.processes[i].closed = true;
            }
            Event::Reopen(i) => {
                self.processes[i].session.reopen();
                self.processes[i].closed = false;
            }
            Event::Pass(seconds) => self.now += seconds,
        }
        self.check()
    }

    fn state(&self) -> String {
        let second = seconds_of(self.instant());
        let mut processes: Vec<_> = self
            .processes
            .iter()
            .map(|process| {
                let holds =
                    |fence: &u64| *fence == self.store.fence && self.store.held_until > self.now;
                let at = match &process.at {
                    At::Idle => "idle".to_owned(),
                    At::OnTheWire => "wire".to_owned(),
                    At::Elected(order) => {
                        format!(
                            "elected {}",
                            process
                                .session
                                .login_is_wanted(&order.ticket, self.instant())
                        )
                    }
                    At::Leased(ticket, fence) => {
                        format!(
                            "leased {} {}",
                            holds(fence),
                            process.session.login_is_wanted(ticket, self.instant())
                        )
                    }
                    At::Sent(ticket, fence) => {
                        format!(
                            "sent {} {}",
                            holds(fence),
                            process.session.login_is_wanted(ticket, self.instant())
                        )
                    }
                };
                // The state depends on whose token the store has, and on its number.
                let stored = self.store.record.as_ref().is_some_and(|record| {
                    record.same_token(&process.session.record(self.instant(), self.wall()))
                });
                format!(
                    "{} {at} {:?} {stored}",
                    canonical(&process.session, second),
                    process.call
                )
            })
            .collect();
        processes.sort();
        let record = self.store.record.as_ref().map(|record| {
            let mut value = plain(record);
            if let Some(fields) = value.as_object_mut() {
                for (name, field) in fields.iter_mut() {
                    if name.ends_with("_at") || name == "pause" {
                        let at = field
                            .as_u64()
                            .or_else(|| field.get("until")?.as_u64())
                            .unwrap_or_default();
                        *field = (i64::try_from(at / 1000).unwrap_or_default()
                            - self.wall_second())
                        .into();
                    }
                }
                let has_token = record.has_token();
                fields.insert("token".to_owned(), has_token.into());
            }
            value.to_string()
        });
        let recent: Vec<_> = self.sent.iter().map(|at| self.now - at).collect();
        let held = self.store.held_until.saturating_sub(self.now);
        format!("{processes:?}|{record:?}|{held}|{recent:?}")
    }
}

impl SharedStore {
    fn instant(&self) -> Instant {
        instant(self.now)
    }

    fn wall_second(&self) -> i64 {
        2_000_000_000 + i64::try_from(self.now).unwrap_or_default()
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(2_000_000_000 + self.now)
    }

    fn ask(&mut self, i: usize) -> Result<(), String> {
        let now = self.instant();
        let process = &mut self.processes[i];
        match process.session.admit(&mut process.call, now) {
            Admit::Proceed(_) => process.at = At::OnTheWire,
            Admit::Login(order) if process.closed => {
                process.at = At::Elected(order);
                return Err("G5: a login while closed".into());
            }
            Admit::Login(order) => process.at = At::Elected(order),
            // A denied call has ended; the next one is a new call.
            Admit::Deny(_) => process.call = Call::new(true),
            Admit::NeedCredentials(_) | Admit::Wait(_) => {}
        }
        Ok(())
    }

    fn response(&mut self, i: usize, status: StatusCode, rotates: bool) {
        let now = self.instant();
        self.serial += 1;
        let mut headers = HeaderMap::new();
        if rotates {
            set_cookie(&mut headers, &format!("authToken=CANARY-{}", self.serial));
        }
        let process = &mut self.processes[i];
        let route = Route::new(&Method::GET, "/");
        let verdict = process
            .session
            .observe(&mut process.call, route, status, &headers, now);
        process.at = At::Idle;
        if verdict != Verdict::Replay {
            process.call = Call::new(true);
        }
        if rotates && self.store.held_until <= self.now && process.session.pass().is_some() {
            if let Some(record) = &self.store.record {
                process.session.merge_history(
                    record,
                    now,
                    UNIX_EPOCH + Duration::from_secs(2_000_000_000 + self.now),
                );
            }
            let ours = self.record(i);
            if self
                .store
                .record
                .as_ref()
                .is_none_or(|kept| kept.generation() <= ours.generation())
            {
                self.store.record = Some(ours);
            }
        }
    }

    fn lease(&mut self, i: usize) {
        let (now, wall) = (self.instant(), self.wall());
        self.store.fence += 1;
        self.store.held_until = self.now + LEASE;
        let fence = self.store.fence;
        let process = &mut self.processes[i];
        let At::Elected(order) = std::mem::replace(&mut process.at, At::Idle) else {
            return;
        };
        let resumed = match &self.store.record {
            Some(record) => process
                .session
                .login_resumed(order.ticket, record, now, wall),
            None => Resumed::Continue(order.ticket),
        };
        match resumed {
            Resumed::Continue(ticket) => process.at = At::Leased(ticket, fence),
            Resumed::Denied(_) => {
                process.call = Call::new(true);
                self.store.record = Some(self.record(i));
                self.release(fence);
            }
            Resumed::Adopted(_) | Resumed::Stale => self.release(fence),
        }
    }

    fn send(&mut self, i: usize) -> Result<(), String> {
        let now = self.instant();
        let At::Leased(ticket, fence) = std::mem::replace(&mut self.processes[i].at, At::Idle)
        else {
            return Ok(());
        };
        let record = self.record(i);
        let process = &mut self.processes[i];
        if !process.session.login_starting(&ticket, now) {
            process.session.cancel_unsent(ticket, now);
            self.release(fence);
            return Ok(());
        }
        if !self.store_is_held_by(fence) {
            self.processes[i].session.abandon(ticket);
            return Ok(());
        }
        let other = &self.processes[1 - i].at;
        if matches!(other, At::Sent(_, theirs) if self.store_is_held_by(*theirs)) {
            return Err("G1: two logins over one store".into());
        }
        if self.processes[i].closed {
            return Err("G5: a login is sent while closed".into());
        }
        if let Some(kept) = &self.store.record
            && kept.has_token()
            && kept.generation().number() > self.processes[i].top
        {
            return Err("G3: a login is sent although the store has a newer token".into());
        }
        self.store.record = Some(record);
        self.sent.push(self.now);
        if is_over_budget(&self.sent, self.now) {
            return Err("G2: more logins over one store than the budget allows".into());
        }
        self.processes[i].at = At::Sent(ticket, fence);
        Ok(())
    }

    fn login(&mut self, i: usize, login: Login) -> Result<(), String> {
        let (now, wall) = (self.instant(), self.wall());
        let At::Sent(ticket, fence) = std::mem::replace(&mut self.processes[i].at, At::Idle) else {
            return Ok(());
        };
        self.serial += 1;
        let process = &mut self.processes[i];
        // Asked as of the start: after its lease it still counts until another caller is elected.
        let counts = process.session.login_is_wanted(&ticket, base());
        let mut ticket = Some(ticket);
        if login != Login::Token
            && let (Some(record), Some(mine)) = (&self.store.record, ticket.take())
        {
            match process.session.login_overtaken(mine, record, now, wall) {
                Resumed::Continue(mine) => ticket = Some(mine),
                _ => {
                    self.release(fence);
                    return Ok(());
                }
            }
        }
        let Some(ticket) = ticket else { return Ok(()) };
        let outcome = if login == Login::NoAnswer {
            process
                .session
                .login_failed(ticket, SendFailure::MaybeSent, now)
        } else {
            let reading = read(&process.session, &response(login, self.serial));
            process.session.login_response(ticket, reading, now)
        };
        if !counts && !matches!(outcome, LoginOutcome::Stale { .. }) {
            return Err("G1: a report that no longer counts changed something".into());
        }
        if self.store_is_held_by(fence) {
            self.store.record = Some(self.record(i));
        }
        self.release(fence);
        Ok(())
    }

    fn abandon(&mut self, i: usize) {
        let (ticket, fence) = match std::mem::replace(&mut self.processes[i].at, At::Idle) {
            At::Elected(order) => (order.ticket, None),
            At::Leased(ticket, fence) | At::Sent(ticket, fence) => (ticket, Some(fence)),
            other => {
                self.processes[i].at = other;
                return;
            }
        };
        self.processes[i].session.abandon(ticket);
        self.processes[i].call = Call::new(true);
        if let Some(fence) = fence {
            self.release(fence);
        }
    }

    fn record(&self, i: usize) -> OpenRecord {
        self.processes[i]
            .session
            .record(self.instant(), self.wall())
    }

    fn store_is_held_by(&self, fence: u64) -> bool {
        fence == self.store.fence && self.store.held_until > self.now
    }

    fn release(&mut self, fence: u64) {
        if fence == self.store.fence {
            self.store.held_until = self.now;
        }
    }

    fn check(&mut self) -> Result<(), String> {
        let now = self.instant();
        for process in &mut self.processes {
            if let Some(pass) = process.session.pass() {
                if number(pass) < process.top {
                    return Err("G4: a generation went back".into());
                }
                process.top = number(pass);
            }
            let idle = !matches!(process.at, At::Elected(_) | At::Leased(..) | At::Sent(..));
            if idle && process.session.phase(now) == Phase::LoggingIn {
                return Err("G7: LoggingIn, but nobody logs in".into());
            }
            check_session(&process.session, process.closed, now)?;
        }
        Ok(())
    }
}

/// Returns the fields of a record that make states different.
fn plain(record: &OpenRecord) -> serde_json::Value {
    let token = record.token_to_seal().map(|(_, facts, _)| SealedToken {
        by: [0; 16],
        facts,
        nonce: [0; 24],
        sealed: Vec::new(),
    });
    let refusal = record.refusal_to_seal();
    let parts = SealedParts {
        salt: [0; 16],
        tokens: token.into_iter().collect(),
        refusals: refusal.into_iter().collect(),
    };
    let mut value =
        serde_json::to_value(SessionRecord::sealed(record, None, parts)).unwrap_or_default();
    let token = value["tokens"].get_mut(0).map(serde_json::Value::take);
    value["tokens"].take();
    if let (Some(fields), Some(serde_json::Value::Object(token))) = (value.as_object_mut(), token) {
        let times = token.into_iter().filter(|(name, _)| name.ends_with("_at"));
        fields.extend(times);
    }
    value
}
