//! `get`, `call` and `exec` through a running `ctc proxy`.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use ctc_testkit::{Fault, Matcher, Rule};
use serde_json::Value;

use crate::support::{DEVICES, Machine, Ran, run, set_mode};

/// A proxy that ends with the test.
struct Proxy {
    child: Child,
    url: String,
}

impl Proxy {
    fn start(machine: &Machine, args: &[&str], password: &str) -> Self {
        let mut command = machine.command(&[&["proxy"], args].concat());
        let command = command.env("CTC_PASSWORD", password);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Self {
            child,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command without an account, through the proxy.
fn through(machine: &Machine, url: &str, args: &[&str]) -> Ran {
    run(machine.bare(args).env("CTC_PROXY_URL", url))
}

#[test]
fn a_call_through_a_proxy_needs_no_account() {
    let machine = Machine::new();
    let proxy = Proxy::start(
        &machine,
        &["--listen", "127.0.0.1:0"],
        ctc_testkit::DEFAULT_PASSWORD,
    );
    let direct = run(&mut machine.bare(&["get", DEVICES, "--via", &proxy.url])).ends_with(0);
    assert!(direct.out.contains("Truck 1"), "{direct:?}");
    let json = through(&machine, &proxy.url, &["get", "--json", DEVICES])
        .ends_with(0)
        .json();
    assert_eq!(json["status"], 200);
    let note = [
        "call",
        "POST",
        "/connect/services/devices/1001/notes",
        "-d",
        "by proxy",
    ];
    through(&machine, &proxy.url, &note).ends_with(0);
    assert_eq!(machine.server.notes(1001), ["by proxy"]);
    through(&machine, &proxy.url, &["get", "/connect/services/nothing"]).ends_with(1);
    // A session of its own all the same.
    let own = run(machine
        .command(&["get", DEVICES, "--no-login"])
        .env("CTC_PROXY_URL", &proxy.url));
    own.ends_with(0);
    let profile = format!("[profile.p]\nvia = '{}'\n", proxy.url);
    machine.profile(&profile);
    run(&mut machine.bare(&["get", DEVICES])).ends_with(0);
    assert_eq!(machine.server.counts().logins, 1);
}

#[test]
fn exec_gives_a_program_the_proxy_and_no_secret() {
    let machine = Machine::new();
    let proxy = Proxy::start(
        &machine,
        &["--listen", "127.0.0.1:0"],
        ctc_testkit::DEFAULT_PASSWORD,
    );
    let script = "echo $CTC_PROXY_URL ${CTC_TOKEN-no} ${CTC_APP_KEY-no} ${CTC_PASSWORD-no}";
    let args = ["exec", "--via", &proxy.url, "--", "sh", "-c", script];
    let ran = machine.run(&args).ends_with(0);
    assert_eq!(ran.out, format!("{} no no no\n", proxy.url));
    // `ctc` itself is such a program.
    let url = proxy.url.clone();
    let ctc = env!("CARGO_BIN_EXE_ctc");
    let args = ["exec", "--via", &url, "--", ctc, "get", DEVICES];
    assert!(
        run(&mut machine.bare(&args))
            .ends_with(0)
            .out
            .contains("Truck 1")
    );
    drop(proxy);
    let gone = run(&mut machine.bare(&args)).ends_with(69);
    assert!(gone.err.contains("is `ctc proxy` running?"), "{}", gone.err);
}

/// It listens, so the call may have been made: "cannot be reached" would be an invitation to
/// repeat it.
#[test]
fn a_proxy_that_does_not_respond_in_time_was_reached() {
    let machine = Machine::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let call = ["call", "POST", "/x", "-d", "1", "--timeout", "1"];
    let ran = through(&machine, &url, &call).ends_with(69);
    assert!(ran.err.contains("may have acted"), "{}", ran.err);
    assert!(!ran.err.contains("running?"), "{}", ran.err);
    drop(silent);
    for gone in [url.as_str(), "unix:/nowhere/s"] {
        let ran = through(&machine, gone, &call).ends_with(69);
        assert!(ran.err.contains("is `ctc proxy` running?"), "{}", ran.err);
    }
}

#[test]
fn a_socket_and_a_token_of_the_proxy_work_too() {
    let machine = Machine::new();
    let (socket, token) = (machine.home.path().join("s"), machine.home.path().join("t"));
    let (socket, token) = (socket.to_str().unwrap(), token.to_str().unwrap());
    let args = ["--socket", socket, "--token-file", token];
    let _proxy = Proxy::start(&machine, &args, ctc_testkit::DEFAULT_PASSWORD);
    let via = format!("unix:{socket}");
    let with_token = ["get", DEVICES, "--via", &via, "--via-token-file", token];
    assert!(
        run(&mut machine.bare(&with_token))
            .ends_with(0)
            .out
            .contains("Truck 1")
    );
    let mut by_environment = machine.bare(&["get", DEVICES, "--timeout", "20"]);
    by_environment
        .env("CTC_PROXY_URL", &via)
        .env("CTC_PROXY_TOKEN_FILE", token);
    run(&mut by_environment).ends_with(0);
    let without = run(&mut machine.bare(&["get", DEVICES, "--via", &via])).ends_with(1);
    assert!(without.err.contains("local_token"), "{}", without.err);
    set_mode(token.as_ref(), 0o644);
    run(&mut machine.bare(&with_token)).ends_with(2);
}

/// The exit codes are the same as without a proxy.
#[test]
fn denials_by_the_proxy_have_the_same_exit_codes() {
    let kind = |ran: &Ran| -> Value { ran.json()["error"]["kind"].clone() };
    let get = |machine: &Machine, url: &str| {
        let text = through(machine, url, &["get", DEVICES]);
        let json = through(machine, url, &["get", "--json", DEVICES]);
        assert_eq!(text.code, json.code);
        json
    };
    let listen = ["--listen", "127.0.0.1:0"];

    let machine = Machine::new();
    let proxy = Proxy::start(&machine, &listen, "not!the!one");
    assert_eq!(kind(&get(&machine, &proxy.url).ends_with(4)), "rejected");

    let machine = Machine::new();
    machine
        .server
        .inject(Rule::once(Matcher::Login, Fault::throttle(60)));
    let proxy = Proxy::start(&machine, &listen, ctc_testkit::DEFAULT_PASSWORD);
    let held = get(&machine, &proxy.url).ends_with(3);
    assert_eq!(kind(&held), "try_later");
    let left = held.json()["error"]["retry_after_seconds"]
        .as_u64()
        .unwrap();
    assert!((30..=60).contains(&left), "{left}");
}

#[test]
fn only_a_proxy_on_this_machine_is_accepted() {
    let machine = Machine::new();
    for url in [
        "http://192.0.2.1:8321",
        "http://example.com:8321",
        "https://127.0.0.1:8321",
        "http://127.0.0.1:8321/path",
        "http://127.0.0.1",
        "127.0.0.1:8321",
        "http://user@127.0.0.1.example.com:8321",
        "",
    ] {
        let ran = run(&mut machine.bare(&["get", DEVICES, "--via", url])).ends_with(2);
        assert!(ran.err.contains("not a local proxy"), "{url}: {}", ran.err);
    }
    let elsewhere = [
        "get",
        "https://example.com/x",
        "--via",
        "http://127.0.0.1:1",
    ];
    run(&mut machine.bare(&elsewhere)).ends_with(2);
}
