//! The code of the fuzz targets. `crates/proof/sim/tests` runs the same code on a stable toolchain.

mod token_response;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ctc_core::{
    Admit, AppKey, Call, Credentials, Denial, Endpoint, Generation, LoginOutcome, LoginReading,
    LoginTicket, OpenRecord, Pass, Resumed, Route, SendFailure, Session, SessionRecord, Settings,
    Target, Verdict,
};
use ctc_driver::__adapter::records;
use ctc_driver::StoreSecret;
use http::header::{COOKIE, DATE, HeaderName, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};

pub(crate) use token_response::token_response;

/// Reads `Set-Cookie` lines of a login's response, one per line. A token that is found must be in
/// them byte for byte.
pub(crate) fn cookie(data: &[u8]) {
    let (mut session, now) = (session(), now());
    let mut response = Response::new(());
    for line in data.split(|&byte| byte == b'\n').take(32) {
        put(response.headers_mut(), SET_COOKIE, line);
    }
    let ticket = elect(&mut session, now);
    let reading = read(&session, &response);
    let outcome = session.login_response(ticket, reading, now);
    let Some(token) = session.pass().map(token_of) else {
        assert!(!matches!(outcome, LoginOutcome::Opened(_)));
        return;
    };
    assert!(
        data.windows(token.len()).any(|window| window == token),
        "a token that nobody sent"
    );
    assert!(
        token
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b";,".contains(byte))
    );
    assert!(String::from_utf8_lossy(data).contains("authToken"));
    // After the same lines on an ordinary response, the session is open or empty, and never has
    // another token.
    let mut call = Call::new(true);
    let _ = session.admit(&mut call, now);
    let route = Route::new(&Method::GET, "/");
    assert_eq!(
        session.observe(&mut call, route, StatusCode::OK, response.headers(), now),
        Verdict::Deliver
    );
    assert!(session.pass().is_none_or(|pass| token_of(pass) == token));
}

/// Reads `Retry-After` and, after a line end, `Date`. The backoff is never shorter than asked for,
/// nor longer than its cap.
pub(crate) fn retry_after(data: &[u8]) {
    let (mut session, now) = (session(), now());
    let mut lines = data.splitn(2, |&byte| byte == b'\n');
    let (asked, date) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    put(response.headers_mut(), RETRY_AFTER, asked);
    put(response.headers_mut(), DATE, date);
    let ticket = elect(&mut session, now);
    let reading = read(&session, &response);
    let outcome = session.login_response(ticket, reading, now);
    let LoginOutcome::Failed(Denial::BackingOff { until, .. }) = outcome else {
        unreachable!("a 429 is a pause: {outcome:?}");
    };
    let (pause, rules) = (until - now, session.settings().fair_use.clone());
    assert!(pause <= rules.retry_after_cap.max(rules.backoff_cap));
    assert!(pause >= rules.backoff.mul_f64(0.7));
    let digits = std::str::from_utf8(asked)
        .ok()
        .map(|text| text.trim_matches([' ', '\t']));
    if let Some(digits) =
        digits.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let seconds = digits.parse().unwrap_or(u64::MAX);
        assert!(pause >= Duration::from_secs(seconds).min(rules.retry_after_cap));
    }
}

/// Reads bytes as events: calls, responses, reports in any order, other methods, and a clock that
/// moves in any direction.
pub(crate) fn machine(data: &[u8]) {
    let mut walk = Walk::new();
    for pair in data.chunks_exact(2).take(400) {
        walk.step(pair[0], pair[1]);
        walk.check();
    }
}

/// Offers a record, as JSON, to a session at some wall time. Whatever is in it, it opens no session
/// and causes no panic, and a backoff stays within its cap.
pub(crate) fn record(data: &[u8]) {
    let Ok(record) = serde_json::from_slice::<SessionRecord>(data) else {
        return;
    };
    let text = serde_json::to_string(&record).expect("what was read can be written");
    let again: SessionRecord = serde_json::from_str(&text).expect("what was written can be read");
    assert!(record == again);
    let days = [0, 1, 20_000, 24_000, 1 << 24]
        .map(|days: u64| UNIX_EPOCH + Duration::from_secs(days * 86_400));
    for wall in days {
        let (mut session, now) = (session(), now());
        // In half of the cases, use the account that the record states, with its marks.
        for record in [
            record.clone(),
            as_ours(&session, &text, wall).unwrap_or_else(|| record.clone()),
        ] {
            let ticket = match session.admit(&mut Call::new(true), now) {
                Admit::Login(order) => order.ticket,
                _ => return,
            };
            let ours = record.key() == session.record_key();
            let opened = opened(&session, &record);
            assert!(!opened.has_token() && opened.refusal_to_seal().is_none());
            match session.login_resumed(ticket, &opened, now, wall) {
                Resumed::Adopted(_) => unreachable!("nobody sealed that token"),
                Resumed::Denied(denial) => {
                    assert!(ours && !matches!(denial, Denial::Rejected { .. }));
                    let longest = Duration::from_secs(30 * 86_400);
                    assert!(denial.retry_after(now).is_none_or(|pause| pause <= longest));
                    return;
                }
                Resumed::Continue(ticket) => session.abandon(ticket),
                Resumed::Stale => unreachable!("the ticket is fresh"),
            }
        }
    }
}

