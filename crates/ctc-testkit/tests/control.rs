//! The control path, for people with no Rust.

mod common;

use common::{Client, DEVICES, control};
use ctc_testkit::{CONTROL_HELP, Class, DEFAULT_USERNAME, Fault, Rule, Server};
use serde_json::json;

fn accept(server: &Server, rule: &str) {
    let reply = control(server, "POST", "/_ctc/faults", rule);
    assert_eq!(reply.status, 201, "{rule}: {}", reply.text());
}

/// The help is the only reference for people with no Rust, so all its examples must be understood.
#[test]
fn every_rule_in_the_help_is_one() {
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
