//! Calls with and without what they need, the fleet, the routes for tests, time, and the server's
//! start and end.

mod common;

use std::{io::ErrorKind, net::TcpListener, time::Duration};

use common::{Client, DEVICES, Headers, KEY};
use ctc_testkit::{Class, Counts, JOURNALED_BODY, Server, StartError, Violation};
use serde_json::json;

#[test]
fn every_broken_rule_of_a_call_is_a_violation_with_a_name() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    let cookie = format!("authToken={token}");
    let twice = format!("{cookie}; {cookie}");
    let good = ("Cookie", cookie.as_str());
    let bearer = format!("Bearer {token}");
    let leak = format!("{DEVICES}?{cookie}");
    let cases: &[(&str, Headers<'_>, Violation, u16)] = &[
        (DEVICES, &[good], Violation::MissingKey, 400),
        (
            DEVICES,
            &[("calamp-services-app", "other"), good],
            Violation::WrongKey,
            400,
        ),
        (DEVICES, &[KEY, KEY, good], Violation::DuplicateKey, 400),
        (DEVICES, &[KEY], Violation::MissingToken, 401),
        (
            DEVICES,
            &[KEY, ("Cookie", "authToken=")],
            Violation::MissingToken,
            401,
        ),
        (
            DEVICES,
            &[KEY, ("Cookie", "AUTHTOKEN=x; xauthToken=y")],
            Violation::MissingToken,
            401,
        ),
        (
            DEVICES,
            &[KEY, ("Authorization", "Bearer never-issued")],
            Violation::UnknownToken,
            401,
        ),
        (
            DEVICES,
            &[KEY, ("Authorization", &bearer)],
            Violation::MissingToken,
            401,
        ),
        (
            DEVICES,
            &[KEY, ("Cookie", &twice)],
            Violation::DuplicateToken,
            400,
        ),
        (
            DEVICES,
            &[KEY, good, ("Cookie", "a=b")],
            Violation::DuplicateCookieHeader,
            400,
        ),
        (
            DEVICES,
            &[KEY, ("Cookie", "authToken=never-issued")],
            Violation::UnknownToken,
            401,
        ),
        (
            "/connect/x?password=p",
            &[KEY, good],
            Violation::CredentialsInQuery,
            400,
        ),
        (&leak, &[KEY, good], Violation::CredentialsInQuery, 400),
        (
            "/device-services/rest",
            &[KEY],
            Violation::MissingToken,
            401,
        ),
    ];
    for (path, headers, violation, status) in cases {
        let reply = client.send("GET", path, headers, b"").unwrap();
        let entry = server.journal().pop().unwrap();
        assert_eq!(
            (entry.violation, reply.status),
            (Some(*violation), *status),
            "{path} {headers:?}"
        );
        assert_eq!(entry.class, Class::Call);
    }
    let counts = server.counts();
    assert_eq!(
        (counts.violations, counts.calls, counts.unauthorized),
        (cases.len() as u64, 0, 0)
    );
}

#[test]
fn an_invalid_token_is_not_a_violation() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    assert_eq!(client.get(DEVICES, &token).status, 200);
    assert_eq!((server.revoke_all(), server.expire_all()), (1, 0));
    assert_eq!(client.get(DEVICES, &token).status, 401);
    let token = client.token();
    assert_eq!(server.expire_all(), 1);
    assert_eq!(client.get(DEVICES, &token).status, 401);
    let counts = server.counts();
    assert_eq!(
        (counts.calls, counts.unauthorized, counts.violations),
        (3, 2, 0)
    );
    assert_eq!((counts.live_tokens, counts.needless_logins), (0, 0));
}

#[test]
fn a_bearer_token_is_accepted_if_allowed() {
    let server = Server::builder().bearer(true).start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    let bearer = format!("Bearer {token}");
    let cookie = format!("authToken={token}");
    let bearer = ("Authorization", bearer.as_str());
    assert_eq!(
        client
            .send("GET", DEVICES, &[KEY, bearer], b"")
            .unwrap()
            .status,
        200
    );
    assert_eq!(client.get(DEVICES, &token).status, 200);
    assert_eq!(
        client
            .send("GET", DEVICES, &[KEY, bearer, ("Cookie", &cookie)], b"")
            .unwrap()
            .status,
        400
    );
    assert_eq!(
        server.journal().pop().unwrap().violation,
        Some(Violation::DuplicateToken)
    );
}

