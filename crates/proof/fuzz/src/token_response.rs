//! Responses of the token endpoint, and the challenges of a 401.

use std::time::{Duration, UNIX_EPOCH};

use ctc_core::{
    AppKey, Call, Denial, Endpoint, Login, LoginOutcome, OAuth, Pass, Route, Session, Settings,
    Target, Unauthorized, Verdict,
};
use http::header::{AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode, Uri};

use super::{credentials, elect, now, put};

/// The longest lifetime of a token that is accepted.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// Reads a response of the token endpoint: a status and header lines, an empty line, and the body.
/// A token that is found must be in the body, and must be valid in a header.
pub(crate) fn token_response(data: &[u8]) {
    let now = now();
    let mut session = oauth_session();
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = data.split_at(end.unwrap_or(data.len()));
    let body = body.get(2..).unwrap_or_default();
    let mut headers = HeaderMap::new();
    let mut lines = head.split(|&byte| byte == b'\n').take(32);
    let status = lines
        .next()
        .and_then(|line| StatusCode::from_bytes(line).ok());
    let status = status.unwrap_or_default();
    for line in lines {
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let (name, value) = (parts.next(), parts.next());
        if let (Some(Ok(name)), Some(value)) = (name.map(HeaderName::from_bytes), value) {
            put(&mut headers, name, value.trim_ascii());
        }
    }

    let ticket = elect(&mut session, now);
    let reader = session.login_reader().arrived_at(UNIX_EPOCH);
    let reading = reader.read(status, &headers, body);
    let lifetime = reading.lifetime();
    assert!(
        !format!("{reading:?}").contains("CANARY"),
        "a secret is printed"
    );
    let outcome = session.login_response(ticket, reading, now);
    assert!(
        !format!("{outcome:?} {session:?}").contains("CANARY"),
        "a secret is printed"
    );
    match outcome {
        LoginOutcome::Opened(_) => {
            assert_eq!(status, StatusCode::OK);
            assert!(lifetime.is_none_or(|span| span.as_secs() > 0 && span <= MONTH));
            let token = session.pass().map(bearer_of).unwrap_or_default();
            let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
            // The content of unknown members does not matter, well-formed or not.
            let body = String::from_utf8_lossy(body);
            let Ok(body) = serde_json::from_str::<serde_json::Value>(&body) else {
                return;
            };
            assert_eq!(body["access_token"], token);
            let is_inside = |byte| u8::is_ascii_alphanumeric(&byte) || b"-._~+/=".contains(&byte);
            assert!(!token.is_empty() && token.bytes().all(is_inside));
            let kind = body["token_type"].as_str().unwrap_or_default();
            assert!(kind.eq_ignore_ascii_case("bearer"));
            let is_absent = |error: &serde_json::Value| error.is_null() || error == "";
            assert!(is_absent(&body["error"]) && is_absent(&body["errorCode"]));
        }
        LoginOutcome::Failed(Denial::Rejected { .. }) => {
            assert!(status == StatusCode::OK || status.is_client_error());
        }
        LoginOutcome::Failed(Denial::BackingOff { until, .. }) => {
            let rules = &session.settings().fair_use;
            assert!(until - now <= rules.retry_after_cap.max(rules.backoff_cap));
        }
        other => unreachable!("{other:?}"),
    }
    challenge(&headers);
}

/// Reads the same header lines on a 401 of a call.
fn challenge(headers: &HeaderMap) {
    let (mut session, now) = (oauth_session(), now());
    let ticket = elect(&mut session, now);
    let body = br#"{"access_token":"CANARY","token_type":"Bearer"}"#;
    let reader = session.login_reader();
    let reading = reader.read(StatusCode::OK, &HeaderMap::new(), body);
    let _ = session.login_response(ticket, reading, now);
    let later = now + Duration::from_secs(3600);
    let mut call = Call::new(true);
    let _ = session.admit(&mut call, later);
    let route = Route::new(&Method::GET, "/");
    let verdict = session.observe(&mut call, route, StatusCode::UNAUTHORIZED, headers, later);
    match verdict {
        Verdict::Replay => assert!(session.pass().is_none()),
        Verdict::Unauthorized(Unauthorized::InsufficientScope) => {
            assert!(session.pass().is_some());
            let mut text = Vec::new();
            for line in headers.get_all(WWW_AUTHENTICATE) {
                text.extend(line.as_bytes().iter().filter(|&&byte| byte != b'\\'));
            }
            let text = String::from_utf8_lossy(&text).to_ascii_lowercase();
            assert!(
                ["bearer", "error", "insufficient_scope"]
                    .iter()
                    .all(|word| text.contains(word))
            );
        }
        other => unreachable!("{other:?}"),
    }
}

fn oauth_session() -> Session {
    let key = AppKey::new("CANARY-KEY").expect("a key");
    let mut settings = Settings::default();
    settings.login = Login::OAuth(OAuth::us());
    Session::new(Endpoint::us(), key, credentials(), settings).expect("one region")
}

fn bearer_of(pass: &Pass) -> String {
    let mut headers = HeaderMap::new();
    let home = Uri::from_static("https://connect.calamp.com/");
    pass.stamp(Target::from(&home), &mut headers)
        .expect("our origin");
    String::from_utf8_lossy(&headers[AUTHORIZATION].as_bytes()["Bearer ".len()..]).into_owned()
}
