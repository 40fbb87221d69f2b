//! `ctc doctor`, the help, completions and manual pages.

use std::fs;

use ctc_testkit::Server;

use crate::support::{Machine, run};

#[test]
fn doctor_checks_everything_without_a_login() {
    let machine = Machine::new();
    let (text, json) = machine.run_in_both_forms(&["doctor"]);
    text.ends_with(0);
    let checks = json["checks"].as_array().unwrap();
    let names: Vec<_> = checks
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    let all = [
        "account",
        "name",
        "connection",
        "http",
        "clock",
        "store",
        "session",
    ];
    assert_eq!(names, all);
    assert!(checks.iter().all(|check| check["ok"] == true), "{json}");
    assert_eq!(machine.server.counts().login_requests, 0);
}

#[test]
fn doctor_says_whose_clock_is_wrong_and_by_how_much() {
    for (offset, words) in [
        (-7200, "s ahead of the server's"),
        (7200, "s behind the server's"),
    ] {
        let machine = Machine::with(Server::builder().clock_offset(offset).start().unwrap());
        let (text, json) = machine.run_in_both_forms(&["doctor"]);
        let out = text.ends_with(1).out;
        assert!(out.contains("FAILED  7") && out.contains(words), "{out}");
        let clock = json["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == "clock");
        assert_eq!(clock.unwrap()["ok"], false);
    }
}

#[test]
fn doctor_says_what_is_not_set_up() {
    let machine = Machine::new();
    let mut command = machine.bare(&["doctor", "--base-url", &machine.server.url()]);
    let ran = run(&mut command).ends_with(2);
    assert!(
        ran.out
            .contains("not set up: username, application key, password"),
        "{}",
        ran.out
    );
    let mut command = machine.bare(&["doctor", "--base-url", "http://no-such-host.localhost:1"]);
    run(&mut command).ends_with(2);
}

/// Each help begins with three examples.
#[test]
fn every_help_begins_with_three_examples() {
    let machine = Machine::new();
    let top = machine.run(&["--help"]).ends_with(0).out;
    let commands: Vec<_> = top
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 13, "{commands:?}");
    let mut helps = vec![top.clone()];
    for command in commands {
        helps.push(machine.run(&[command, "--help"]).ends_with(0).out);
        helps.push(machine.run(&[command, "-h"]).ends_with(0).out);
    }
    for help in helps {
        let lines: Vec<_> = help.lines().take(5).collect();
        assert_eq!(lines[0], "Examples:", "{help}");
        assert!(
            lines[1..4].iter().all(|line| line.starts_with("  ")),
            "{help}"
        );
        assert!(
            lines[1..4].iter().all(|line| line.contains("ctc")),
            "{help}"
        );
        assert_eq!(lines[4], "", "{help}");
        assert!(!help.contains("<https"), "{help}");
    }
}

#[test]
fn completions_and_manual_pages_are_printed() {
    let machine = Machine::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&mut machine.bare(&["completions", shell]))
            .ends_with(0)
            .out;
        assert!(
            script.contains("no-login") && script.contains("doctor"),
            "{shell}"
        );
    }
    let page = run(&mut machine.bare(&["man"])).ends_with(0).out;
    assert!(
        page.contains(".TH ctc 1") && page.contains("no login may be made now"),
        "{page}"
    );
    let folder = machine.home.path().join("man1");
    fs::create_dir(&folder).unwrap();
    run(&mut machine.bare(&["man", "--dir", folder.to_str().unwrap()])).ends_with(0);
    let page = fs::read_to_string(folder.join("ctc-get.1")).unwrap();
    assert!(
        page.contains("ctc\\-get") && page.contains("\\-\\-no\\-login"),
        "{page}"
    );
    assert!(folder.join("ctc.1").exists() && folder.join("ctc-doctor.1").exists());
}
