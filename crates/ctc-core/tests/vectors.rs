//! The language-neutral vectors of `ctc-testkit`: what each response means to a session.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so at once"
)]

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use ctc_core::{
    Admit, AppKey, Call, Credentials, Denial, Endpoint, Instant, Login, LoginFailure, LoginOutcome,
    OAuth, RejectionReason, Route, Session, Settings, Target, Unauthorized, Verdict,
};
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};

const DEVICES: &str = "https://connect.calamp.com/connect/services/devices";

/// Too short to be taken for what a server asks for.
const BACKOFF: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 24 * 3600);

struct Case {
    id: String,
    logins: Vec<Login>,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    expected: Value,
}

fn cases(file: &str, login: Option<&Login>) -> Vec<Case> {
    let vectors: Value = serde_json::from_str(file).unwrap();
    assert_eq!(vectors["format"], 1);
    let cases = vectors["cases"].as_array().unwrap().iter();
    let cases: Vec<_> = cases.map(|case| read_case(case, login)).collect();
    let ids: BTreeMap<_, _> = cases.iter().map(|case| (&case.id, ())).collect();
    assert_eq!(ids.len(), cases.len(), "an id stands for one case");
    cases
}

fn read_case(case: &Value, login: Option<&Login>) -> Case {
    let mut headers = HeaderMap::new();
    for header in case["headers"].as_array().unwrap() {
        let name = HeaderName::try_from(header[0].as_str().unwrap()).unwrap();
        let value = HeaderValue::from_bytes(header[1].as_str().unwrap().as_bytes());
        headers.append(name, value.unwrap());
    }
    let oauth = || Login::OAuth(OAuth::us());
    let logins = match (login, case["login"].as_str()) {
        (Some(login), None) => vec![login.clone()],
        (None, Some("cookie")) => vec![Login::AuthToken],
        (None, Some("oauth")) => vec![oauth()],
        (None, Some("both")) => vec![Login::AuthToken, oauth()],
        other => panic!("{other:?}"),
    };
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    Case {
        id: case["id"].as_str().unwrap().to_owned(),
        logins,
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: case.get("body").map_or_else(Vec::new, text),
        expected: case["expected"].clone(),
    }
}

fn text(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Array(parts) => parts.iter().flat_map(text).collect(),
        repeated => {
            let times = usize::try_from(repeated["times"].as_u64().unwrap()).unwrap();
            repeated["repeat"].as_str().unwrap().repeat(times).into()
        }
    }
}

fn agrees(expected: &Value, found: Option<Duration>) -> bool {
    let seconds = |value: &Value| value.as_u64().map(Duration::from_secs);
    if let Some(least) = expected.get("at_least") {
        found.is_some_and(|found| Some(found) >= seconds(least))
    } else if let Some(most) = expected.get("at_most") {
        found.is_none_or(|found| Some(found) <= seconds(most))
    } else {
        found == seconds(expected)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "virtual time needs one moment to count from"
)]
fn start() -> Instant {
    std::time::Instant::now()
}

fn session(login: &Login) -> Session {
    let mut settings = Settings::default();
    settings.login = login.clone();
    settings.fair_use.backoff = BACKOFF;
    settings.fair_use.retry_after_cap = LONGEST_PAUSE;
    let credentials = Credentials::new("ada@example.com", "s3cret!s3cret!").unwrap();
    let key = AppKey::new("app-key-1").unwrap();
    Session::new(Endpoint::us(), key, credentials, settings).unwrap()
}

/// The token as a call carries it.
fn token(session: &Session) -> Option<String> {
    let uri = Uri::from_static(DEVICES);
    let mut headers = HeaderMap::new();
    let pass = session.pass()?;
    pass.stamp(Target::from(&uri), &mut headers).unwrap();
    let (name, prefix) = match session.settings().login {
        Login::AuthToken => (COOKIE, "authToken="),
        _ => (AUTHORIZATION, "Bearer "),
    };
    let token = headers[name].to_str().unwrap().strip_prefix(prefix);
    Some(token.unwrap().to_owned())
}

