//! What goes on a call, and where it may go.

use ctc_core::{Endpoint, Pass, Resumed, Settings, StampError, Target, TokenAttachment};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::scenario::{KEY, PASSWORD, Scenario, USER, stamped};

fn pass(token: &str) -> Pass {
    Scenario::new().open(token).session.pass().unwrap().clone()
}

fn bearer() -> Pass {
    let s =
        Scenario::with(|settings| settings.attachment = Some(TokenAttachment::Bearer)).open("T1");
    s.session.pass().unwrap().clone()
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}

#[test]
fn a_bare_request_gets_what_the_vendors_page_shows() {
    let headers = stamped(&pass("T1"), HeaderMap::new());
    assert_eq!(all(&headers, "cookie"), ["authToken=T1"]);
    assert_eq!(all(&headers, "calamp-services-app"), [KEY]);
    assert_eq!(all(&headers, "accept"), ["application/json;charset=UTF-8"]);
    assert_eq!(headers.len(), 3);
    assert!(headers["cookie"].is_sensitive() && headers["calamp-services-app"].is_sensitive());
}

#[test]
fn t37_the_token_goes_out_byte_for_byte_as_it_came() {
    let tokens = [
        "abc%3D%3D",
        "a+b/c==",
        "%zz%",
        "a\"b",
        "!#$&'()*-./:<>?@[]^_`{|}~",
        &"x".repeat(4096),
    ]
    .map(String::from);
    for token in tokens {
        let mut s = Scenario::new();
        let ticket = s.order().ticket;
        let _ = s.login(ticket, 200, &[&format!("authToken={token}; Path=/connect")]);
        assert_eq!(s.token().as_deref(), Some(token.as_str()));
    }
}

#[test]
fn t14_stamping_again_replaces_what_was_put_there() {
    let once = stamped(&pass("T1"), headers(&[("cookie", "a=1")]));
    let twice = stamped(&pass("T2"), once);
    assert_eq!(all(&twice, "cookie"), ["a=1; authToken=T2"]);
    assert_eq!(all(&twice, "calamp-services-app"), [KEY]);
    assert_eq!(all(&twice, "accept").len(), 1);
}

#[test]
fn t16_the_callers_other_cookies_are_kept_and_its_token_and_key_replaced() {
    for (cookies, expected) in [
        (&["a=1"] as &[_], "a=1; authToken=T1"),
        (&["authToken=MINE"], "authToken=T1"),
        (&["a=1; authToken=MINE; b=2"], "a=1; b=2; authToken=T1"),
        (
            &["a=1", "authToken=MINE; b=2", "authToken=ALSO"],
            "a=1; b=2; authToken=T1",
        ),
        (&["  authToken = MINE ;; a=1; "], "a=1; authToken=T1"),
        (
            &["authtoken=other; xauthToken=other; authToken2=x"],
            "authtoken=other; xauthToken=other; authToken2=x; authToken=T1",
        ),
        (&["authToken"], "authToken=T1"),
        (&[""], "authToken=T1"),
    ] {
        let mut lines = vec![
            ("calamp-services-app", "MINE"),
            ("calamp-services-app", "ALSO"),
        ];
        lines.extend(cookies.iter().map(|line| ("cookie", *line)));
        let headers = stamped(&pass("T1"), headers(&lines));
        assert_eq!(all(&headers, "cookie"), [expected], "{cookies:?}");
        assert_eq!(all(&headers, "calamp-services-app"), [KEY], "{cookies:?}");
    }
}

#[test]
fn t43_a_jar_of_the_http_stack_leaves_one_auth_token_on_the_wire() {
    let jar = headers(&[
        ("cookie", "JSESSIONID=B; authToken=STALE"),
        ("cookie", "authToken=STALER"),
    ]);
    let stamped = stamped(&pass("T1"), jar);
    assert_eq!(all(&stamped, "cookie"), ["JSESSIONID=B; authToken=T1"]);
}