fn secret() -> StoreSecret {
    StoreSecret::new([7; 32])
}

fn opened(session: &Session, record: &SessionRecord) -> OpenRecord {
    records::open(record, &session.seal_seed(), Some(&secret())).expect("a quick key")
}

/// Returns the record's JSON with our own key and marks, so that the session does not ignore it.
fn as_ours(session: &Session, text: &str, wall: SystemTime) -> Option<SessionRecord> {
    let mut value: serde_json::Value = serde_json::from_str(text).ok()?;
    let ours = open_session().record(now(), wall);
    let ours = records::seal(&ours, None, [7; 16], Some(&secret())).ok()?;
    assert!(
        opened(session, &ours).has_token(),
        "the right password opens it"
    );
    let ours = serde_json::to_value(ours).ok()?;
    for field in ["origin", "account", "format", "salt"] {
        value[field] = ours[field].clone();
    }
    for token in value["tokens"].as_array_mut()? {
        token["by"] = ours["tokens"][0]["by"].clone();
    }
    serde_json::from_value(value).ok()
}

/// A session, and the state of three callers.
struct Walk {
    session: Session,
    now: Instant,
    /// Each with the number of its replays.
    calls: Vec<(Call, u32)>,
    tickets: Vec<LoginTicket>,
    newest: Generation,
    closed: bool,
    elected: Vec<Instant>,
    serial: u32,
}

impl Walk {
    fn new() -> Self {
        let calls = (0..3).map(|_| (Call::new(true), 0)).collect();
        Self {
            session: session(),
            now: now(),
            calls,
            tickets: Vec::new(),
            newest: Generation::default(),
            closed: false,
            elected: Vec::new(),
            serial: 0,
        }
    }

    fn step(&mut self, verb: u8, with: u8) {
        let which = usize::from(with) % self.calls.len();
        match verb % 12 {
            0..=2 => self.admit(which),
            3 | 4 => self.response(which, with),
            5 | 6 => self.login(with),
            7 => {
                if let Some(ticket) = self.tickets.pop() {
                    self.session.abandon(ticket);
                }
            }
            8 => match with % 5 {
                0 => self.close(true),
                1 | 2 => self.close(false),
                3 => self.session.reset(),
                // Every other time with the same credentials, which changes nothing.
                _ => {
                    let same = with & 8 == 0;
                    self.session.set_credentials(if same {
                        credentials()
                    } else {
                        other_credentials()
                    });
                }
            },
            9 => self.now += Duration::from_secs(u64::from(with)),
            10 => {
                let back = Duration::from_millis(u64::from(with));
                let earlier = self.now.checked_sub(back).unwrap_or(self.now);
                let _ = self.session.phase(earlier);
                let _ = self.session.next_deadline(earlier);
                let _ = self.session.renew(earlier);
            }
            _ => self.calls[which] = (Call::new(with.is_multiple_of(2)), 0),
        }
    }

    fn close(&mut self, close: bool) {
        if close {
            drop(self.session.logout());
        } else {
            self.session.reopen();
        }
        self.closed = close;
    }

    fn admit(&mut self, which: usize) {
        let (call, _) = &mut self.calls[which];
        match self.session.admit(call, self.now) {
            Admit::Proceed(_) => {
                assert!(!self.closed, "a closed session gives leave");
            }
            Admit::Login(order) => {
                assert!(!self.closed, "a closed session logs in");
                // Announce it immediately: a login that is not announced counts as not sent, and is
                // not charged.
                assert!(self.session.login_starting(&order.ticket, self.now));
                self.elected.push(self.now);
                self.tickets.push(order.ticket);
            }
            Admit::Wait(wait) => {
                assert!(wait.deadline <= self.latest() + self.session.settings().lease);
            }
            Admit::Deny(denial) => assert_eq!(denial == Denial::Closed, self.closed),
            Admit::NeedCredentials(_) => unreachable!("the session has credentials"),
        }
    }

