//! The control path, for tests in other languages.

mod common;

use common::{Client, DEVICES, control};
use ctc_testkit::{CONTROL_HELP, Class, DEFAULT_USERNAME, Fault, Rule, Server};
use serde_json::json;

fn accept(server: &Server, rule: &str) {
    let reply = control(server, "POST", "/_ctc/faults", rule);
    assert_eq!(reply.status, 201, "{rule}: {}", reply.text());
}

/// The help is the reference for testers in other languages, so all its examples must be valid.
#[test]
fn every_rule_in_the_help_is_valid() {
    let server = Server::start().unwrap();
    let (matchers, faults) = CONTROL_HELP.split_once("\"times\" is \"once\", ").unwrap();
    let (_, matchers) = matchers.split_once("\"on\" is one of").unwrap();
    let mut tried = 0;
    let examples = |text: &'static str| {
        text.lines()
            .filter(|line| line.starts_with("  {") || line.starts_with("  \""))
    };
    for line in examples(matchers) {
        let rule = format!(r#"{{"on": {line}, "fault": "no_date"}}"#);
        serde_json::from_str::<Rule>(&rule).unwrap_or_else(|error| panic!("{line}: {error}"));
        accept(&server, &rule);
        tried += 1;
    }
    for line in examples(faults) {
        let mut values = serde_json::Deserializer::from_str(line).into_iter::<Fault>();
        let fault = values
            .next()
            .unwrap()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let again = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&again).unwrap(), fault);
        accept(&server, &format!(r#"{{"on": "any", "fault": {again}}}"#));
        tried += 1;
    }
    assert!(tried > 30, "only {tried} examples found");
}

#[test]
fn the_control_path_shows_and_changes() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    client.get(DEVICES, &token);
    let control = |method: &str, path: &str, body: &str| control(&server, method, path, body);

    let counts = control("GET", "/_ctc/counts", "").json();
    assert_eq!(
        (&counts["logins"], &counts["calls"]),
        (&json!(1), &json!(1))
    );
    let journal = control("GET", "/_ctc/journal", "").json();
    assert_eq!(
        (&journal[0]["class"], &journal[0]["status"]),
        (&json!("login"), &json!(200))
    );
    assert!(
        journal[0]["body"]
            .as_str()
            .unwrap()
            .starts_with("username=fleet%2Btest%40example.com")
    );
    assert_eq!(journal[1]["violation"], json!(null));

    let rule = r#"{"on": {"route": {"method": "GET", "path": "/connect/services/devices"}},
                   "times": {"n": 1}, "fault": {"respond": {"status": 503}}}"#;
    assert_eq!(
        control("POST", "/_ctc/faults", rule).json(),
        json!({ "rule": 1 })
    );
    assert_eq!(client.get(DEVICES, &token).status, 503);
    assert_eq!(client.get(DEVICES, &token).status, 200);
    control(
        "POST",
        "/_ctc/faults",
        r#"{"on": "any_call", "times": "forever", "fault": "no_date"}"#,
    );
    assert_eq!(client.get(DEVICES, &token).header("date"), None);
    assert_eq!(control("DELETE", "/_ctc/faults", "").status, 204);
    assert!(client.get(DEVICES, &token).header("date").is_some());
    assert_eq!(
        control(
            "POST",
            "/_ctc/faults",
            r#"{"on": "login", "fault": "what"}"#
        )
        .status,
        400
    );

    assert_eq!(
        control("POST", "/_ctc/revoke?user=nobody", "").json(),
        json!({ "ended": 0 })
    );
    let path = format!("/_ctc/revoke?user={}", DEFAULT_USERNAME.replace('+', "%2B"));
    assert_eq!(control("POST", &path, "").json(), json!({ "ended": 1 }));
    assert_eq!(client.get(DEVICES, &token).status, 401);
    client.login();
    assert_eq!(
        control("POST", "/_ctc/expire", "").json(),
        json!({ "ended": 1 })
    );
    assert_eq!(control("POST", "/_ctc/release", "").status, 204);

    assert_eq!(control("GET", "/_ctc/reset", "").status, 405);
    assert_eq!(control("GET", "/_ctc/nothing", "").status, 404);
    assert_eq!(control("GET", "/_ctc/", "").text(), CONTROL_HELP);
    let counts = server.counts();
    assert_eq!((counts.calls, counts.violations, counts.logins), (6, 0, 2));
    assert_eq!(server.journal().pop().unwrap().class, Class::Control);
    assert_eq!(control("POST", "/_ctc/reset", "").status, 204);
    assert_eq!(server.counts().calls, 0);
}