#[test]
fn the_fleet_comes_in_stable_pages() {
    let server = Server::builder().fleet(12, 250).start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();

    let first = client.get("/connect/services/devices", &token).json();
    assert_eq!(first["response"]["results"].as_array().unwrap().len(), 10);
    assert_eq!(first["response"]["results"][0]["device"]["id"], 1001);
    assert_eq!(first["response"]["totalCount"], 12);
    let next = first["response"]["_links"][0]["href"].as_str().unwrap();
    let second = client.get(next, &token).json();
    assert_eq!(second["response"]["results"].as_array().unwrap().len(), 2);
    assert_eq!(second, client.get(next, &token).json());

    let events = client
        .get(
            "/connect/services/devices/1012/avlevents?pg=3&pgsize=100",
            &token,
        )
        .json();
    assert_eq!(events["response"]["results"].as_array().unwrap().len(), 50);
    assert_eq!(
        events["response"]["results"][0]["avlEvent"]["deviceMessageSequenceNumber"],
        201
    );

    let one = client.get("/connect/services/devices/1012", &token).json();
    assert_eq!(one["response"]["results"][0]["device"]["name"], "Truck 12");
    for (path, status) in [
        ("/connect/services/devices/1013", 404),
        ("/connect/services/devices/x", 404),
        ("/connect/services/devices?pg=0", 400),
        ("/connect/services/nothing", 404),
        ("/device-services/rest", 404),
    ] {
        assert_eq!(client.get(path, &token).status, status, "{path}");
    }
    assert_eq!(client.post(DEVICES, &token, b"").status, 405);
}

#[test]
fn writes_are_recorded() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    let path = "/connect/services/devices/1001/notes";
    assert_eq!(client.post(path, &token, b"one").status, 201);
    assert_eq!(client.post(path, &token, b"one").status, 201);
    assert_eq!(server.notes(1001), ["one", "one"]);
    assert_eq!(server.counts().writes, 2);
    assert_eq!(client.get(path, &token).json()["response"]["totalCount"], 2);
}

#[test]
fn routes_for_tests() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    let echo = client.post("/connect/test/echo/x?a=b", &token, b"a").json();
    assert_eq!(
        (&echo["method"], &echo["path"]),
        (&json!("POST"), &json!("/connect/test/echo/x"))
    );
    assert_eq!(
        (&echo["query"], &echo["bodyLength"]),
        (&json!("a=b"), &json!(1))
    );
    assert_eq!(
        echo["headers"]["cookie"],
        json!([format!("authToken={token}")])
    );
    assert_eq!(echo["fnv1a64"], "af63dc4c8601ec8c");
    assert_eq!(client.get("/connect/test/forbidden", &token).status, 403);
    assert_eq!(client.get("/connect/test/status/503", &token).status, 503);
    assert_eq!(client.get("/connect/test/status/999", &token).status, 400);
    assert_eq!(
        client.get("/connect/test/bytes/100000", &token).body.len(),
        100_000
    );
    let cookie = format!("authToken={token}");
    let head = client
        .send(
            "HEAD",
            "/connect/test/bytes/7",
            &[KEY, ("Cookie", &cookie)],
            b"",
        )
        .unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("7"))
    );
    assert_eq!(
        client.send("GET", "/elsewhere", &[], b"").unwrap().status,
        404
    );
    let last = server.journal().pop().unwrap();
    assert_eq!((last.class, last.violation), (Class::Other, None));
    assert_eq!(
        (server.counts().calls, server.counts().unauthorized),
        (6, 0)
    );
}