/// Reports the case to a session that logs in.
fn log_in(session: &mut Session, case: &Case, now: Instant) -> (LoginOutcome, Option<Duration>) {
    let Admit::Login(order) = session.admit(&mut Call::new(true), now) else {
        panic!("a login may be made")
    };
    // Hours off: where the response has a date, ours does not count.
    let wall = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let reader = session.login_reader().arrived_at(wall);
    let wanted = case.body.len().min(reader.body_limit());
    let reading = reader.read(case.status, &case.headers, &case.body[..wanted]);
    let lifetime = reading.lifetime();
    (session.login_response(order.ticket, reading, now), lifetime)
}

fn check_login(case: &Case, login: &Login) {
    let (now, id, expected) = (start(), &case.id, &case.expected);
    let mut session = session(login);
    let (outcome, lifetime) = log_in(&mut session, case, now);
    match (outcome, expected["event"].as_str().unwrap()) {
        (LoginOutcome::Opened(_), "token") => {
            let token = token(&session).map(String::into_bytes);
            assert_eq!(token, Some(text(&expected["token"])), "{id}");
            assert!(
                agrees(&expected["lifetime_seconds"], lifetime),
                "{id}: {lifetime:?}"
            );
            let known = session.known_end().map(|end| end.duration_since(now));
            let states = matches!(login, Login::OAuth(_));
            assert_eq!(known, lifetime.filter(|_| states), "{id}");
        }
        (LoginOutcome::Failed(Denial::Rejected { status, reason, .. }), "rejected") => {
            assert_eq!(status, case.status, "{id}");
            let (reason, hint) = match reason {
                RejectionReason::Credentials => ("credentials", Value::Null),
                RejectionReason::SignOnPolicy => ("credentials", json!("sign_on_policy")),
                RejectionReason::Configuration => ("configuration", Value::Null),
                _ => ("unknown", Value::Null),
            };
            assert_eq!(expected["reason"], reason, "{id}");
            assert_eq!(expected["hint"], hint, "{id}");
        }
        (LoginOutcome::Failed(Denial::BackingOff { until, cause, .. }), "failed") => {
            let (cause, asked) = match cause {
                LoginFailure::NoToken => ("no_token", None),
                LoginFailure::UnusableToken => ("unusable_token", None),
                LoginFailure::Redirected { .. } => ("redirected", None),
                LoginFailure::Unavailable { retry_after, .. }
                | LoginFailure::Busy { retry_after, .. } => ("unavailable", retry_after),
                other => panic!("{id}: {other:?}"),
            };
            assert_eq!(expected["cause"], cause, "{id}");
            assert!(agrees(&expected["pause_seconds"], asked), "{id}: {asked:?}");
            let pause = until.duration_since(now);
            let asked = asked.unwrap_or_default().min(LONGEST_PAUSE);
            assert!(
                pause >= asked && pause <= asked.max(BACKOFF),
                "{id}: {pause:?}"
            );
        }
        (outcome, _) => panic!("{id}: {outcome:?}, not {expected}"),
    }
}

fn check_logins(file: &str, login: Option<&Login>) {
    for case in cases(file, login) {
        for login in &case.logins {
            check_login(&case, login);
        }
    }
}

#[test]
fn cookie_logins() {
    let file = include_str!("../../ctc-testkit/vectors/cookie_login.json");
    check_logins(file, Some(&Login::AuthToken));
}

#[test]
fn oauth_logins() {
    let file = include_str!("../../ctc-testkit/vectors/oauth_login.json");
    check_logins(file, Some(&Login::OAuth(OAuth::us())));
}

#[test]
fn retry_after() {
    let file = include_str!("../../ctc-testkit/vectors/retry_after.json");
    check_logins(file, None);
}