#[test]
fn the_callers_own_accept_is_kept() {
    let headers = stamped(
        &pass("T1"),
        headers(&[("accept", "text/csv"), ("accept", "application/xml")]),
    );
    assert_eq!(all(&headers, "accept"), ["text/csv", "application/xml"]);
}

#[test]
fn a_bearer_takes_the_place_of_the_cookie() {
    let headers = stamped(
        &bearer(),
        headers(&[
            ("cookie", "authToken=MINE; a=1"),
            ("authorization", "Basic x"),
        ]),
    );
    assert_eq!(all(&headers, "authorization"), ["Bearer T1"]);
    assert_eq!(all(&headers, "cookie"), ["a=1"]);
    assert!(headers["authorization"].is_sensitive());
    for lines in [&[] as &[_], &[("cookie", "authToken=MINE")]] {
        let bare = stamped(&bearer(), self::headers(lines));
        assert_eq!(all(&bare, "authorization"), ["Bearer T1"]);
        assert!(!bare.contains_key("cookie"));
    }
}

#[test]
fn t37_a_quoted_token_goes_back_with_its_quotes_but_not_as_a_bearer() {
    let quoted = "\"QUFBQQ==\"";
    let with = |attachment| {
        let s = Scenario::with(|settings| settings.attachment = Some(attachment)).open(quoted);
        // A store gives it back as it was.
        let mut other = s.restarted();
        assert!(matches!(other.offer(&s.record()), Resumed::Adopted(_)));
        let both = [&s, &other].map(|s| s.session.pass().unwrap().clone());
        both.map(|pass| stamped(&pass, headers(&[("cookie", "a=\"1\"")])))
    };
    for sent in with(TokenAttachment::Cookie) {
        assert_eq!(all(&sent, "cookie"), ["a=\"1\"; authToken=\"QUFBQQ==\""]);
    }
    for sent in with(TokenAttachment::Bearer) {
        assert_eq!(all(&sent, "authorization"), ["Bearer QUFBQQ=="]);
    }
}

#[test]
fn guarantee_8_a_foreign_host_header_does_not_travel_with_key_and_token() {
    let port = Endpoint::new("https://ctc.example:8443").unwrap();
    for (endpoint, foreign) in [
        (Endpoint::us(), "evil.example"),
        (Endpoint::us(), "connect.calamp.com.evil.example"),
        (Endpoint::us(), "connect.calamp.com:8443"),
        (Endpoint::us(), "connect.calamp.com:99999"),
        (Endpoint::us(), "me@connect.calamp.com"),
        (Endpoint::us(), ""),
        (Endpoint::us(), "connect.calamp.com, evil.example"),
        (port, "ctc.example"),
    ] {
        for attachment in [TokenAttachment::Cookie, TokenAttachment::Bearer] {
            let mut settings = Settings::default();
            settings.attachment = Some(attachment);
            let s = Scenario::of(endpoint.clone(), KEY, USER, PASSWORD, settings).open("T1");
            let mut sent = headers(&[("host", foreign), ("cookie", "a=1")]);
            let uri: Uri = format!("{}/x", endpoint.origin()).parse().unwrap();
            let pass = s.session.pass().unwrap();
            pass.stamp(Target::from(&uri), &mut sent).unwrap();
            assert!(!sent.contains_key("host"), "{foreign:?}");
            assert!(sent.contains_key("calamp-services-app"));
        }
    }
    // Two are never ours; one that is written otherwise may be.
    let two = headers(&[("host", "connect.calamp.com"), ("host", "evil.example")]);
    assert!(!stamped(&pass("T1"), two).contains_key("host"));
    for own in ["connect.calamp.com", "CONNECT.calamp.com:443"] {
        let sent = stamped(&pass("T1"), headers(&[("host", own)]));
        assert_eq!(all(&sent, "host"), [own]);
    }
}

