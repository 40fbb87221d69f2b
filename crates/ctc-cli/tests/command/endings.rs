//! Each exit code, the same with and without `--json`.

use std::net::TcpListener;

use ctc_testkit::{Fault, Matcher, Rule, Server};

use crate::support::{DEVICES, Machine, run};

#[test]
fn code_0_is_done() {
    let machine = Machine::new();
    let (_, json) = machine.run_in_both_forms(&["login"]);
    assert_eq!(json["phase"], "open");
    assert_eq!(
        json["logged_in_now"], false,
        "the run in words has logged in"
    );
    machine.run_in_both_forms(&["get", DEVICES]).0.ends_with(0);
}

#[test]
fn code_1_is_any_other_failure() {
    let machine = Machine::new();
    let (text, json) = machine.run_in_both_forms(&["get", "/connect/services/nothing"]);
    assert!(text.ends_with(1).err.contains("404"));
    assert_eq!(json["error"]["exit"], 1);
    machine
        .server
        .inject(Rule::forever(Matcher::AnyCall, Fault::status(500)));
    let (text, json) = machine.run_in_both_forms(&["get", DEVICES]);
    assert!(text.ends_with(1).err.contains("500"));
    assert_eq!(json["error"]["kind"], "error");
}

#[test]
fn code_2_is_usage() {
    let machine = Machine::new();
    machine
        .run(&["get", DEVICES, "--no-such-option"])
        .ends_with(2);
    machine.run(&["frobnicate"]).ends_with(2);
    for missing in [
        "CTC_BASE_URL",
        "CTC_USERNAME",
        "CTC_PASSWORD",
        "CTC_APP_KEY",
    ] {
        for form in [&[][..], &["--json"]] {
            let mut command = machine.command(&[&["get", DEVICES], form].concat());
            let ran = run(command.env_remove(missing)).ends_with(2);
            let name = missing.strip_suffix("_BASE_URL").unwrap_or(missing);
            assert!(ran.err.contains(name), "{missing}: {}", ran.err);
        }
    }
    assert_eq!(machine.server.counts().login_requests, 0);
}

#[test]
fn code_3_means_try_later_and_says_when() {
    let machine = Machine::new();
    machine
        .server
        .inject(Rule::once(Matcher::Login, Fault::throttle(77)));
    let first = machine.run(&["get", DEVICES]).ends_with(3);
    assert!(first.err.contains("try again in 77 s"), "{}", first.err);
    // The backoff is in the store: no process asks the server again meanwhile.
    let (text, json) = machine.run_in_both_forms(&["get", DEVICES]);
    assert!(
        text.ends_with(3).err.contains("try again in 7"),
        "held back"
    );
    let left = json["error"]["retry_after_seconds"].as_u64().unwrap();
    assert!((60..=77).contains(&left), "{json}");
    assert_eq!(json["error"]["kind"], "try_later");
    let (text, json) = machine.run_in_both_forms(&["status"]);
    assert!(text.ends_with(3).out.contains("backoff  until "));
    assert_eq!(
        (&json["phase"], &json["exit"]),
        (&"backing_off".into(), &3.into())
    );
    assert_eq!(machine.server.counts().login_requests, 1);
}

#[test]
fn code_3_is_also_a_call_that_the_server_asks_to_repeat_later() {
    let machine = Machine::new();
    machine.run(&["login"]).ends_with(0);
    let throttle = Fault::throttle(9);
    machine
        .server
        .inject(Rule::forever(Matcher::AnyCall, throttle));
    let (text, json) = machine.run_in_both_forms(&["get", DEVICES]);
    assert!(text.ends_with(3).err.contains("try again in 9 s"));
    assert_eq!(json["error"]["retry_after_seconds"], 9);
}

#[test]
fn code_3_is_a_spent_budget() {
    let machine = Machine::new();
    for _ in 0..3 {
        machine.run(&["renew"]).ends_with(0);
    }
    let (text, json) = machine.run_in_both_forms(&["renew"]);
    assert!(text.ends_with(3).err.contains("budget"));
    assert!(json["error"]["retry_after_seconds"].as_u64().unwrap() > 100);
    // The session stays open.
    machine.run(&["get", DEVICES]).ends_with(0);
    let budget = &machine.run(&["status", "--json"]).ends_with(0).json()["login_budget"];
    assert_eq!(budget["left"], 0);
    assert_eq!(machine.server.counts().logins, 3);
}

#[test]
fn with_wait_a_command_waits_for_the_backoff() {
    let machine = Machine::new();
    machine
        .server
        .inject(Rule::once(Matcher::Login, Fault::throttle(1)));
    machine.run(&["login"]).ends_with(3);
    machine.run(&["get", DEVICES, "--wait", "30"]).ends_with(0);
}

