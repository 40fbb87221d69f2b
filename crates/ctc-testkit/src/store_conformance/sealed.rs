//! Records through the driver: which password opens which token.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ctc_driver::{
    CallError, CallOptions, Clock, Driver, LoginRequest, LoginResponse, SessionStore,
    SharedSession, Transport, TransportError,
};
use http::{HeaderMap, Request, Response, StatusCode};

use super::stage::{LONG, SLACK, Stage, ensure, ok};

const RIGHT: &str = "Vb8kRightHn3!w";
const WRONG: &str = "Pj5xWrongQd6!z";

/// A CTC with one valid password. Each login ends the earlier tokens.
#[derive(Clone, Default)]
struct Ctc(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    logins: u32,
    refused: u32,
    is_over: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;
impl TransportError for Never {}

impl Ctc {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(number: u32) -> String {
        format!("q7Xw9Zk2LmT4{number:04}")
    }

    fn ends_all_tokens(&self) {
        self.seen().is_over = true;
    }

    /// Returns how many logins were made, and how many of them were rejected.
    fn counted(&self) -> (u32, u32) {
        let seen = self.seen();
        (seen.logins, seen.refused)
    }
}

impl Transport for Ctc {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = Never;

    fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Never> {
        let seen = self.seen();
        let due = format!("authToken={}", Self::token(seen.logins - seen.refused));
        let knows = !seen.is_over
            && request
                .headers()
                .get("cookie")
                .is_some_and(|got| *got == due);
        let mut response = Response::new(Vec::new());
        if !knows {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        Ok(response)
    }

    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, Never> {
        let mut seen = self.seen();
        seen.logins += 1;
        let form = String::from_utf8_lossy(login.request.body().as_ref()).into_owned();
        if form.contains("Wrong") {
            seen.refused += 1;
            return Ok(LoginResponse::new(
                StatusCode::UNAUTHORIZED,
                HeaderMap::new(),
            ));
        }
        seen.is_over = false;
        let cookie = format!("authToken={}", Self::token(seen.logins - seen.refused));
        let mut headers = HeaderMap::new();
        headers.extend(
            cookie
                .parse()
                .map(|cookie| (http::header::SET_COOKIE, cookie)),
        );
        Ok(LoginResponse::new(StatusCode::OK, headers))
    }
}

/// A clock that is off by some seconds.
#[derive(Debug)]
struct Off(i64);

impl Clock for Off {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        let by = Duration::from_secs(self.0.unsigned_abs());
        if self.0 < 0 {
            SystemTime::now() - by
        } else {
            SystemTime::now() + by
        }
    }
}

/// Simulates a process that makes one call with this password.
fn call(stage: &Stage<'_>, ctc: &Ctc, password: &str) -> Result<Called, String> {
    call_at(stage, ctc, password, 0)
}

#[derive(PartialEq, Eq, Debug)]
struct Called {
    /// `None` if it was denied.
    status: Option<u16>,
    adopted: u64,
}

const ADOPTED: Called = Called {
    status: Some(200),
    adopted: 1,
};

const LOGGED_IN: Called = Called {
    status: Some(200),
    adopted: 0,
};

const DENIED: Called = Called {
    status: None,
    adopted: 0,
};

fn call_at(stage: &Stage<'_>, ctc: &Ctc, password: &str, skew: i64) -> Result<Called, String> {
    let session = SharedSession::with_clock(stage.account.session_with(password), Off(skew));
    let store: Arc<dyn SessionStore> = (stage.open)().into();
    let driver = Driver::new(session.clone(), ctc.clone(), Some(store));
    let request = Request::get("/devices")
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    let status = match driver.execute(request, &CallOptions::default()) {
        Ok(response) => Some(response.status().as_u16()),
        Err(CallError::Denied(_)) => None,
        Err(error) => return Err(format!("the call failed: {error}")),
    };
    let failures = session.counts().store_failures;
    ensure(failures == 0, || {
        format!("the store failed {failures} times")
    })?;
    Ok(Called {
        status,
        adopted: session.counts().adopted,
    })
}

fn expect(what: &str, found: &Called, due: &Called) -> Result<(), String> {
    ensure(found == due, || {
        format!("{what}: {found:?} instead of {due:?}")
    })
}

fn expect_logins(ctc: &Ctc, due: (u32, u32)) -> Result<(), String> {
    let found = ctc.counted();
    ensure(found == due, || {
        format!("logins and refusals: {found:?} instead of {due:?}")
    })
}

pub(super) fn nothing_in_clear(stage: &Stage<'_>) -> Result<(), String> {
    let ctc = Ctc::default();
    expect("the first process", &call(stage, &ctc, RIGHT)?, &LOGGED_IN)?;
    expect("a wrong password", &call(stage, &ctc, WRONG)?, &DENIED)?;
    let kept = in_text(stage)?;
    for secret in [&Ctc::token(1), RIGHT, WRONG] {
        for (text, length) in [(secret.to_owned(), 6), (in_hex(secret), 12)] {
            let mut pieces = text.as_bytes().windows(length);
            let found = pieces.any(|piece| contains(kept.as_bytes(), piece));
            ensure(!found, || "the record shows a piece of a secret".into())?;
        }
    }
    let known = [stage.account.user(), stage.account.app_key()];
    let found = known.iter().any(|secret| kept.contains(secret));
    ensure(!found, || {
        "the record shows username or application key".into()
    })
}

fn in_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    text.windows(piece.len()).any(|window| window == piece)
}

