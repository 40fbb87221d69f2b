//! Walks a session to any state in a line, in virtual time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ctc_core::__sealing::{Refusal, SealSeed, SealedParts, SealedToken};
use ctc_core::{
    Admit, AppKey, AuthToken, Call, Credentials, Denial, Endpoint, Instant, LoginOrder,
    LoginOutcome, LoginTicket, OpenRecord, Pass, Phase, Resumed, Route, SendFailure, Session,
    SessionRecord, Settings, Target, Unauthorized, Verdict, Wait,
};
use http::header::{HeaderName, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};

pub(crate) const KEY: &str = "app-key-1";
pub(crate) const USER: &str = "ada@example.com";
pub(crate) const PASSWORD: &str = "s3cret!s3cret!";
pub(crate) const HOST: &str = "https://connect.calamp.com";
/// Any moment will do as the wall clock's reading at second 0.
const WALL: Duration = Duration::from_secs(1_900_000_000);

/// A session, the moment that it is at, and how many logins it has handed out.
pub(crate) struct Scenario {
    pub(crate) session: Session,
    pub(crate) logins: u32,
    base: Instant,
    now: Instant,
    /// How far the wall clock is ahead: the machine slept, or the clock was set.
    slept: Duration,
}

/// What a server sees of a request.
pub(crate) enum Sent<'a> {
    Login,
    Call { path: &'a str, token: &'a str },
}

/// What a caller gets.
pub(crate) type Answered = Result<(u16, Option<Unauthorized>), Denial>;