#[test]
fn a_limit_without_a_date_counts_by_our_clock() {
    let file = include_str!("../../ctc-testkit/vectors/retry_after.json");
    let cases = cases(file, None);
    let mut case = cases.into_iter().find(|case| case.id == "26").unwrap();
    let reset = case.headers["x-rate-limit-reset"].to_str().unwrap();
    let reset = UNIX_EPOCH + Duration::from_secs(reset.parse().unwrap());
    let wall = reset - Duration::from_secs(7);
    case.headers.remove("date");
    let now = start();
    for (wall, pause) in [(Some(wall), 7), (None, 0)] {
        let mut session = session(&case.logins[0]);
        let Admit::Login(order) = session.admit(&mut Call::new(true), now) else {
            panic!("a login may be made")
        };
        let reader = session.login_reader();
        let reader = wall.map_or(reader.clone(), |wall| reader.arrived_at(wall));
        let reading = reader.read(case.status, &case.headers, &case.body);
        let outcome = session.login_response(order.ticket, reading, now);
        let LoginOutcome::Failed(Denial::BackingOff { until, .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(until.duration_since(now).as_secs(), pause);
    }
}

#[test]
fn an_oauth_login_waits_for_a_second_at_least_when_it_is_asked_to_wait() {
    let file = include_str!("../../ctc-testkit/vectors/retry_after.json");
    let cases = cases(file, None);
    // `Retry-After: 0`, and a limit that is over already.
    for id in ["2", "32"] {
        let case = cases.iter().find(|case| case.id == id).unwrap();
        let now = start();
        let mut session = session(&Login::OAuth(OAuth::us()));
        let (outcome, _) = log_in(&mut session, case, now);
        let LoginOutcome::Failed(Denial::BackingOff { until, .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(until.duration_since(now).as_secs(), 1, "{id}");
    }
}

/// Opens the session, or renews it.
fn opened(session: &mut Session, token: &str, now: Instant) {
    let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 86_400 });
    let mut headers = HeaderMap::new();
    let cookie = HeaderValue::try_from(format!("authToken={token}")).unwrap();
    headers.insert("set-cookie", cookie);
    let case = Case {
        id: String::new(),
        logins: Vec::new(),
        status: StatusCode::OK,
        headers,
        body: body.to_string().into_bytes(),
        expected: Value::Null,
    };
    let (outcome, _) = log_in(session, &case, now);
    assert!(matches!(outcome, LoginOutcome::Opened(_)), "{outcome:?}");
}

fn check_call(case: &Case, login: &Login) {
    let (id, expected) = (&case.id, &case.expected);
    let mut session = session(login);
    let begin = start();
    opened(&mut session, "OLD", begin);
    let now = begin + Duration::from_secs(3 * 3600);
    let mut call = Call::new(true);
    assert!(matches!(session.admit(&mut call, now), Admit::Proceed(_)));
    let route = Route::new(&Method::GET, "/connect/services/devices");
    let verdict = session.observe(&mut call, route, case.status, &case.headers, now);
    let old = token(&session);
    let mut logins = 0;
    if verdict == Verdict::Replay {
        logins += 1;
        opened(&mut session, "NEW", now);
        assert!(matches!(session.admit(&mut call, now), Admit::Proceed(_)));
    }
    let (event, reason) = match verdict {
        Verdict::Replay => ("replay", Value::Null),
        Verdict::Deliver => ("deliver", Value::Null),
        Verdict::Unauthorized(Unauthorized::InsufficientScope | Unauthorized::RouteRejected) => {
            ("deliver", json!("route_rejected"))
        }
        other => panic!("{id}: {other:?}"),
    };
    assert_eq!(expected["event"], event, "{id}");
    assert_eq!(expected["reason"], reason, "{id}");
    assert_eq!(expected["logins"], logins, "{id}");
    let after = token(&session);
    match &expected["token"] {
        Value::String(kept) if kept == "kept" => assert_eq!(after.as_deref(), Some("OLD"), "{id}"),
        Value::String(gone) if gone == "invalidated" => assert_eq!(after, None, "{id}"),
        Value::String(new) if new == "replaced" => {
            assert_eq!((old, after.as_deref()), (None, Some("NEW")), "{id}");
        }
        rotated => assert_eq!(rotated["rotated"], after.unwrap(), "{id}"),
    }
}

#[test]
fn responses_to_calls() {
    let file = include_str!("../../ctc-testkit/vectors/unauthorized.json");
    for case in cases(file, None) {
        for login in &case.logins {
            check_call(&case, login);
        }
    }
}