    fn latest(&self) -> Instant {
        self.now + Duration::from_secs(1)
    }

    fn response(&mut self, which: usize, with: u8) {
        self.serial += 1;
        let mut headers = HeaderMap::new();
        match with >> 4 & 3 {
            0 => put(
                &mut headers,
                SET_COOKIE,
                format!("authToken=CANARY{}", self.serial).as_bytes(),
            ),
            1 => put(&mut headers, SET_COOKIE, b"authToken=; Max-Age=0"),
            _ => {}
        }
        let status = if with & 64 == 0 {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::OK
        };
        let route = Route::new(&Method::GET, if with & 128 == 0 { "/a" } else { "/b" });
        let (call, replays) = &mut self.calls[which];
        let verdict = self
            .session
            .observe(call, route, status, &headers, self.now);
        if verdict == Verdict::Replay {
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            *replays += 1;
            assert_eq!(*replays, 1, "a call is sent again once");
        } else {
            self.calls[which] = (Call::new(true), 0);
        }
    }

    fn login(&mut self, with: u8) {
        if self.tickets.is_empty() {
            return;
        }
        let ticket = self
            .tickets
            .swap_remove(usize::from(with >> 4) % self.tickets.len());
        self.serial += 1;
        let held = self.session.pass().map(Pass::generation);
        let mut response = Response::new(());
        let code = [200, 200, 200, 401, 429, 503, 302, 200][usize::from(with & 7)];
        *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
        if with & 7 < 2 {
            let token = if with & 8 == 0 {
                format!("CANARY{}", self.serial)
            } else {
                "CANARYSAME".into()
            };
            put(
                response.headers_mut(),
                SET_COOKIE,
                format!("authToken={token}").as_bytes(),
            );
        }
        let outcome = if with & 7 == 7 {
            self.session
                .login_failed(ticket, SendFailure::MaybeSent, self.now)
        } else {
            let reading = read(&self.session, &response);
            self.session.login_response(ticket, reading, self.now)
        };
        match outcome {
            LoginOutcome::Opened(generation) => assert!(Some(generation) > held),
            // A failed login removes no token.
            _ => assert_eq!(self.session.pass().map(Pass::generation), held),
        }
    }

    fn check(&mut self) {
        if let Some(generation) = self.session.pass().map(Pass::generation) {
            assert!(generation >= self.newest, "generations go up");
            self.newest = generation;
        }
        let rules = &self.session.settings().fair_use;
        let most = |since: Instant| {
            let span = self.now.saturating_duration_since(since).as_secs_f64()
                / rules.refill.as_secs_f64();
            rules.burst.get() as usize + span as usize
        };
        let within = |(first, since): (usize, &Instant)| self.elected.len() - first <= most(*since);
        assert!(
            self.elected.iter().enumerate().all(within),
            "more logins than the budget allows"
        );
        assert!(
            !format!("{:?}", self.session).contains("CANARY"),
            "a secret is printed"
        );
    }
}

fn session() -> Session {
    let key = AppKey::new("CANARY-KEY").expect("a key");
    Session::new(Endpoint::us(), key, credentials(), Settings::default()).expect("default settings")
}

fn open_session() -> Session {
    let (mut session, now) = (session(), now());
    let mut response = Response::new(());
    put(response.headers_mut(), SET_COOKIE, b"authToken=CANARY");
    let ticket = elect(&mut session, now);
    let reading = read(&session, &response);
    let outcome = session.login_response(ticket, reading, now);
    assert!(matches!(outcome, LoginOutcome::Opened(_)));
    session
}

fn credentials() -> Credentials {
    Credentials::new("CANARY-USER", "CANARY-PASSWORD").expect("not empty")
}

fn other_credentials() -> Credentials {
    Credentials::new("CANARY-USER", "CANARY-OTHER").expect("not empty")
}

fn now() -> Instant {
    Instant::now() + Duration::from_secs(1_000_000)
}

fn elect(session: &mut Session, now: Instant) -> LoginTicket {
    match session.admit(&mut Call::new(true), now) {
        Admit::Login(order) => order.ticket,
        other => unreachable!("the first caller is elected: {other:?}"),
    }
}

fn read(session: &Session, response: &Response<()>) -> LoginReading {
    let reader = session.login_reader();
    reader.read(response.status(), response.headers(), &[])
}

fn token_of(pass: &Pass) -> Vec<u8> {
    let mut headers = HeaderMap::new();
    let home = Uri::from_static("https://connect.calamp.com/");
    pass.stamp(Target::from(&home), &mut headers)
        .expect("our origin");
    headers[COOKIE].as_bytes()["authToken=".len()..].to_vec()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.append(name, value);
    }
}