#[test]
fn rules_are_listed_and_removed_one_by_one() {
    let server = Server::start().unwrap();
    let first = r#"{"on": "any_call", "times": {"n": 2}, "fault": {"respond": {"status": 503}}}"#;
    let second = r#"{"on": "any", "times": "forever", "fault": "no_date"}"#;
    accept(&server, first);
    accept(&server, second);
    let mut client = Client::connect(&server);
    let token = client.token();
    client.get(DEVICES, &token);
    let rules = || control(&server, "GET", "/_ctc/faults", "").json();
    assert_eq!(
        rules(),
        json!([
            {
                "rule": 1, "on": "any_call", "times": {"n": 2}, "after": 0, "matches": 1,
                "strikes": 1,
                "fault": {"respond": {"status": 503, "headers": [], "body": "", "act": false}},
            },
            {
                "rule": 2, "on": "any", "times": "forever", "after": 0, "matches": 2,
                "strikes": 2, "fault": "no_date",
            },
        ])
    );
    let journal = control(&server, "GET", "/_ctc/journal", "").json();
    let struck: Vec<_> = journal
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["rules"].clone())
        .collect();
    assert_eq!(struck[2..5], [json!([2]), json!([1, 2]), json!([])]);

    assert_eq!(control(&server, "DELETE", "/_ctc/faults/1", "").status, 204);
    assert_eq!(rules().as_array().unwrap().len(), 1);
    for gone in ["/_ctc/faults/1", "/_ctc/faults/x", "/_ctc/faults/9"] {
        let reply = control(&server, "DELETE", gone, "");
        assert_eq!(reply.status, 404, "{gone}");
        assert!(reply.text().contains("no rule"), "{gone}");
    }
    assert_eq!(client.get(DEVICES, &token).status, 200);
}

#[test]
fn accounts_and_time_are_set_without_rust() {
    let server = Server::start().unwrap();
    let post = |path: &str, body: &str| control(&server, "POST", &format!("/_ctc{path}"), body);
    let login = |user: &str, word: &str| Client::connect(&server).login_as(user, word);
    let ada = r#"{"username": "ada", "password": "one!"}"#;
    assert_eq!(post("/accounts", ada).status, 204);
    assert_eq!(login("ada", "one!").status, 200);
    assert_eq!(post("/accounts", &ada.replace("one!", "two!")).status, 204);
    assert_eq!(
        (login("ada", "one!").status, login("ada", "two!").status),
        (401, 200)
    );
    assert_eq!(post("/lock?user=ada", "").status, 204);
    assert_eq!(login("ada", "two!").status, 401);
    assert_eq!(post("/unlock?user=ada", "").status, 204);

    assert_eq!(post("/lifetime?seconds=60", "").status, 204);
    let token = login("ada", "two!").token().unwrap().to_owned();
    let get = || Client::connect(&server).get(DEVICES, &token);
    assert_eq!(post("/advance?seconds=59", "").status, 204);
    assert_eq!(get().status, 200);
    let entry = server.journal().pop().unwrap();
    let ahead = entry.time.duration_since(std::time::SystemTime::now());
    assert!((50..60).contains(&ahead.unwrap().as_secs()));
    let journal = control(&server, "GET", "/_ctc/journal", "").json();
    assert!(journal[0]["time"].as_f64().unwrap() > 1_700_000_000.0);
    assert_eq!(post("/advance?seconds=1", "").status, 204);
    assert_eq!(get().status, 401);

    assert_eq!(post("/clock?offset=-7200", "").status, 204);
    let date = get().header("date").map(httpdate::parse_http_date);
    let behind = std::time::SystemTime::now().duration_since(date.unwrap().unwrap());
    assert!(behind.unwrap().as_secs() > 7000);
}

#[test]
fn reset_all_restores_the_start() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    client.post("/connect/services/devices/1001/notes", &token, b"x");
    server.set_account("ada", "one!");
    server.lock(DEFAULT_USERNAME);
    server.set_clock_offset(-7200);
    accept(
        &server,
        r#"{"on": "login", "times": "forever", "fault": "no_date"}"#,
    );
    let seq = server.journal().pop().unwrap().seq;
    assert_eq!(control(&server, "POST", "/_ctc/reset?all", "").status, 204);

    assert_eq!(server.counts().live_tokens, 0);
    assert!(server.notes(1001).is_empty() && server.journal().len() <= 1);
    let login = Client::connect(&server).login();
    assert_eq!(login.status, 200, "unlocked");
    let date = httpdate::parse_http_date(login.header("date").unwrap()).unwrap();
    let behind = std::time::SystemTime::now().duration_since(date).unwrap();
    assert!(behind.as_secs() < 60);
    assert_eq!(Client::connect(&server).login_as("ada", "one!").status, 401);
    let counts = server.counts();
    assert_eq!((counts.logins, counts.violations), (1, 0));
    assert!(server.journal().pop().unwrap().seq > seq + 1);
    let rule = r#"{"on": "any", "fault": "no_date"}"#;
    let number = control(&server, "POST", "/_ctc/faults", rule).json()["rule"].clone();
    assert_eq!(number, 2, "numbers are never used twice");
}
