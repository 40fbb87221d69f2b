//! `ctc get`, `call`, `token` and `exec`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use ctc_testkit::{DEFAULT_APP_KEY, Fault, Matcher, Rule};

use crate::support::{DEVICES, Machine, run, run_with_input};

#[test]
fn a_body_goes_to_standard_output_and_status_and_headers_to_standard_error() {
    let machine = Machine::new();
    let ran = machine.run(&["get", "-i", DEVICES]).ends_with(0);
    assert!(ran.out.starts_with("{\"response\""), "{}", ran.out);
    assert!(
        ran.err.starts_with("HTTP/1.1 200 OK\ncontent-type: "),
        "{}",
        ran.err
    );
    let quiet = machine.run(&["get", DEVICES]).ends_with(0);
    assert_eq!((quiet.out, quiet.err), (ran.out, String::new()));
}

#[test]
fn a_response_in_json_has_status_headers_and_body() {
    let machine = Machine::new();
    let json = machine.run(&["get", "--json", DEVICES]).ends_with(0).json();
    assert_eq!(json["status"], 200);
    assert_eq!(
        json["headers"]["content-type"][0],
        "application/json;charset=UTF-8"
    );
    assert_eq!(json["body"]["response"]["results"][0]["device"]["id"], 1001);
    let failed = machine
        .run(&["get", "--json", "/connect/services/nothing"])
        .ends_with(1)
        .json();
    assert_eq!(
        (&failed["status"], &failed["error"]["kind"]),
        (&404.into(), &"error".into())
    );

    let html = Rule::once(Matcher::AnyCall, Fault::html_page());
    machine.server.inject(html);
    let json = machine.run(&["get", "--json", DEVICES]).json();
    assert!(json["text"].as_str().unwrap().contains("<html"), "{json}");
    assert!(json.get("body").is_none());
}

/// Data from the command line, a file and standard input; with a method that is not idempotent.
#[test]
fn a_call_sends_its_data() {
    let machine = Machine::new();
    let path = "/connect/services/devices/1001/notes";
    let call = |data: &str| {
        let mut command = machine.command(&["call", "POST", path, "--data", data]);
        run_with_input(&mut command, "from a pipe").ends_with(0)
    };
    call("typed");
    let file = machine.file("note.json", "in a file", 0o644);
    call(&format!("@{}", file.display()));
    call("@-");
    assert_eq!(
        machine.server.notes(1001),
        ["typed", "in a file", "from a pipe"]
    );
    machine.server.revoke_all();
    let once = machine
        .run(&["call", "POST", path, "-d", "no"])
        .ends_with(1);
    assert!(once.err.contains("not replayed"), "{}", once.err);
    machine.server.revoke_all();
    let always = ["call", "POST", path, "--replay", "always", "-d", "again"];
    machine.run(&always).ends_with(0);
    assert_eq!(machine.server.notes(1001).last().unwrap(), "again");
    assert_eq!(machine.server.counts().violations, 0);
}

#[test]
fn a_token_that_the_server_rotates_is_not_printed_and_is_kept() {
    let machine = Machine::new();
    machine.run(&["login"]).ends_with(0);
    let before = machine.run(&["token"]).ends_with(0).out;
    machine.server.rotate(false);
    let text = machine.run(&["get", "-i", DEVICES]).ends_with(0);
    let json = machine.run(&["get", "--json", DEVICES]).ends_with(0);
    for ran in [text, json] {
        assert!(!(ran.out + &ran.err).to_lowercase().contains("authtoken"));
    }
    machine.server.clear_faults();
    let after = machine.run(&["token", "--no-login"]).ends_with(0).out;
    assert_ne!(before, after);
    assert_eq!(machine.server.counts().logins, 1);
}

#[test]
fn a_token_in_a_line_of_several_cookies_is_not_printed() {
    let machine = Machine::new();
    machine.run(&["login"]).ends_with(0);
    machine.server.inject(Rule::forever(
        Matcher::AnyCall,
        Fault::Respond {
            status: 200,
            headers: vec![("set-cookie".into(), "lb=1; Path=/, authToken=CANARY".into())],
            body: "{}".into(),
            act: false,
        },
    ));
    for form in ["-i", "--json"] {
        let ran = machine.run(&["get", form, DEVICES]).ends_with(0);
        assert!(!(ran.out + &ran.err).contains("CANARY"), "{form}");
    }
}

