//! What the control path and the program reject, and their error texts.

mod common;

use common::{Client, DEVICES, Reply, control};
use ctc_testkit::Server;

/// The rule must get a 400, with a text that has all these words.
fn refuse(server: &Server, rule: &str, words: &[&str]) {
    let reply = control(server, "POST", "/_ctc/faults", rule);
    assert_eq!(reply.status, 400, "{rule}: {}", reply.text());
    says(&reply, rule, words);
}

fn says(reply: &Reply, what: &str, words: &[&str]) {
    let error = reply.json()["error"].as_str().expect("a text").to_owned();
    for word in words {
        assert!(
            error.contains(word),
            "{what}: {error:?} does not say {word:?}"
        );
    }
}

/// Rules that would never apply, or would not do what they say.
#[test]
fn an_invalid_rule_is_an_error_that_names_the_member() {
    let server = Server::start().unwrap();
    // Errors that serde finds: unknown names, wrong types, numbers out of range.
    let of_shape = [
        (
            r#"{"on": "login", "tiems": "once", "fault": "no_date"}"#,
            "unknown field `tiems`",
        ),
        (r#"{"on": "login"}"#, "missing field `fault`"),
        (
            r#"{"on": "logn", "fault": "no_date"}"#,
            "unknown variant `logn`",
        ),
        (
            r#"{"on": "login", "fault": "what"}"#,
            "unknown variant `what`",
        ),
        (
            r#"{"on": "login", "on": "any", "fault": "no_date"}"#,
            "duplicate field `on`",
        ),
        (
            r#"{"on": "login", "times": {"n": -1}, "fault": "no_date"}"#,
            "invalid value",
        ),
        (
            r#"{"on": "login", "times": {"n": 4294967296}, "fault": "no_date"}"#,
            "invalid value",
        ),
        (
            r#"{"on": "login", "after": -1, "fault": "no_date"}"#,
            "invalid value",
        ),
        (
            r#"{"on": "login", "after": 1.5, "fault": "no_date"}"#,
            "invalid type",
        ),
        (r#"{"on": "any", "fault": {"delay": -5}}"#, "invalid value"),
        (
            r#"{"on": "any", "fault": {"respond": {"status": 70000}}}"#,
            "invalid value",
        ),
        (
            r#"{"on": "any", "fault": {"respond": {"status": 500, "bdy": ""}}}"#,
            "field `bdy`",
        ),
        (
            r#"{"on": "any", "fault": {"cut": {"att": "mid_body"}}}"#,
            "field `att`",
        ),
        (
            r#"{"on": {"route": {"methd": "GET", "path": "/"}}, "fault": "no_date"}"#,
            "`methd`",
        ),
        (
            r#"{"on": "any", "fault": "no_date"} {}"#,
            "trailing characters",
        ),
        ("", "EOF"),
    ];
    for (rule, words) in of_shape {
        refuse(&server, rule, &[words, "line 1 column"]);
    }
    // Errors that depend on the value.
    let of_value = [
        (
            r#""any", "times": {"n": 0}, "fault": "no_date""#,
            "times.n: 0",
        ),
        (r#"{"path": "connect"}, "fault": "no_date""#, "on.path"),
        (
            r#"{"path": "/connect?pg=1"}, "fault": "no_date""#,
            "on.path",
        ),
        (r#"{"path": "/_ctc/"}, "fault": "no_date""#, "on.path"),
        (
            r#"{"route": {"method": "get", "path": "/"}}, "fault": "no_date""#,
            "on.route.method",
        ),
        (
            r#"{"route": {"method": "", "path": "/"}}, "fault": "no_date""#,
            "on.route.method",
        ),
        (
            r#"{"route": {"method": "GET", "path": ""}}, "fault": "no_date""#,
            "on.route.path",
        ),
        (
            r#""any", "fault": {"respond": {"status": 99}}"#,
            "fault.respond.status: 99",
        ),
        (
            r#""any", "fault": {"respond": {"status": 101}}"#,
            "fault.respond.status: 101",
        ),
        (
            r#""any", "fault": {"respond": {"status": 1000}}"#,
            "fault.respond.status: 1000",
        ),
        (
            r#""any", "fault": {"respond": {"status": 500, "headers": [["x-a", "b\r\nx: y"]]}}"#,
            "fault.respond.headers[0]",
        ),
        (
            r#""any", "fault": {"headers": [["x-a", "b"], ["x b", "c"]]}"#,
            "fault.headers[1]",
        ),
        (
            r#""any", "fault": {"headers": [["content-length", "1"]]}"#,
            "fault.headers[0]",
        ),
        (
            r#""any", "fault": {"headers": []}"#,
            "fault.headers: the list is empty",
        ),
        (
            r#""any", "fault": {"clear": {"form": "empty", "status": 0}}"#,
            "fault.clear.status: 0",
        ),
        (
            r#""any", "fault": {"throttle": {"retry_after": {"raw": "a\n"}}}"#,
            "retry_after.raw",
        ),
        (
            r#""login", "fault": {"refuse": {"status": 200}}"#,
            "fault.refuse.status: 200",
        ),
        (
            r#""login", "fault": {"set_cookies": []}"#,
            "fault.set_cookies: the list is empty",
        ),
        (
            r#""login", "fault": {"set_cookies": ["a=b", "a=\n"]}"#,
            "fault.set_cookies[1]",
        ),
        (
            r#""any", "fault": {"many_headers": 0}"#,
            "fault.many_headers: 0",
        ),
        (
            r#""any", "fault": {"many_headers": 40000}"#,
            "fault.many_headers: 40000",
        ),
        (
            r#""any", "fault": {"huge_header": 0}"#,
            "fault.huge_header: 0",
        ),
        (
            r#""any", "fault": {"huge_header": 4294967295}"#,
            "fault.huge_header",
        ),
        (r#""any", "fault": {"huge_body": 0}"#, "fault.huge_body: 0"),
        (r#""any", "fault": {"delay": 0}"#, "fault.delay: 0"),
        (r#""any", "fault": {"late": 0}"#, "fault.late: 0"),
        (
            r#""any", "fault": {"wrong_clock": 0}"#,
            "fault.wrong_clock: 0",
        ),
        (
            r#""any", "fault": {"slow_body": {"chunk": 0, "pause": 5}}"#,
            "fault.slow_body.chunk: 0",
        ),
        (
            r#""any", "fault": {"slow_body": {"chunk": 5, "pause": 0}}"#,
            "fault.slow_body.pause: 0",
        ),
        (
            r#""any", "fault": {"redirect": {"status": 304, "location": "/"}}"#,
            "fault.redirect.status: 304",
        ),
        (
            r#""any", "fault": {"redirect": {"status": 302, "location": "/\n"}}"#,
            "fault.redirect.location",
        ),
        (r#""any_call", "fault": "no_token""#, "on: "),
        (r#""logout", "fault": {"refuse": {"status": 401}}"#, "on: "),
        (
            r#""login", "fault": {"rotate": {"keep_old": true}}"#,
            "on: ",
        ),
        (r#""token", "fault": {"revoke": {}}"#, "on: "),
        (r#""token", "fault": {"set_cookies": ["a=b"]}"#, "on: "),
        (r#""any_call", "fault": {"token_body": ""}"#, "on: "),
        (r#""revocation", "fault": "no_token""#, "on: "),
        (
            r#""any", "fault": {"endless_body": 0}"#,
            "fault.endless_body: 0",
        ),
        (
            r#""any",
               "fault": {"respond": {"status": 200, "body": {"repeat": "xx", "times": 40000000}}}"#,
            "64 MiB",
        ),
        (
            r#""any", "fault": {"respond": {"status": 200, "body": {"repeat": "xx"}}}"#,
            "did not match",
        ),
    ];
    for (rest, words) in of_value {
        refuse(&server, &format!(r#"{{"on": {rest}}}"#), &[words]);
    }
    let long = format!(
        r#"{{"on": "any", "fault": {{"raw": "{}"}}}}"#,
        "x".repeat(70_000)
    );
    refuse(&server, &long, &["65536"]);
    // None of these rules was added.
    let mut client = Client::connect(&server);
    let token = client.token();
    assert_eq!(client.get(DEVICES, &token).status, 200);
}

#[test]
fn an_invalid_control_request_changes_nothing() {
    let server = Server::start().unwrap();
    let token = Client::connect(&server).token();
    let live = || server.counts().live_tokens;
    for path in [
        "counts", "journal", "", "faults", "release", "reset", "revoke", "expire", "lock",
        "unlock", "lifetime", "advance", "clock", "faults/1",
    ] {
        let method = match path {
            "counts" | "journal" | "" => "GET",
            "faults" | "faults/1" => "DELETE",
            _ => "POST",
        };
        let path = format!("/_ctc/{path}");
        let unknown = control(&server, method, &format!("{path}?usr=a"), "");
        assert_eq!(unknown.status, 400, "{path}");
        says(&unknown, &path, &["\"usr\"", &path]);
        let body = control(&server, method, &path, "{}");
        assert_eq!(body.status, 400, "{path}");
        says(&body, &path, &["takes no body"]);
        let put = control(&server, "PUT", &path, "");
        assert_eq!(put.status, 405, "{path}");
        says(&put, &path, &["PUT", put.header("allow").unwrap()]);
    }
    let rule = r#"{"on": "any", "fault": "no_date"}"#;
    for (path, words) in [
        ("/_ctc/revoke?user=", "user: the name is empty"),
        ("/_ctc/revoke?user=a&user=b", "given twice"),
        ("/_ctc/expire?user=%zz", "two hex digits"),
        ("/_ctc/expire?user=%ff", "not UTF-8"),
        ("/_ctc/expire?User=a", "\"User\""),
        ("/_ctc/counts?user=a", "takes no parameter"),
        ("/_ctc/faults?user=a", "takes no parameter"),
        ("/_ctc/lock", "needs an account"),
        ("/_ctc/lock?user=nobody", "no account \"nobody\""),
        ("/_ctc/lifetime", "?seconds=60"),
        ("/_ctc/lifetime?seconds=0", "from 1 to"),
        ("/_ctc/advance?seconds=-5", "from 1 to"),
        ("/_ctc/advance?seconds=1.5", "whole number"),
        ("/_ctc/clock?offset=99999999999999", "from -31622400000 to"),
        ("/_ctc/reset?all=1", "takes no value"),
        ("/_ctc/accounts", "EOF"),
    ] {
        let (method, body) = match path {
            "/_ctc/counts?user=a" => ("GET", ""),
            "/_ctc/faults?user=a" => ("POST", rule),
            _ => ("POST", ""),
        };
        let reply = control(&server, method, path, body);
        assert_eq!(reply.status, 400, "{path}");
        says(&reply, path, &[words]);
    }
    for path in [
        "/_ctc/count",
        "/_ctc//counts",
        "/_ctc/counts/",
        "/_ctc/_ctc/counts",
    ] {
        let reply = control(&server, "GET", path, "");
        assert_eq!(reply.status, 404, "{path}");
        says(&reply, path, &[path]);
    }
    assert_eq!(live(), 1);
    assert_eq!(Client::connect(&server).get(DEVICES, &token).status, 200);
    assert_eq!(server.counts().logins, 1);
}

#[test]
fn the_program_rejects_options_that_no_client_could_use() {
    for (option, value, words) in [
        ("--username", "", "--username is empty"),
        ("--password", "", "--password is empty"),
        ("--app-key", "", "--app-key is empty"),
        ("--app-key", "a\nb", "not allowed in a header"),
        ("--devices", "-1", "-1"),
        ("--port", "70000", "70000"),
        ("--token-port", "-1", "-1"),
        ("--login", "saml", "use cookie or oauth"),
        ("--bind", "here", "here"),
        ("--client-id", "", "--client-id is empty"),
        ("--token-lifetime", "soon", "soon"),
        ("--seed", "x", "x"),
    ] {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_ctc-server"));
        // `--help` comes last, so that the program ends even if it accepts the option.
        let output = program.args([option, value, "--help"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{option}");
        assert!(said.contains(words), "{option}: {said}");
    }
}
