//! Each fault, seen from a client: what goes wrong on the session.

mod common;

use std::time::Duration;

use common::{Client, DEVICES, LOGOUT};
use ctc_testkit::{
    ClearingForm, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, RetryAfter, Rule, Server,
    Times, When,
};

/// A server, a client of it, and a valid token.
fn scene() -> (Server, Client<std::net::TcpStream>, String) {
    let server = Server::start().expect("a server");
    let mut client = Client::connect(&server);
    let token = client.token();
    (server, client, token)
}

#[test]
fn rules_apply_to_the_matches_that_they_count() {
    let (server, mut client, token) = scene();
    server.inject(Rule::times(2, Matcher::AnyCall, Fault::status(503)).after(1));
    let statuses: Vec<_> = (0..5).map(|_| client.get(DEVICES, &token).status).collect();
    assert_eq!(statuses, [200, 503, 503, 200, 200]);

    let id = server.inject(Rule::forever(Matcher::AnyCall, Fault::status(500)));
    assert_eq!(client.get(DEVICES, &token).status, 500);
    assert!(server.remove_fault(id) && !server.remove_fault(id));
    assert_eq!(client.get(DEVICES, &token).status, 200);

    server.inject(Rule::forever(Matcher::Any, Fault::status(500)));
    server.clear_faults();
    assert_eq!(client.login().status, 200);
    assert_eq!(Times::default(), Times::Once);
}

#[test]
fn rules_match_by_class_path_and_route() {
    let (server, mut client, token) = scene();
    let route = Matcher::Route {
        method: "GET".into(),
        path: DEVICES.into(),
    };
    server.inject(Rule::forever(route, Fault::status(401)));
    server.inject(Rule::forever(
        Matcher::Path("/connect/test/".into()),
        Fault::status(502),
    ));
    server.inject(Rule::forever(Matcher::Logout, Fault::status(503)));
    server.inject(Rule::forever(Matcher::Login, Fault::status(504)));
    assert_eq!(client.get(DEVICES, &token).status, 401);
    assert_eq!(
        client.get("/connect/services/devices/1001", &token).status,
        200
    );
    assert_eq!(client.post(DEVICES, &token, b"").status, 405);
    assert_eq!(client.get("/connect/test/echo", &token).status, 502);
    assert_eq!(client.post(LOGOUT, &token, b"").status, 503);
    assert_eq!(client.login().status, 504);
    assert_eq!(
        (server.counts().unauthorized, server.counts().logins),
        (1, 1)
    );
}

#[test]
fn the_presented_token_ends_before_or_after_the_response() {
    for fault in [|when| Fault::Revoke { when }, |when| Fault::Expire { when }] {
        for (when, statuses) in [(When::Before, [401, 401]), (When::After, [200, 401])] {
            let (server, mut client, token) = scene();
            server.inject(Rule::once(Matcher::AnyCall, fault(when)));
            assert_eq!(
                [
                    client.get(DEVICES, &token).status,
                    client.get(DEVICES, &token).status
                ],
                statuses
            );
        }
    }
}

#[test]
fn a_token_rotates() {
    for (keep_old, status) in [(true, 200), (false, 401)] {
        let (server, mut client, old) = scene();
        server.rotate(keep_old);
        let reply = client.get(DEVICES, &old);
        let new = reply.token().unwrap();
        assert_eq!((reply.status, client.get(DEVICES, new).status), (200, 200));
        assert_eq!(client.get(DEVICES, &old).status, status);
        assert_eq!(server.counts().live_tokens, 1 + u64::from(keep_old));
    }
}

#[test]
fn every_clearing_cookie_works_with_any_status() {
    for form in ClearingForm::ALL {
        for status in [None, Some(200), Some(401), Some(403), Some(500)] {
            let (server, mut client, token) = scene();
            let revoke = status != Some(403);
            server.inject(Rule::once(
                Matcher::AnyCall,
                Fault::Clear {
                    form,
                    status,
                    revoke,
                },
            ));
            let reply = client.get(DEVICES, &token);
            assert_eq!(
                (reply.status, reply.all("set-cookie")),
                (status.unwrap_or(200), vec![form.line()])
            );
            assert_eq!(server.counts().live_tokens, u64::from(!revoke));
            // The client was told to drop the token, so a login is not needless.
            client.login();
            assert_eq!(server.counts().needless_logins, 0);
        }
    }
}