#[test]
fn code_4_is_rejected_credentials_and_costs_one_login_in_all() {
    let machine = Machine::new();
    let wrong = |args: &[&str]| run(machine.command(args).env("CTC_PASSWORD", "not!the!one"));
    for args in [
        &["get", DEVICES][..],
        &["login"],
        &["token"],
        &["renew"],
        &["exec", "true"],
    ] {
        let text = wrong(args).ends_with(4);
        assert!(text.err.contains("rejected the login"), "{}", text.err);
        let args = if args[0] == "exec" {
            vec!["--json", "exec", "true"]
        } else {
            [args, &["--json"]].concat()
        };
        let json = wrong(&args).ends_with(4).json();
        assert_eq!(json["error"]["kind"], "rejected");
    }
    assert_eq!(machine.server.counts().login_requests, 1);
    assert_eq!(
        machine.run(&["status", "--json"]).ends_with(4).json()["rejections"][0],
        401
    );
    // The right password still works.
    machine.run(&["get", DEVICES]).ends_with(0);
    assert_eq!(machine.server.counts().login_requests, 2);
}

#[test]
fn code_5_means_no_session() {
    let machine = Machine::new();
    let (_, json) = machine.run_in_both_forms(&["get", "--no-login", DEVICES]);
    assert_eq!(
        (&json["error"]["kind"], &json["error"]["exit"]),
        (&"logged_out".into(), &5.into())
    );
    let (text, json) = machine.run_in_both_forms(&["status"]);
    text.ends_with(5);
    assert_eq!(json["phase"], "empty");
}

#[test]
fn code_69_is_a_server_that_cannot_be_reached() {
    let machine = Machine::new();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = format!("http://{nobody}");
    let away = |args: &[&str]| run(machine.command(args).env("CTC_BASE_URL", &nobody));
    let ran = away(&["login"]).ends_with(69);
    assert!(ran.err.contains("could not be reached"), "{}", ran.err);
    // Now the backoff in the store denies the next login for some seconds.
    away(&["login"]).ends_with(3);
    away(&["reset"]).ends_with(0);
    let json = away(&["login", "--json"]).ends_with(69).json();
    assert_eq!(json["error"]["kind"], "unreachable");
    away(&["doctor"]).ends_with(69);
    away(&["get", DEVICES, "--via", &nobody]).ends_with(69);
    away(&["exec", "--via", &nobody, "--", "true"]).ends_with(69);
}

#[test]
fn code_69_is_also_a_call_without_a_response() {
    let machine = Machine::new();
    machine.run(&["login"]).ends_with(0);
    machine
        .server
        .inject(Rule::forever(Matcher::AnyCall, Fault::lost_response()));
    let (text, json) = machine.run_in_both_forms(&["get", DEVICES]);
    assert!(
        text.ends_with(69)
            .err
            .contains("the server may have acted on it")
    );
    assert_eq!(json["error"]["kind"], "unreachable");
}

/// Without a store, each process would log in: a loop of commands would be a loop of logins.
#[cfg(unix)]
#[test]
fn without_a_working_store_nothing_is_sent() {
    let machine = Machine::new();
    let file = machine.file("not-a-folder", "", 0o600);
    let store = format!("file:{}/x", file.display());
    for args in [
        &["get", DEVICES][..],
        &["login"],
        &["token"],
        &["get", "--no-login", DEVICES],
    ] {
        let ran = run(machine.command(args).env("CTC_STORE", &store)).ends_with(1);
        assert!(
            ran.err
                .contains("store cannot be used, so nothing was sent"),
            "{}",
            ran.err
        );
    }
    let loose = machine.home.path().join("loose");
    std::fs::create_dir(&loose).unwrap();
    crate::support::set_mode(&loose, 0o777);
    let store = format!("file:{}", loose.display());
    let ran = run(machine.command(&["get", DEVICES]).env("CTC_STORE", &store)).ends_with(1);
    assert!(ran.err.contains("chmod 700"), "{}", ran.err);
    run(machine.command(&["doctor"]).env("CTC_STORE", &store)).ends_with(1);
    assert_eq!(machine.server.counts().login_requests, 0);
}

#[test]
fn a_locked_account_is_code_4_until_it_is_reset() {
    let machine = Machine::with(Server::builder().lock_after(1).start().unwrap());
    let wrong = |args: &[&str]| run(machine.command(args).env("CTC_PASSWORD", "not!the!one"));
    wrong(&["login"]).ends_with(4);
    machine.run(&["login"]).ends_with(4);
    machine.server.unlock(ctc_testkit::DEFAULT_USERNAME);
    machine.run(&["login"]).ends_with(4);
    assert_eq!(machine.server.counts().login_requests, 2);
    // No password is needed to lift it.
    let mut reset = machine.command(&["reset", "--json"]);
    let json = run(reset.env_remove("CTC_PASSWORD")).ends_with(0).json();
    assert_eq!(json["rejections"], 2);
    machine.run(&["login"]).ends_with(0);
}
