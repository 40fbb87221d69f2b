//! The language-neutral vectors are well-formed, and the server can send each one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod common;

use std::collections::BTreeSet;

use common::{Client, FORM, KEY, LOGIN, control};
use ctc_testkit::Server;
use serde_json::{Value, json};

const FILES: [(&str, &str); 4] = [
    (
        "oauth_login.json",
        include_str!("../vectors/oauth_login.json"),
    ),
    (
        "cookie_login.json",
        include_str!("../vectors/cookie_login.json"),
    ),
    (
        "unauthorized.json",
        include_str!("../vectors/unauthorized.json"),
    ),
    (
        "retry_after.json",
        include_str!("../vectors/retry_after.json"),
    ),
];

fn cases(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    assert_eq!(file["format"], 1);
    file["cases"].as_array().unwrap().clone()
}

/// Reads a text as `vectors/README.md` defines it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text).collect(),
        repeated => {
            let times = repeated["times"].as_u64().expect("times") as usize;
            repeated["repeat"].as_str().expect("repeat").repeat(times)
        }
    }
}

fn is_seconds(value: &Value) -> bool {
    let bound = |name: &str| value.get(name).is_some_and(Value::is_u64);
    value.is_null() || value.is_u64() || bound("at_least") != bound("at_most")
}

/// Returns the names of all members, to check that none is missing or misspelled.
fn members(value: &Value) -> BTreeSet<&str> {
    let members = value.as_object().expect("an object");
    members.keys().map(String::as_str).collect()
}

fn check_expected(expected: &Value) {
    let one_of = |name: &str, words: &[&str]| {
        let word = expected[name].as_str().unwrap_or_default();
        assert!(words.contains(&word), "{name}: {word:?}");
    };
    let mut known = match expected["event"].as_str().unwrap() {
        "token" => {
            assert!(!text(&expected["token"]).is_empty());
            assert!(is_seconds(&expected["lifetime_seconds"]));
            BTreeSet::from(["event", "token", "lifetime_seconds"])
        }
        "rejected" => {
            one_of("reason", &["credentials", "configuration", "unknown"]);
            BTreeSet::from(["event", "reason"])
        }
        "failed" => {
            let causes = ["no_token", "unusable_token", "redirected", "unavailable"];
            one_of("cause", &causes);
            assert!(is_seconds(&expected["pause_seconds"]));
            BTreeSet::from(["event", "cause", "pause_seconds"])
        }
        "replay" => {
            assert_eq!(
                (&expected["token"], &expected["logins"]),
                (&json!("replaced"), &json!(1))
            );
            BTreeSet::from(["event", "logins", "token"])
        }
        "deliver" => {
            let token = &expected["token"];
            let changes = token == "kept" || token == "invalidated";
            assert!(changes || token["rotated"].is_string());
            assert!(expected["reason"].is_null() || expected["reason"] == "route_rejected");
            BTreeSet::from(["event", "logins", "token", "reason"])
        }
        other => panic!("no such event: {other}"),
    };
    if expected.get("hint").is_some() {
        one_of("hint", &["sign_on_policy", "no_challenge"]);
        known.insert("hint");
    }
    assert_eq!(members(expected), known);
}

#[test]
fn the_vectors_are_well_formed() {
    for (file, vectors) in FILES {
        let mut ids = BTreeSet::new();
        for case in cases(vectors) {
            let what = format!("{file} {}", case["id"]);
            println!("{what}");
            assert!(
                ids.insert(case["id"].as_str().unwrap().to_owned()),
                "{what}"
            );
            assert!(!case["name"].as_str().unwrap().is_empty());
            let mut known = BTreeSet::from(["id", "name", "status", "headers", "body", "expected"]);
            if ["unauthorized.json", "retry_after.json"].contains(&file) {
                known.insert("login");
                let login = case["login"].as_str().unwrap();
                assert!(["cookie", "oauth", "both"].contains(&login));
            }
            assert_eq!(members(&case), known, "{what}");
            check_expected(&case["expected"]);
        }
        assert!(ids.len() > 30, "{file}");
    }
}

/// Sends every case over the control path, as a tester in another language would.
#[test]
fn the_server_can_send_each_vector() {
    let server = Server::start().unwrap();
    for (file, vectors) in FILES {
        let on = match file {
            "oauth_login.json" => "token",
            "unauthorized.json" => "any_call",
            _ => "login",
        };
        for case in cases(vectors) {
            let what = format!("{file} {}", case["id"]);
            let respond = json!({
                "status": case["status"], "headers": case["headers"], "body": case["body"],
            });
            let fault = json!({ "respond": respond });
            let headers = case["headers"].as_array().unwrap();
            let has_date = headers.iter().any(|pair| pair[0] == "Date");
            let no_date = (!has_date).then(|| json!("no_date"));
            for fault in [Some(fault), no_date].into_iter().flatten() {
                let rule = json!({ "on": on, "fault": fault }).to_string();
                let reply = control(&server, "POST", "/_ctc/faults", &rule);
                assert_eq!(reply.status, 201, "{what}: {}", reply.text());
            }
            let (mut client, path) = match on {
                "token" => (
                    Client::connect_to(server.token_address()),
                    "/oauth2/test/v1/token",
                ),
                "login" => (Client::connect(&server), LOGIN),
                _ => (Client::connect(&server), common::DEVICES),
            };
            let reply = client.send("POST", path, &[KEY, FORM], b"").unwrap();
            assert_eq!(json!(reply.status), case["status"], "{what}");
            let sent: Vec<_> = headers
                .iter()
                .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
                .collect();
            // Surrounding white space is not part of a value.
            for (name, _) in &sent {
                let of_name = sent.iter().filter(|(n, _)| n == name);
                let values: Vec<_> = of_name.map(|(_, value)| value.trim()).collect();
                let found: Vec<_> = reply.all(name).iter().map(|value| value.trim()).collect();
                assert_eq!(found, values, "{what}");
            }
            let own = usize::from(reply.header("content-length").is_some());
            assert_eq!(
                reply.headers.len(),
                sent.len() + own,
                "{what}: {:?}",
                reply.headers
            );
            assert!(reply.body == text(&case["body"]).as_bytes(), "{what}");
        }
    }
}

#[test]
fn the_page_and_the_files_name_each_other() {
    let page = include_str!("../vectors/README.md");
    for (file, _) in FILES {
        assert!(page.contains(&format!("`{file}`")), "{file}");
    }
}