#[test]
fn the_journal_keeps_requests_as_received() {
    let server = Server::builder().journal_limit(2).start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    let big = vec![b'x'; JOURNALED_BODY + 1];
    client.post("/connect/test/echo?q=1", &token, &big);
    let entry = server.journal().pop().unwrap();
    assert_eq!(
        (entry.seq, entry.method.as_str(), entry.query.as_str()),
        (2, "POST", "q=1")
    );
    assert_eq!(
        (entry.body.len(), entry.body_len),
        (JOURNALED_BODY, JOURNALED_BODY as u64 + 1)
    );
    assert_eq!(
        (entry.status, entry.header("host")),
        (Some(200), vec!["localhost"])
    );

    Client::connect(&server).get(DEVICES, &token);
    let journal = server.journal();
    assert_eq!(
        journal.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        [2, 3]
    );
    assert_ne!(journal[0].connection, journal[1].connection);

    server.reset_journal();
    assert!(server.journal().is_empty());
    assert_eq!(
        server.counts(),
        Counts {
            live_tokens: 1,
            ..Counts::default()
        }
    );
    assert_eq!(client.get(DEVICES, &token).status, 200);
    assert_eq!(server.journal()[0].seq, 4);
}

#[test]
fn time_passes_on_demand() {
    let server = Server::builder()
        .token_lifetime(Duration::from_secs(3600))
        .start()
        .unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    let before = client
        .get(DEVICES, &token)
        .header("date")
        .map(str::to_owned)
        .unwrap();
    server.advance(Duration::from_secs(3601));
    assert_eq!(server.counts().live_tokens, 0);
    let reply = client.get(DEVICES, &token);
    assert_eq!(reply.status, 401);
    let at = |date: &str| httpdate::parse_http_date(date).unwrap();
    let passed = at(reply.header("date").unwrap())
        .duration_since(at(&before))
        .unwrap();
    assert!((3601..3660).contains(&passed.as_secs()));
    client.login();
    assert_eq!(server.counts().needless_logins, 0);

    server.set_clock_offset(-7 * 3600);
    let wrong = client.login();
    assert!(at(wrong.header("date").unwrap()) < at(&before));
}

#[test]
fn waiting_ends_with_a_change_or_a_timeout() {
    let server = Server::start().unwrap();
    let error = server
        .wait_until(|counts| counts.logins == 1, Duration::ZERO)
        .unwrap_err();
    assert!(error.to_string().contains("logins: 0"));
    std::thread::scope(|scope| {
        scope.spawn(|| Client::connect(&server).login());
        server
            .wait_until(|counts| counts.logins == 1, Duration::from_secs(5))
            .unwrap();
    });
}

#[test]
fn a_condition_may_call_the_server() {
    let server = Server::start().unwrap();
    Client::connect(&server).login();
    let journaled = |_: &Counts| !server.journal().is_empty();
    server
        .wait_until(journaled, Duration::from_secs(5))
        .unwrap();
}

#[test]
fn many_connections_at_once() {
    let server = Server::start().unwrap();
    let token = Client::connect(&server).token();
    let cookie = format!("authToken={token}");
    let mut clients: Vec<_> = (0..300).map(|_| Client::connect(&server)).collect();
    for client in &mut clients {
        client
            .write("GET", DEVICES, &[KEY, ("Cookie", &cookie)], b"")
            .unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.read(false).unwrap().status, 200);
    }
    assert_eq!(
        (server.counts().calls, server.counts().connections),
        (300, 301)
    );
}

#[test]
fn a_server_ends_when_it_is_dropped() {
    fn shareable<T: Send + Sync>(value: T) -> T {
        value
    }
    let server = shareable(Server::start().unwrap());
    let address = server.address();
    let mut client = Client::connect(&server);
    client.login();
    assert!(format!("{server:?}").contains(&server.url()));
    drop(server);
    assert!(client.read_to_end().is_empty());
    TcpListener::bind(address).expect("the port is free again");
}

#[test]
fn a_taken_port_is_an_error_with_a_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    match Server::builder().bind(address).start().unwrap_err() {
        StartError::Bind {
            address: said,
            source,
        } => {
            assert_eq!((said, source.kind()), (address, ErrorKind::AddrInUse));
        }
        other => panic!("{other}"),
    }
}