#[test]
fn a_throttled_response_says_when() {
    let (server, mut client, _) = scene();
    server.set_clock_offset(7 * 3600);
    let huge = "99999999999999999999999999".to_owned();
    for (retry_after, seen) in [
        (RetryAfter::Absent, None),
        (RetryAfter::Seconds(46), Some("46")),
        (RetryAfter::Raw("soon".into()), Some("soon")),
        (RetryAfter::Raw("  ".into()), Some("")),
        (RetryAfter::Raw(huge.clone()), Some(huge.as_str())),
    ] {
        server.inject(Rule::once(Matcher::Login, Fault::Throttle { retry_after }));
        let reply = client.login();
        assert_eq!((reply.status, reply.header("retry-after")), (429, seen));
    }
    for seconds in [46, -46] {
        server.inject(Rule::once(
            Matcher::Login,
            Fault::Throttle {
                retry_after: RetryAfter::DateIn(seconds),
            },
        ));
        let reply = client.login();
        let at = |name: &str| httpdate::parse_http_date(reply.header(name).unwrap()).unwrap();
        let shown = unix_seconds(at("date"));
        assert!((unix_seconds(at("retry-after")) - shown - seconds).abs() <= 1);
    }
    assert_eq!(
        (server.counts().logins, server.counts().logins_refused),
        (1, 0)
    );
}

fn unix_seconds(time: std::time::SystemTime) -> i64 {
    time.duration_since(std::time::UNIX_EPOCH)
        .expect("a time since 1970")
        .as_secs() as i64
}

#[test]
fn a_login_fails_in_every_way() {
    let (server, mut client, _) = scene();
    let mut faulty = |fault: Fault| {
        server.inject(Rule::once(Matcher::Login, fault));
        client.login()
    };
    let refused = faulty(Fault::Refuse { status: 403 });
    assert_eq!((refused.status, refused.token()), (403, None));
    let without = faulty(Fault::NoToken);
    assert_eq!(
        (
            without.status,
            without.token(),
            without.all("set-cookie").len()
        ),
        (200, None, 1)
    );
    let page = faulty(Fault::html_page());
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html;charset=UTF-8"))
    );
    let dressed = faulty(Fault::password_invalid());
    assert!(dressed.status == 500 && dressed.text().contains("password invalid"));
    let headers = vec![("X-Reason".to_owned(), "maintenance".to_owned())];
    let any = faulty(Fault::Respond {
        status: 409,
        headers,
        body: "later".into(),
        act: false,
    });
    assert_eq!(
        (any.status, any.header("x-reason"), any.text().as_str()),
        (409, Some("maintenance"), "later")
    );
    for status in [301, 302, 303, 307, 308] {
        for location in [
            "/elsewhere",
            "https://other.example.com/connect/services/login",
        ] {
            let reply = faulty(Fault::Redirect {
                status,
                location: location.into(),
            });
            assert_eq!(
                (reply.status, reply.header("location")),
                (status, Some(location))
            );
        }
    }
    assert_eq!(
        (server.counts().logins, server.counts().logins_refused),
        (1, 2)
    );
}

#[test]
fn the_login_cookie_can_be_any_line() {
    let (server, mut client, _) = scene();
    let lines = [
        "JSESSIONID=BBBB; Path=/connect; HttpOnly",
        "authToken=; Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect",
        "authToken=\"AAAA==\"; Version=1; Max-Age=1209600; Path=/connect",
        "AUTHTOKEN=CCCC; Path=/connect",
    ];
    let script = lines.map(str::to_owned).to_vec();
    server.inject(Rule::once(Matcher::Login, Fault::SetCookies(script)));
    assert_eq!(client.login().all("set-cookie"), lines);
    // The value of an authToken line is a valid token, with its quotes and not without.
    assert_eq!(client.get(DEVICES, "\"AAAA==\"").status, 200);
    assert_eq!(client.get(DEVICES, "AAAA==").status, 401);
    assert_eq!(client.get(DEVICES, "CCCC").status, 401);

    let script = vec!["authToken={token}; Expires=garbage".to_owned()];
    server.inject(Rule::once(Matcher::Login, Fault::SetCookies(script)));
    let token = client.token();
    assert_eq!((token.len(), client.get(DEVICES, &token).status), (80, 200));
}