#[test]
fn a_request_that_is_not_stamped_keeps_its_host() {
    let foreign = [("host", "evil.example")];
    let mut sent = headers(&foreign);
    let uri = Uri::from_static("https://evil.example/");
    assert!(pass("T1").stamp(Target::from(&uri), &mut sent).is_err());
    assert_eq!(sent, headers(&foreign));
}

/// Every address that is not the endpoint's own.
const ELSEWHERE: &[&str] = &[
    "https://evil.example/connect/services/devices",
    "https://connect.calamp.com.evil.example/",
    "https://evilconnect.calamp.com/",
    "https://connect.calamp.co.uk/connect/services/devices",
    "https://connect.calamp.com:8443/",
    "https://connect.calamp.com:99999/",
    "http://connect.calamp.com/",
    "http://connect.calamp.com:443/",
    "ws://connect.calamp.com/",
    "https://connect.calamp.com@evil.example/",
    "https://connect.calamp.com:443@evil.example/",
    "https://me@connect.calamp.com/connect/services/devices",
    "https://me@connect.calamp.com:443/",
    "/connect/services/devices",
    "connect.calamp.com",
    "connect.calamp.com:443",
    "*",
];

#[test]
fn guarantee_8_token_and_key_never_leave_the_configured_origin() {
    for pass in [pass("T1"), bearer()] {
        for address in ELSEWHERE {
            let uri = Uri::from_static(address);
            let before = headers(&[("cookie", "authToken=MINE; a=1"), ("accept", "text/csv")]);
            let mut after = before.clone();
            let refusal = pass.stamp(Target::from(&uri), &mut after).unwrap_err();
            assert_eq!(
                refusal,
                StampError::ForeignOrigin {
                    endpoint: crate::scenario::HOST.to_owned()
                }
            );
            assert_eq!(after, before, "untouched: {address}");
        }
        for address in [
            "https://connect.calamp.com/x?y=https://evil.example",
            "https://CONNECT.calamp.COM:443/",
            "HTTPS://connect.calamp.com",
        ] {
            let uri = Uri::from_static(address);
            pass.stamp(Target::from(&uri), &mut HeaderMap::new())
                .unwrap();
        }
    }
}

#[test]
fn t45_a_plain_http_endpoint_is_bound_to_its_own_port_too() {
    let local = Endpoint::danger_plain_http("http://127.0.0.1:8080").unwrap();
    let s = Scenario::of(local, KEY, USER, PASSWORD, Settings::default()).open("T1");
    let pass = s.session.pass().unwrap();
    for (address, allowed) in [
        ("http://127.0.0.1:8080/a", true),
        ("http://127.0.0.1:8081/a", false),
        ("http://127.0.0.1/a", false),
        ("https://127.0.0.1:8080/a", false),
        ("http://localhost:8080/a", false),
    ] {
        let uri = Uri::from_static(address);
        assert_eq!(
            pass.stamp(Target::from(&uri), &mut HeaderMap::new())
                .is_ok(),
            allowed,
            "{address}"
        );
    }
}

#[test]
fn guarantee_10_as_many_headers_as_http_can_hold_do_not_make_it_panic() {
    for (count, fits) in [(16_384, true), (16_385, false), (24_000, false)] {
        let mut headers = HeaderMap::new();
        for number in 0..count {
            headers.insert(
                HeaderName::try_from(format!("x-{number}")).unwrap(),
                HeaderValue::from_static("1"),
            );
        }
        let uri = Uri::from_static("https://connect.calamp.com/");
        let result = pass("T1").stamp(Target::from(&uri), &mut headers);
        assert_eq!(result.is_ok(), fits, "{count}");
        assert_eq!(headers.len(), if fits { count + 3 } else { count });
    }
}

#[test]
fn a_cookie_of_the_callers_beyond_ascii_is_kept_as_it_is() {
    let mut headers = HeaderMap::new();
    headers.insert("cookie", HeaderValue::from_bytes(b"a=\xff\xfe").unwrap());
    let headers = stamped(&pass("T1"), headers);
    assert_eq!(headers["cookie"].as_bytes(), b"a=\xff\xfe; authToken=T1");
}
