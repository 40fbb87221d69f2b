//! `ctc login`, `status`, `renew`, `logout`, `reset` and `store`: the life of a session.

use ctc_testkit::{DEFAULT_CLIENT_ID, DEFAULT_USERNAME, RedisServer, Server};

use crate::support::{DEVICES, Machine, run};

#[test]
fn login_prints_the_known_end_and_a_second_one_sends_nothing() {
    let machine = Machine::new();
    let first = machine.run(&["login"]).ends_with(0);
    assert!(
        first
            .out
            .starts_with(&format!("logged in as {DEFAULT_USERNAME}")),
        "{}",
        first.out
    );
    assert!(first.out.contains("known end: 20"), "{}", first.out);
    let second = machine.run(&["login"]).ends_with(0);
    assert!(
        second.out.starts_with("already logged in"),
        "{}",
        second.out
    );
    assert_eq!(machine.server.counts().login_requests, 1);
}

#[test]
fn status_asks_the_server_only_with_check() {
    let machine = Machine::new();
    machine.run(&["login"]).ends_with(0);
    let calls = machine.server.counts().calls;
    // Status needs no password.
    let mut command = machine.command(&["status", "--json"]);
    let json = run(command.env_remove("CTC_PASSWORD")).ends_with(0).json();
    assert_eq!(
        (&json["phase"], &json["account"]["user"]),
        (&"open".into(), &DEFAULT_USERNAME.into())
    );
    assert_eq!(json["tokens"][0]["generation"], 1);
    assert_eq!(json["login_budget"]["left"], 2);
    assert_eq!(machine.server.counts().calls, calls);

    let json = machine
        .run(&["status", "--check", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(
        json["check"],
        serde_json::json!({"asked": true, "status": 200, "accepted": true})
    );
    machine.server.revoke_all();
    machine.run(&["status"]).ends_with(0);
    let (text, json) = machine.run_in_both_forms(&["status", "--check"]);
    assert!(text.ends_with(5).out.contains("rejects the token (401)"));
    assert_eq!(json["check"]["accepted"], false);
    assert_eq!(machine.server.counts().login_requests, 1);
}

#[test]
fn renew_replaces_the_token_in_the_store() {
    let machine = Machine::new();
    machine.run(&["renew"]).ends_with(0);
    let before = machine.run(&["token"]).ends_with(0).out;
    let json = machine.run(&["renew", "--json"]).ends_with(0).json();
    assert_eq!(json["logged_in_now"], true);
    let after = machine.run(&["token"]).ends_with(0).out;
    assert_ne!(before, after);
    assert_eq!(machine.server.counts().logins, 2);
}

#[test]
fn a_logout_ends_the_session_on_the_server_and_in_the_store() {
    let machine = Machine::new();
    let none = machine.run(&["logout", "--json"]).ends_with(0).json();
    assert_eq!(none["outcome"], "no_session");
    machine.run(&["login"]).ends_with(0);
    // A wrong password does not end the session.
    let mut stranger = machine.command(&["logout", "--json"]);
    let other = run(stranger.env("CTC_PASSWORD", "not!the!one"))
        .ends_with(0)
        .json();
    assert_eq!(other["outcome"], "no_session");
    machine.run(&["status"]).ends_with(0);

    let json = machine.run(&["logout", "--json"]).ends_with(0).json();
    assert_eq!(
        (&json["outcome"], &json["status"]),
        (&"accepted".into(), &200.into())
    );
    let counts = machine.server.counts();
    assert_eq!(
        (counts.logouts, counts.live_tokens, counts.login_requests),
        (1, 0, 1)
    );
    machine.run(&["status"]).ends_with(5);
    machine.run(&["get", DEVICES]).ends_with(0);
    assert_eq!(machine.server.counts().logins, 2);
}

#[test]
fn a_logout_that_the_server_does_not_accept_says_so() {
    let server = Server::builder()
        .logout_path("/connect/services/elsewhere")
        .start();
    let machine = Machine::with(server.unwrap());
    machine.run(&["login"]).ends_with(0);
    let json = machine.run(&["logout", "--json"]).ends_with(1).json();
    assert_eq!(json["outcome"], "not_accepted");
    machine.run(&["status"]).ends_with(5);
}

#[test]
fn a_backoff_is_lifted_by_a_reset() {
    use ctc_testkit::{Fault, Matcher, Rule};

    let machine = Machine::new();
    machine
        .server
        .inject(Rule::once(Matcher::Login, Fault::throttle(900)));
    machine.run(&["login"]).ends_with(3);
    machine.run(&["login"]).ends_with(3);
    let text = machine.run(&["reset"]).ends_with(0);
    assert!(text.out.contains("lifted the backoff"), "{}", text.out);
    machine.run(&["login"]).ends_with(0);
    // The login that failed still counts.
    let left = machine.run(&["status", "--json"]).json()["login_budget"]["left"].clone();
    assert_eq!(left, 1);
}

#[test]
fn a_reset_keeps_the_session() {
    let machine = Machine::new();
    machine.run(&["login"]).ends_with(0);
    let mut stranger = machine.command(&["get", DEVICES]);
    run(stranger.env("CTC_PASSWORD", "not!the!one")).ends_with(4);
    assert_eq!(
        machine.run(&["reset", "--json"]).ends_with(0).json()["rejections"],
        1
    );
    machine.run(&["get", DEVICES]).ends_with(0);
    let counts = machine.server.counts();
    assert_eq!((counts.logins, counts.login_requests), (1, 2));
}

#[test]
fn records_are_listed_and_removed_by_mark() {
    let machine = Machine::with(
        Server::builder()
            .account("bob@example.com", "bobs!!!")
            .start()
            .unwrap(),
    );
    let empty = machine
        .run(&["store", "list", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(empty["records"], serde_json::json!([]));
    let bob = |args: &[&str]| {
        let mut command = machine.command(args);
        run(command
            .env("CTC_USERNAME", "bob@example.com")
            .env("CTC_PASSWORD", "bobs!!!"))
    };
    bob(&["login"]).ends_with(0);
    run(&mut machine.command(&["login"])).ends_with(4);

    let (text, json) = machine.run_in_both_forms(&["store", "list"]);
    assert!(text.out.contains("no profile of yours"), "{}", text.out);
    assert!(text.out.contains(DEFAULT_USERNAME), "{}", text.out);
    let records = json["records"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    let phases: Vec<_> = records
        .iter()
        .map(|one| one["phase"].as_str().unwrap())
        .collect();
    assert!(
        phases.contains(&"open") && phases.contains(&"rejected"),
        "{phases:?}"
    );
    let paths = machine.records();
    for record in records {
        let place = record["place"].as_str().unwrap();
        assert!(
            paths.iter().any(|path| path.to_str() == Some(place)),
            "{place}"
        );
    }

    let of_bob = records.iter().find(|one| one["owner"].is_null()).unwrap();
    let mark = &of_bob["mark"].as_str().unwrap()[..10];
    let shown = machine
        .run(&["store", "show", mark, "--json"])
        .ends_with(0)
        .json();
    assert_eq!(shown["mark"], of_bob["mark"]);
    machine.run(&["store", "show", "ffff0000ffff"]).ends_with(5);
    machine.run(&["store", "forget", mark]).ends_with(0);
    assert_eq!(machine.records().len(), 1);
    // Without a mark: this account's record.
    let own = machine
        .run(&["store", "forget", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(own["removed"], true);
    assert!(machine.records().is_empty());
    bob(&["status"]).ends_with(5);
}

#[test]
fn a_session_lives_in_redis() {
    let Some(redis) = RedisServer::for_test("the command with a session in Redis") else {
        return;
    };
    let machine = Machine::new();
    let url = redis.url();
    let on_redis = |args: &[&str]| machine.run(&[args, &["--store", &url]].concat());
    for _ in 0..3 {
        on_redis(&["get", DEVICES]).ends_with(0);
    }
    let list = on_redis(&["store", "list", "--json"]).ends_with(0).json();
    assert_eq!(list["records"][0]["phase"], "open");
    assert!(
        list["records"][0]["place"]
            .as_str()
            .unwrap()
            .ends_with(":record")
    );
    let status = on_redis(&["status", "--json"]).ends_with(0).json();
    assert_eq!(status["store"]["kind"], "redis");
    on_redis(&["doctor"]).ends_with(0);
    on_redis(&["reset"]).ends_with(0);
    on_redis(&["logout"]).ends_with(0);
    on_redis(&["store", "forget"]).ends_with(0);
    on_redis(&["store", "list"]).ends_with(0);
    assert!(machine.records().is_empty());
    let counts = machine.server.counts();
    assert_eq!((counts.logins, counts.logouts), (1, 1));
    drop(redis);
    let ran = on_redis(&["get", DEVICES]).ends_with(1);
    assert!(ran.err.contains("nothing was sent"), "{}", ran.err);
}

/// Set by the environment and by a profile. The two logins of one account have separate sessions.
#[test]
fn an_account_with_the_oauth_login_works_in_every_command() {
    let machine = Machine::new();
    let oauth = |args: &[&str]| {
        let mut command = machine.command(args);
        command
            .env("CTC_LOGIN", "oauth")
            .env("CTC_TOKEN_URL", machine.server.token_url())
            .env("CTC_CLIENT_ID", DEFAULT_CLIENT_ID);
        run(&mut command)
    };
    for _ in 0..3 {
        oauth(&["get", DEVICES]).ends_with(0);
    }
    let lines = oauth(&["token", "--format", "header"]).ends_with(0).out;
    let raw = oauth(&["token"]).ends_with(0).out;
    assert!(
        lines.contains(&format!("authorization: Bearer {}", raw.trim())),
        "{lines}"
    );
    assert_eq!(
        oauth(&["status", "--json"]).ends_with(0).json()["phase"],
        "open"
    );
    oauth(&["status", "--check"]).ends_with(0);
    assert!(
        oauth(&["doctor"])
            .ends_with(0)
            .out
            .contains("token URL   ok")
    );
    assert_eq!(
        machine.run(&["status", "--json"]).ends_with(5).json()["phase"],
        "empty"
    );
    assert_eq!(
        oauth(&["logout", "--json"]).ends_with(0).json()["outcome"],
        "not_revoked"
    );
    let counts = machine.server.counts();
    assert_eq!((counts.logins, counts.violations), (1, 0));

    let incomplete = run(machine.command(&["status"]).env("CTC_LOGIN", "oauth")).ends_with(2);
    assert!(
        incomplete.err.contains("CTC_TOKEN_URL"),
        "{}",
        incomplete.err
    );
    let alone = run(machine.command(&["status"]).env("CTC_CLIENT_ID", "c")).ends_with(2);
    assert!(alone.err.contains("OAuth"), "{}", alone.err);

    machine.profile(&format!(
        "[profile.o]\nlogin = 'oauth'\ntoken_url = '{}'\nclient_id = '{DEFAULT_CLIENT_ID}'\n\
         revoke_on_logout = true\n",
        machine.server.token_url(),
    ));
    machine.run(&["login"]).ends_with(0);
    let live = machine.server.counts().live_tokens;
    assert_eq!(
        machine.run(&["logout", "--json"]).ends_with(0).json()["outcome"],
        "accepted"
    );
    assert_eq!(machine.server.counts().live_tokens, live - 1);
}