#[test]
fn clocks_are_wrong_or_missing() {
    let (server, mut client, token) = scene();
    server.inject(Rule::once(Matcher::Login, Fault::WrongClock(-365 * 86_400)));
    let (wrong, right) = (client.login(), client.login());
    let seconds =
        |date: &str| unix_seconds(httpdate::parse_http_date(&date.replace('-', " ")).unwrap());
    let date = |reply: &common::Reply| seconds(reply.header("date").unwrap());
    let off = date(&right) - date(&wrong) - 365 * 86_400;
    assert!((0..5).contains(&off), "{off}");
    let expires = wrong.all("set-cookie")[1]
        .split("Expires=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let left = seconds(expires.unwrap()) - date(&wrong) - 14 * 86_400;
    assert!((-1..=1).contains(&left), "{left}");

    server.inject(Rule::once(Matcher::AnyCall, Fault::NoDate));
    assert_eq!(client.get(DEVICES, &token).header("date"), None);
}

#[test]
fn a_login_after_a_lost_response_is_not_needless() {
    let server = Server::start().unwrap();
    server.inject(Rule::once(Matcher::Login, Fault::lost_response()));
    let lost =
        Client::connect(&server).send("POST", common::LOGIN, &[common::KEY, common::FORM], &{
            common::form(DEFAULT_USERNAME, DEFAULT_PASSWORD).into_bytes()
        });
    assert!(lost.is_err());
    assert_eq!(
        (server.counts().logins, server.counts().live_tokens),
        (1, 1)
    );
    assert_eq!(server.journal()[0].status, None);
    Client::connect(&server).login();
    assert_eq!(
        (server.counts().logins, server.counts().needless_logins),
        (2, 0)
    );
}

#[test]
fn a_login_after_a_token_that_never_arrived_is_not_needless() {
    let server = Server::start().unwrap();
    let enough = Duration::from_secs(5);
    // The client gives up on a login that has taken effect.
    server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::After },
    ));
    let mut client = Client::connect(&server);
    let body = common::form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    client
        .write(
            "POST",
            common::LOGIN,
            &[common::KEY, common::FORM],
            body.as_bytes(),
        )
        .unwrap();
    server
        .wait_until(|counts| counts.held == 1 && counts.logins == 1, enough)
        .unwrap();
    let token = Client::connect(&server).token();
    assert_eq!(
        (server.counts().logins, server.counts().needless_logins),
        (2, 0)
    );
    drop(client);

    // A new token was lost with its response, and the old one is invalid.
    server.rotate(false);
    server.inject(Rule::once(Matcher::AnyCall, Fault::lost_response()));
    let cookie = format!("authToken={token}");
    let lost =
        Client::connect(&server).send("GET", DEVICES, &[common::KEY, ("Cookie", &cookie)], b"");
    assert!(lost.is_err());
    let mut client = Client::connect(&server);
    assert_eq!(client.get(DEVICES, &token).status, 401);
    client.login();
    assert_eq!(
        (server.counts().logins, server.counts().needless_logins),
        (3, 0)
    );
}

#[test]
fn held_requests_wait_for_their_release() {
    let (server, mut first, _) = scene();
    let enough = Duration::from_secs(5);
    server.inject(Rule::times(
        2,
        Matcher::Login,
        Fault::Hold { when: When::Before },
    ));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| first.login().status);
        let other = scope.spawn(|| Client::connect(&server).login().status);
        let counts = server
            .wait_until(|counts| counts.held == 2, enough)
            .unwrap();
        assert_eq!((counts.logins, counts.logins_in_flight_max), (1, 2));
        server.release();
        assert_eq!((waiting.join().unwrap(), other.join().unwrap()), (200, 200));
    });
    server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::After },
    ));
    let mut gone = Client::connect(&server);
    let body = common::form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    gone.write(
        "POST",
        common::LOGIN,
        &[common::KEY, common::FORM],
        body.as_bytes(),
    )
    .unwrap();
    let counts = server
        .wait_until(|counts| counts.held == 1, enough)
        .unwrap();
    assert_eq!(counts.logins, 4);
    // A client that goes away is no longer counted.
    drop(gone);
    server
        .wait_until(|counts| counts.held == 0, enough)
        .unwrap();
}

#[test]
fn several_faults_apply_together() {
    let (server, mut client, token) = scene();
    server.inject(Rule::once(Matcher::AnyCall, Fault::status(503)));
    server.inject(Rule::once(Matcher::AnyCall, Fault::status(500)));
    server.inject(Rule::once(
        Matcher::AnyCall,
        Fault::Rotate { keep_old: false },
    ));
    let reply = client.get(DEVICES, &token);
    assert_eq!(reply.status, 503);
    assert!(reply.token().is_some());
}
