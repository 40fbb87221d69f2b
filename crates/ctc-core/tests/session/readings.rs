//! How a login's response is read, where a slip would show in none of the conversations.

use std::time::Duration;

use ctc_core::{
    Denial, FailedLogin, Login, LoginFailure, LoginOutcome, LoginReading, LoginRule, OAuth,
    RejectionReason,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::scenario::{Scenario, status};

type Headers = &'static [(&'static str, &'static str)];

fn scenario(login: Login, rule: Option<LoginRule>) -> Scenario {
    Scenario::with(|settings| {
        settings.login = login;
        settings.login_rule = rule;
    })
}

fn oauth() -> Scenario {
    scenario(Login::OAuth(OAuth::us()), None)
}

fn read(s: &Scenario, code: u16, headers: Headers, body: &str) -> LoginReading {
    let value = |(name, value): &(&'static str, &'static str)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    let headers: HeaderMap = headers.iter().map(value).collect();
    let reader = s.session.login_reader();
    reader.read(status(code), &headers, body.as_bytes())
}

/// What the session makes of it.
fn denial(mut s: Scenario, code: u16, headers: Headers, body: &str) -> Denial {
    let ticket = s.order().ticket;
    let reading = read(&s, code, headers, body);
    let now = s.now();
    match s.session.login_response(ticket, reading, now) {
        LoginOutcome::Failed(denial) => denial,
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_sign_on_policy_is_known_in_every_spelling() {
    for (description, is_policy) in [
        ("denied by Sign-On-Policy", true),
        ("MULTIFACTOR required", true),
        ("multi factor required", true),
        ("needs multi-factor", true),
        ("Mfa", true),
        ("The credentials provided were invalid.", false),
    ] {
        let body = format!(r#"{{"error":"invalid_grant","error_description":"{description}"}}"#);
        let Denial::Rejected { reason, .. } = denial(oauth(), 400, &[], &body) else {
            panic!("{description}")
        };
        let expected = match is_policy {
            true => RejectionReason::SignOnPolicy,
            false => RejectionReason::Credentials,
        };
        assert_eq!(reason, expected, "{description}");
    }
}

#[test]
fn an_error_code_counts_with_a_status_that_is_about_the_request() {
    let reason = |code, body| match denial(oauth(), code, &[], body) {
        Denial::Rejected { reason, .. } => Some(reason),
        _ => None,
    };
    let invalid = r#"{"error":"invalid_grant"}"#;
    // 415 by itself says that there is no login at this address.
    for code in [400, 401, 403, 404, 415] {
        assert_eq!(
            reason(code, invalid),
            Some(RejectionReason::Credentials),
            "{code}"
        );
    }
    assert_eq!(reason(415, "<html>"), Some(RejectionReason::Configuration));
    for code in [407, 413, 429, 500, 503] {
        assert_eq!(reason(code, invalid), None, "{code}");
    }
}

#[test]
fn trouble_keeps_its_kind_and_its_pause() {
    const SEVEN: Headers = &[("retry-after", "7")];
    let busy = r#"{"error":"temporarily_unavailable"}"#;
    for (code, body, is_busy) in [
        (400, busy, true),
        (200, busy, true),
        (503, busy, false),
        (503, "", false),
        (403, "<html>", false),
        (413, "<html>", false),
        (413, r#"{"error":"invalid_grant"}"#, false),
        (429, busy, false),
    ] {
        for (headers, asked) in [(SEVEN, Some(7)), (&[], None)] {
            let asked = asked.map(Duration::from_secs);
            let Denial::BackingOff { cause, .. } = denial(oauth(), code, headers, body) else {
                panic!("{code} {body}")
            };
            let told = match cause {
                LoginFailure::Busy {
                    status,
                    retry_after,
                    ..
                } => (true, status, retry_after),
                LoginFailure::Unavailable {
                    status,
                    retry_after,
                    ..
                } => (false, status, retry_after),
                cause => panic!("{code} {cause:?}"),
            };
            assert_eq!(told, (is_busy, status(code), asked), "{code} {body}");
        }
    }
}

#[test]
fn only_what_is_certainly_a_token_is_one() {
    let body = |token: &str| format!(r#"{{"token_type":"Bearer","access_token":"{token}"}}"#);
    for token in ["AAAA", r"AA\u0041A", r"AA\/A", "NULLA"] {
        assert!(
            read(&oauth(), 200, &[], &body(token)).has_token(),
            "{token}"
        );
    }
    // Another escape stands for a character that no token has.
    for token in [
        r"AA\nA", r"AA\bA", r"AA\\A", r#"AA\"A"#, "null", "NULL", "Null",
    ] {
        let reading = read(&oauth(), 200, &[], &body(token));
        assert!(!reading.has_token(), "{token}");
    }
}

#[test]
fn a_lifetime_is_a_number_of_seconds_up_to_30_days() {
    let lifetime = |expires_in: &str| {
        let body =
            format!(r#"{{"token_type":"Bearer","access_token":"A","expires_in":{expires_in}}}"#);
        let reading = read(&oauth(), 200, &[], &body);
        assert!(reading.has_token(), "{expires_in}");
        reading.lifetime().map(|lifetime| lifetime.as_secs_f64())
    };
    let cap = 30.0 * 86_400.0;
    for (expires_in, seconds) in [
        ("1", Some(1.0)),
        ("1.9", Some(1.0)),
        (r#"" 3600 ""#, Some(3600.0)),
        ("2592000", Some(cap)),
        ("2592001", Some(cap)),
        ("1e30", Some(cap)),
        ("0.9", None),
        (r#""inf""#, None),
        (r#""infinity""#, None),
        (r#""nan""#, None),
        (r#""0x10""#, None),
    ] {
        assert_eq!(lifetime(expires_in), seconds, "{expires_in}");
    }
}

#[test]
fn a_body_is_read_for_the_oauth_login_alone() {
    let limit = |s: &Scenario| s.session.login_reader().body_limit();
    assert_eq!(limit(&Scenario::new()), 0);
    // One byte more than may be, so that a longer body shows.
    assert_eq!(limit(&oauth()), 64 * 1024 + 1);
}

/// Asking their source again helps then.
#[test]
fn credentials_are_rejected_unless_it_is_for_another_reason() {
    let grant = r#"{"error":"invalid_grant"}"#;
    for (code, body, is_rejected) in [
        (400, grant, true),
        (401, "", true),
        (400, r#"{"error":"invalid_client"}"#, false),
        (404, "", false),
        (404, grant, false),
        (503, "", false),
    ] {
        let reading = read(&oauth(), code, &[], body);
        assert_eq!(reading.rejects_credentials(), is_rejected, "{code} {body}");
    }
    for (code, is_rejected) in [
        (401, true),
        (403, true),
        (404, false),
        (405, false),
        (500, false),
    ] {
        let reading = read(&Scenario::new(), code, &[], "");
        assert_eq!(reading.rejects_credentials(), is_rejected, "{code}");
    }
}

#[test]
fn a_rule_that_says_unavailable_leaves_the_pause_to_the_server() {
    let rule = LoginRule::new(|_| Some(FailedLogin::Unavailable));
    let s = scenario(Login::AuthToken, Some(rule));
    let cause = LoginFailure::unavailable(status(401), Some(Duration::from_secs(30)));
    let denied = denial(s, 401, &[("retry-after", "30")], "");
    assert!(
        matches!(&denied, Denial::BackingOff { cause: found, .. } if *found == cause),
        "{denied:?}"
    );
}