#[test]
fn a_time_limit_beyond_a_year_is_refused() {
    let machine = Machine::new();
    let endless = ["get", DEVICES, "--via", "http://127.0.0.1:9", "--timeout"];
    for seconds in ["0", "18446744073709551615"] {
        let ran = machine.run(&[&endless[..], &[seconds]].concat());
        let err = ran.ends_with(2).err;
        assert!(err.contains("31536000"), "{err}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let machine = Machine::new();
    let mut child = machine.command(&["get", DEVICES]);
    let mut child = child
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// The lines of `--format header` are all that the server requires of a call.
#[test]
fn the_printed_token_works_in_other_programs() {
    let machine = Machine::new();
    let raw = machine.run(&["token"]).ends_with(0).out;
    let lines = machine
        .run(&["token", "--format", "header"])
        .ends_with(0)
        .out;
    let curl = machine.run(&["token", "--format", "curl"]).ends_with(0).out;
    let json = machine.run(&["token", "--json"]).ends_with(0).json();
    assert!(
        lines.contains(&format!("cookie: authToken={}", raw.trim())),
        "{lines}"
    );
    assert!(
        lines.contains(&format!("calamp-services-app: {DEFAULT_APP_KEY}")),
        "{lines}"
    );
    for line in lines.lines() {
        assert!(curl.contains(&format!("header = \"{line}\"\n")), "{curl}");
    }
    assert_eq!(json["token"], raw.trim());
    let obtained = json["obtained_at"]["epoch"].as_u64().unwrap();
    assert!(json["expires_at"]["epoch"].as_u64().unwrap() > obtained);
    assert!(json["expires_at"]["utc"].as_str().unwrap().ends_with('Z'));

    let mut stream = TcpStream::connect(machine.server.address()).unwrap();
    let lines = lines.replace('\n', "\r\n");
    let request = format!(
        "GET {DEVICES} HTTP/1.1\r\nhost: {}\r\naccept: application/json\r\nconnection: close\r\n\
         {lines}\r\n",
        machine.server.address()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert_eq!(machine.server.counts().logins, 1);
}

#[cfg(unix)]
#[test]
fn exec_gives_a_program_the_token_and_no_password() {
    let machine = Machine::new();
    let script = "echo $CTC_TOKEN; echo $CTC_BASE_URL; echo $CTC_APP_KEY; \
                  echo ${CTC_PASSWORD-none}; exit 42";
    let ran = machine
        .run(&["exec", "--", "sh", "-c", script])
        .ends_with(42);
    let token = machine.run(&["token"]).ends_with(0).out;
    let url = machine.server.url();
    assert_eq!(ran.out, format!("{token}{url}\n{DEFAULT_APP_KEY}\nnone\n"));
    let missing = machine
        .run(&["exec", "--", "/no/such/program"])
        .ends_with(1);
    assert!(
        missing.err.contains("cannot run /no/such/program"),
        "{}",
        missing.err
    );
}

#[test]
fn with_no_login_exec_and_get_need_a_session_in_the_store() {
    let machine = Machine::new();
    machine
        .run(&["exec", "--no-login", "--", "true"])
        .ends_with(5);
    machine.run(&["get", "--no-login", DEVICES]).ends_with(5);
    machine.run(&["token", "--no-login"]).ends_with(5);
    assert_eq!(machine.server.counts().login_requests, 0);
    machine.run(&["login"]).ends_with(0);
    machine.run(&["get", "--no-login", DEVICES]).ends_with(0);
    // An invalidated token is not replaced either.
    machine.server.revoke_all();
    let ran = machine.run(&["get", "--no-login", DEVICES]).ends_with(5);
    assert!(ran.err.contains("ctc login"), "{}", ran.err);
    assert_eq!(machine.server.counts().login_requests, 1);
}

#[test]
fn headers_of_a_call_are_sent() {
    let machine = Machine::new();
    machine
        .run(&["get", DEVICES, "-H", "X-Trace: 17"])
        .ends_with(0);
    let journal = machine.server.journal();
    let headers = &journal.last().unwrap().headers;
    assert!(
        headers
            .iter()
            .any(|(name, value)| name == "x-trace" && value == "17")
    );
    machine
        .run(&["get", DEVICES, "-H", "no colon"])
        .ends_with(2);
    let elsewhere = machine.run(&["get", "https://example.com/x"]).ends_with(2);
    assert!(!elsewhere.err.is_empty());
    let mut alone = machine.bare(&["get", DEVICES]);
    run(&mut alone).ends_with(2);
}