fn in_text(stage: &Stage<'_>) -> Result<String, String> {
    let mut lease = stage.lease(SLACK, LONG)?;
    let found = ok("load", lease.load())?.ok_or("there is no record")?;
    ok("release", lease.release())?;
    serde_json::to_string(&found).map_err(|error| error.to_string())
}

pub(super) fn wrong_password(stage: &Stage<'_>) -> Result<(), String> {
    let ctc = Ctc::default();
    expect("the first process", &call(stage, &ctc, RIGHT)?, &LOGGED_IN)?;
    for _ in 0..2 {
        expect("a wrong password", &call(stage, &ctc, WRONG)?, &DENIED)?;
        expect_logins(&ctc, (2, 1))?;
        expect("the right one", &call(stage, &ctc, RIGHT)?, &ADOPTED)?;
    }
    expect_logins(&ctc, (2, 1))
}

pub(super) fn old_copy(stage: &Stage<'_>) -> Result<(), String> {
    let ctc = Ctc::default();
    expect("the first process", &call(stage, &ctc, RIGHT)?, &LOGGED_IN)?;
    let mut lease = stage.lease(SLACK, LONG)?;
    let old = ok("load", lease.load())?.ok_or("there is no record")?;
    ok("release", lease.release())?;
    ctc.ends_all_tokens();
    let renewed = call(stage, &ctc, RIGHT)?;
    ensure(renewed.status == Some(200), || {
        format!("a renewal: {renewed:?}")
    })?;
    // Write to the store directly, as an attacker would, past the rule that a younger token stays.
    let mut lease = stage.lease(SLACK, LONG)?;
    let newer = ok("load", lease.load())?.ok_or("there is no record")?;
    ok("save", lease.save(&newer.without_token()))?;
    ok("save", lease.save(&old))?;
    ok("release", lease.release())?;
    let before = ctc.counted().0;
    let called = call(stage, &ctc, RIGHT)?;
    ensure(called.status == Some(200), || {
        format!("after it: {called:?}")
    })?;
    let logins = ctc.counted().0 - before;
    ensure(logins <= 1, || format!("it cost {logins} logins"))
}

pub(super) fn clocks_apart(stage: &Stage<'_>) -> Result<(), String> {
    let ctc = Ctc::default();
    expect("the first process", &call(stage, &ctc, RIGHT)?, &LOGGED_IN)?;
    for skew in [3600, -3600, 0] {
        let called = call_at(stage, &ctc, RIGHT, skew)?;
        expect("a clock an hour off", &called, &ADOPTED)?;
    }
    expect_logins(&ctc, (1, 0))
}