impl Scenario {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        Self::of(Endpoint::us(), KEY, USER, PASSWORD, settings)
    }

    pub(crate) fn of(
        endpoint: Endpoint,
        key: &str,
        user: &str,
        password: &str,
        settings: Settings,
    ) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "virtual time needs one moment to count from"
        )]
        let base = std::time::Instant::now();
        let key = AppKey::new(key).unwrap();
        let session = Session::new(endpoint, key, credentials(user, password), settings).unwrap();
        Self {
            session,
            logins: 0,
            base,
            now: base,
            slept: Duration::ZERO,
        }
    }

    /// Another process of the same account at the same moment, its session empty.
    pub(crate) fn restarted(&self) -> Self {
        let settings = self.session.settings().clone();
        let other = Self::of(
            self.session.endpoint().clone(),
            KEY,
            USER,
            PASSWORD,
            settings,
        );
        Self {
            base: self.base,
            now: self.now,
            slept: self.slept,
            ..other
        }
    }

    // To a state in a line.

    pub(crate) fn open(mut self, token: &str) -> Self {
        let ticket = self.order().ticket;
        assert!(matches!(
            self.login(ticket, 200, &[&cookie(token)]),
            LoginOutcome::Opened(_)
        ));
        self
    }

    pub(crate) fn rejected(mut self, status: u16) -> Self {
        let ticket = self.order().ticket;
        assert!(matches!(
            self.login(ticket, status, &[]),
            LoginOutcome::Failed(Denial::Rejected { .. })
        ));
        self
    }

    pub(crate) fn cooling(mut self) -> Self {
        let ticket = self.order().ticket;
        let outcome = self.login(ticket, 503, &[]);
        assert!(matches!(
            outcome,
            LoginOutcome::Failed(Denial::BackingOff { .. })
        ));
        self
    }

    pub(crate) fn closed(mut self) -> Self {
        self.session.close();
        self
    }

    /// Open, with nothing left of the budget: the next login is denied.
    pub(crate) fn spent(mut self) -> Self {
        for number in 0..10 {
            let Admit::Login(order) = self.session.renew(self.now) else {
                return self;
            };
            self.logins += 1;
            let _ = self.login(order.ticket, 200, &[&cookie(&format!("T{number}"))]);
        }
        panic!("the budget has no end");
    }

    // Time.

    /// The moment `seconds` after the start.
    pub(crate) fn moment(&self, seconds: u64) -> Instant {
        self.base + Duration::from_secs(seconds)
    }

    /// Goes to `seconds` after the start, which may be back in time.
    pub(crate) fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = self.moment(seconds);
        self
    }

    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.pass_time(seconds);
        self
    }

    pub(crate) fn pass_time(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    pub(crate) fn jump_to(&mut self, now: Instant) {
        self.now = now;
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// What a right wall clock says now.
    pub(crate) fn wall(&self) -> SystemTime {
        let passed = self.now.duration_since(self.base) + self.slept;
        // Some tests go to the end of time.
        (UNIX_EPOCH + WALL)
            .checked_add(passed)
            .unwrap_or(UNIX_EPOCH)
    }

    /// The monotonic clock stands still, and the wall clock goes on.
    pub(crate) fn sleep(&mut self, seconds: u64) {
        self.slept += Duration::from_secs(seconds);
    }

    // The verbs, at the present moment.

    pub(crate) fn admit(&mut self, call: &mut Call) -> Admit {
        let response = self.session.admit(call, self.now);
        self.logins += u32::from(matches!(response, Admit::Login(_)));
        response
    }

    pub(crate) fn order(&mut self) -> LoginOrder {
        match self.admit(&mut call()) {
            Admit::Login(order) => *order,
            other => panic!("expected a login, got {other:?}"),
        }
    }

    pub(crate) fn renewal(&mut self) -> LoginTicket {
        match self.session.renew(self.now) {
            Admit::Login(order) => order.ticket,
            other => panic!("expected a login, got {other:?}"),
        }
    }

    pub(crate) fn waits(&mut self) -> Wait {
        match self.admit(&mut call()) {
            Admit::Wait(wait) => wait,
            other => panic!("expected to wait, got {other:?}"),
        }
    }

    pub(crate) fn denied(&mut self) -> Denial {
        match self.admit(&mut call()) {
            Admit::Deny(denial) => denial,
            other => panic!("expected a denial, got {other:?}"),
        }
    }

    /// A call that is on its way with the present token.
    pub(crate) fn sent(&mut self) -> Call {
        let mut call = call();
        self.proceeds(&mut call);
        call
    }

    pub(crate) fn proceeds(&mut self, call: &mut Call) -> Pass {
        match self.admit(call) {
            Admit::Proceed(pass) => pass,
            other => panic!("expected to proceed, got {other:?}"),
        }
    }

    pub(crate) fn response(&mut self, call: &mut Call, status: u16, cookies: &[&str]) -> Verdict {
        self.answer_on(call, "/connect/services/devices", status, cookies)
    }

    pub(crate) fn answer_on(
        &mut self,
        call: &mut Call,
        path: &str,
        code: u16,
        cookies: &[&str],
    ) -> Verdict {
        self.session.observe(
            call,
            route(path),
            status(code),
            &set_cookies(cookies),
            self.now,
        )
    }

    pub(crate) fn login(
        &mut self,
        ticket: LoginTicket,
        status: u16,
        cookies: &[&str],
    ) -> LoginOutcome {
        self.reports(ticket, &response(status, cookies))
    }

    /// Reads the response to a login, then reports it.
    pub(crate) fn reports<B>(
        &mut self,
        ticket: LoginTicket,
        response: &Response<B>,
    ) -> LoginOutcome {
        let reader = self.session.login_reader().arrived_at(self.wall());
        let reading = reader.read(response.status(), response.headers(), &[]);
        self.session.login_response(ticket, reading, self.now)
    }

    pub(crate) fn fails(&mut self, ticket: LoginTicket, failure: SendFailure) -> LoginOutcome {
        self.session.login_failed(ticket, failure, self.now)
    }

    /// As a store would have it back.
    pub(crate) fn record(&self) -> SessionRecord {
        through_json(&sealed(&self.session.record(self.now, self.wall())))
    }

    /// What a record says to this session.
    pub(crate) fn opened(&self, record: &SessionRecord) -> OpenRecord {
        opened(record, &self.session.seal_seed())
    }

    pub(crate) fn resumes(&mut self, ticket: LoginTicket, record: &SessionRecord) -> Resumed {
        let wall = self.wall();
        self.resumes_at(wall, ticket, record)
    }

    /// By a wall clock of its own.
    pub(crate) fn resumes_at(
        &mut self,
        wall: SystemTime,
        ticket: LoginTicket,
        record: &SessionRecord,
    ) -> Resumed {
        let record = self.opened(record);
        self.session.login_resumed(ticket, &record, self.now, wall)
    }

    pub(crate) fn overtaken(&mut self, ticket: LoginTicket, record: &SessionRecord) -> Resumed {
        let (record, wall) = (self.opened(record), self.wall());
        self.session
            .login_overtaken(ticket, &record, self.now, wall)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.session.phase(self.now)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.session.next_deadline(self.now)
    }

    /// The token that calls go out with, as the server would see it.
    pub(crate) fn token(&self) -> Option<String> {
        self.session.pass().map(token_of)
    }

    /// What `n` new callers are told.
    pub(crate) fn herd(&mut self, n: usize) -> Vec<Admit> {
        (0..n).map(|_| self.admit(&mut call())).collect()
    }

    /// The loop of the crate's first page, for one caller.
    pub(crate) fn drive(
        &mut self,
        path: &str,
        server: &mut dyn FnMut(Sent<'_>) -> Response<()>,
    ) -> Answered {
        self.drive_call(call(), path, server)
    }

    pub(crate) fn drive_call(
        &mut self,
        mut call: Call,
        path: &str,
        server: &mut dyn FnMut(Sent<'_>) -> Response<()>,
    ) -> Answered {
        for _turn in 0..10 {
            match self.admit(&mut call) {
                Admit::Proceed(pass) => {
                    let response = server(Sent::Call {
                        path,
                        token: &token_of(&pass),
                    });
                    let (status, headers) = (response.status(), response.headers());
                    match self
                        .session
                        .observe(&mut call, route(path), status, headers, self.now)
                    {
                        Verdict::Deliver => return Ok((status.as_u16(), None)),
                        Verdict::Unauthorized(why) => return Ok((status.as_u16(), Some(why))),
                        Verdict::Replay => {}
                    }
                }
                Admit::Login(order) => {
                    let _ = self.reports(order.ticket, &server(Sent::Login));
                }
                Admit::NeedCredentials(_) => panic!("the session has credentials"),
                Admit::Wait(_) => panic!("nobody else is there"),
                Admit::Deny(denial) => return Err(denial),
            }
        }
        panic!("one call took more than ten turns")
    }
}

pub(crate) fn call() -> Call {
    Call::new(true)
}

pub(crate) fn credentials(user: &str, password: &str) -> Credentials {
    Credentials::new(user, password).unwrap()
}

pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}

pub(crate) fn route(path: &str) -> Route {
    Route::new(&Method::GET, path)
}

pub(crate) fn cookie(token: &str) -> String {
    format!("authToken={token}; Path=/connect; Secure; HttpOnly")
}

pub(crate) fn set_cookies(lines: &[&str]) -> HeaderMap {
    lines
        .iter()
        .map(|line| (SET_COOKIE, HeaderValue::from_str(line).unwrap()))
        .collect()
}

/// A response with these `Set-Cookie` lines.
pub(crate) fn response(code: u16, cookies: &[&str]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status(code);
    *response.headers_mut() = set_cookies(cookies);
    response
}

pub(crate) fn answer_with(code: u16, name: &'static str, value: &str) -> Response<()> {
    let mut response = response(code, &[]);
    response.headers_mut().insert(
        HeaderName::from_static(name),
        HeaderValue::from_str(value).unwrap(),
    );
    response
}

pub(crate) fn token_of(pass: &Pass) -> String {
    let headers = stamped(pass, HeaderMap::new());
    headers["cookie"]
        .to_str()
        .unwrap()
        .strip_prefix("authToken=")
        .unwrap()
        .to_owned()
}

pub(crate) fn stamped(pass: &Pass, mut headers: HeaderMap) -> HeaderMap {
    let uri = Uri::from_static("https://connect.calamp.com/connect/services/devices");
    pass.stamp(Target::from(&uri), &mut headers).unwrap();
    headers
}

/// As a store would have it back.
pub(crate) fn through_json(record: &SessionRecord) -> SessionRecord {
    serde_json::from_str(&serde_json::to_string(record).unwrap()).unwrap()
}

/// A record whose sealed parts are not encrypted: the ciphers are the driver's. Its token is all of
/// the credentials whose mark is right.
pub(crate) fn sealed(ours: &OpenRecord) -> SessionRecord {
    let token = ours.token_to_seal().map(|(text, facts, seed)| SealedToken {
        by: mark(seed),
        facts,
        nonce: [0; 24],
        sealed: text.to_vec(),
    });
    let refusal = ours.refusal_to_seal().map(|refusal| Refusal {
        tag: mark(ours.seed()),
        ..refusal
    });
    let parts = SealedParts {
        salt: [7; 16],
        tokens: token.into_iter().collect(),
        refusals: refusal.into_iter().collect(),
    };
    SessionRecord::sealed(ours, None, parts)
}

pub(crate) fn opened(record: &SessionRecord, seed: &SealSeed) -> OpenRecord {
    let by = mark(seed);
    let token = record.tokens().iter().find(|token| token.by == by);
    let token = token.and_then(|sealed| {
        let text = String::from_utf8(sealed.sealed.clone()).ok()?;
        Some((sealed, AuthToken::new(text).ok()?))
    });
    let refusal = record.refusals().iter().find(|refusal| refusal.tag == by);
    record.opened(seed.clone(), token, refusal.copied())
}

fn mark(seed: &SealSeed) -> [u8; 16] {
    seed.as_bytes()[..16].try_into().unwrap()
}

/// The record with one field set to something else: if it is the token's, or the token itself,
/// there as well.
pub(crate) fn with_field(
    record: &SessionRecord,
    field: &str,
    value: serde_json::Value,
) -> SessionRecord {
    serde_json::from_value(json_with_field(record, field, value)).unwrap()
}

pub(crate) fn json_with_field(
    record: &SessionRecord,
    field: &str,
    value: serde_json::Value,
) -> serde_json::Value {
    let mut json = serde_json::to_value(record).unwrap();
    let mut found = json.get(field).is_some();
    if found {
        json[field] = value.clone();
    }
    if field == "token" {
        let Some(text) = value.as_str() else {
            json["tokens"] = serde_json::json!([]);
            return json;
        };
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        json["tokens"][0]["sealed"] = hex.into();
        return json;
    }
    if let Some(token) = json["tokens"].get_mut(0)
        && token.get(field).is_some()
    {
        token[field] = value;
        found = true;
    }
    assert!(found, "a record has no field {field}");
    json
}

/// A field of the record, or of its token.
pub(crate) fn field(record: &SessionRecord, field: &str) -> serde_json::Value {
    let json = serde_json::to_value(record).unwrap();
    let of_token = json["tokens"].get(0).and_then(|token| token.get(field));
    of_token.unwrap_or(&json[field]).clone()
}
