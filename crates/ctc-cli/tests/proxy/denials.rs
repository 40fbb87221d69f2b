//! What callers get when there is no response of the server.

use std::io::{Read, Write};
use std::time::Duration;

use ctc_testkit::{DEFAULT_PASSWORD, Fault, Matcher, Rule};

use crate::support::{DEVICES, ECHO, Proxy, Reply, Scene, eventually, request};

#[test]
fn rejected_credentials_are_a_502_with_the_reason_and_one_login() {
    let scene = Scene::new();
    let mut command = scene.command("wrong");
    command.args(["--listen", "127.0.0.1:0"]);
    let proxy = Proxy::start(command);
    for _ in 0..3 {
        let reply = proxy.get(DEVICES);
        assert_eq!(
            (reply.status, reply.error()),
            (502, "credentials_rejected"),
            "{reply:?}"
        );
        let json = reply.json();
        assert_eq!(json["error"]["kind"], "credentials_rejected");
        assert!(
            json["error"]["message"]
                .as_str()
                .unwrap()
                .contains("password"),
            "{json}"
        );
        assert_eq!(reply.header("retry-after"), [""; 0]);
    }
    assert_eq!(scene.server.counts().login_requests, 1);
    assert!(!proxy.told().contains("wrong"), "{}", proxy.told());
}

#[test]
fn a_denied_call_is_a_503_that_says_when_to_try_again() {
    let scene = Scene::new();
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::throttle(46)));
    let proxy = scene.proxy(&[]);
    for _ in 0..2 {
        let reply = proxy.get(DEVICES);
        assert_eq!(
            (reply.status, reply.error()),
            (503, "backing_off"),
            "{reply:?}"
        );
        let seconds: u64 = reply.header("retry-after")[0].parse().unwrap();
        assert!((40..=46).contains(&seconds), "{reply:?}");
        assert_eq!(reply.json()["error"]["retry_after_seconds"], seconds);
    }
    let counts = scene.server.counts();
    assert_eq!((counts.login_requests, counts.calls), (1, 0));
}

#[test]
fn a_spent_login_budget_is_a_503() {
    let scene = Scene::new();
    // Each login obtains a token that the next call invalidates.
    scene.server.inject(Rule::forever(
        Matcher::AnyCall,
        Fault::Revoke {
            when: ctc_testkit::When::After,
        },
    ));
    let proxy = scene.proxy(&[]);
    let mut last = proxy.get(DEVICES);
    for _ in 0..12 {
        if last.status != 200 {
            break;
        }
        last = proxy.get(DEVICES);
    }
    // The call with the invalidated token gets the server's 401, with the reason in a header.
    assert_eq!((last.status, last.error()), (401, ""), "{last:?}");
    assert!(
        last.header("ctc-unauthorized")[0].contains("no login may be made"),
        "{last:?}"
    );
    assert!(scene.server.counts().logins <= 3);
}

#[test]
fn an_unreachable_server_is_a_502() {
    let mut scene = Scene::new();
    let proxy = scene.proxy(&[]);
    assert_eq!(proxy.get(DEVICES).status, 200);
    // Replacing the server closes the first one's port.
    drop(std::mem::replace(
        &mut scene.server,
        ctc_testkit::Server::start().unwrap(),
    ));
    eventually("the pooled connection is gone", || {
        proxy.get(DEVICES).error() == "unreachable"
    });
    let reply = proxy.get(DEVICES);
    assert_eq!(
        (reply.status, reply.error()),
        (502, "unreachable"),
        "{reply:?}"
    );
    assert!(
        reply.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("was not sent"),
        "{reply:?}"
    );
}

#[test]
fn a_missing_or_incomplete_response_is_reported() {
    let scene = Scene::new();
    let proxy = scene.proxy(&["--timeout", "1"]);
    proxy.open();
    let once = |fault| scene.server.inject(Rule::once(Matcher::AnyCall, fault));
    once(Fault::Raw("220 hello\r\n".to_owned()));
    let reply = proxy.get(DEVICES);
    assert_eq!(
        (reply.status, reply.error()),
        (502, "no_response"),
        "{reply:?}"
    );
    assert!(
        reply.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("may have acted"),
        "{reply:?}"
    );
    once(Fault::Hang { act: false });
    let reply = proxy.get(DEVICES);
    assert_eq!(
        (reply.status, reply.error()),
        (504, "response_timeout"),
        "{reply:?}"
    );
    // Once its head was passed on, a response that breaks off is cut, not completed.
    once(Fault::Cut {
        at: ctc_testkit::Point::MidBody,
        act: true,
    });
    let text = proxy.raw(request(proxy.port(), "GET", DEVICES, &[], b""));
    let reply = Reply::read(&text);
    let length: usize = reply.header("content-length")[0].parse().unwrap();
    assert!(
        reply.status == 200 && reply.body.len() < length,
        "{reply:?}"
    );
}

#[test]
fn a_stalled_response_is_cut() {
    let scene = Scene::new();
    let proxy = scene.proxy(&["--timeout", "0.5"]);
    proxy.open();
    let fault = Fault::SlowBody {
        chunk: 10,
        pause: 60_000,
    };
    scene.server.inject(Rule::once(Matcher::AnyCall, fault));
    let reply = proxy.get(DEVICES);
    let length: usize = reply.header("content-length")[0].parse().unwrap();
    assert!(reply.body.len() < length, "{reply:?}");
}

#[test]
fn a_stalled_request_body_is_a_408() {
    let scene = Scene::new();
    let proxy = scene.proxy(&["--timeout", "0.5"]);
    proxy.open();
    // One body is short enough to be read first, the other is streamed.
    for (method, length) in [("PUT", 100), ("POST", 100), ("PUT", 1_000_000)] {
        let head = format!(
            "{method} {ECHO} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-length: {length}\r\n\r\n",
            proxy.port()
        );
        let mut stream = proxy.connect();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"some of it").unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let reply = Reply::read(&text);
        assert_eq!(
            (reply.status, reply.error()),
            (408, "body_stalled"),
            "{method} {length}"
        );
    }
}

/// An upload may take longer than the limit in total, as long as it makes progress.
#[test]
fn a_slow_upload_that_makes_progress_is_not_cut() {
    let scene = Scene::new();
    let proxy = scene.proxy(&["--timeout", "1"]);
    proxy.open();
    let head = format!(
        "POST {ECHO} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-length: 100\r\n\
         connection: close\r\n\r\n",
        proxy.port()
    );
    let mut stream = proxy.connect();
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(200));
        stream.write_all(b"0123456789").unwrap();
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let reply = Reply::read(&text);
    assert_eq!(
        (reply.status, &reply.json()["bodyLength"]),
        (200, &100.into()),
        "{reply:?}"
    );
}

#[test]
fn an_invalidated_token_is_replaced_if_the_call_can_be_replayed() {
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    assert_eq!(proxy.get(DEVICES).status, 200);
    scene.server.revoke_all();
    let body = b"a short body is kept for that";
    let reply = proxy.call("PUT", ECHO, &[], body);
    assert_eq!(
        (reply.status, &reply.json()["bodyLength"]),
        (200, &body.len().into())
    );
    assert_eq!(scene.server.counts().logins, 2);
    // A call that may have acted already is not replayed, and its caller is told why.
    scene.server.revoke_all();
    let reply = proxy.call("POST", ECHO, &[], body);
    assert_eq!((reply.status, reply.error()), (401, ""), "{reply:?}");
    assert!(
        reply.header("ctc-unauthorized")[0].contains("not replayed"),
        "{reply:?}"
    );
    assert_eq!(proxy.call("POST", ECHO, &[], body).status, 200);
    assert_eq!(scene.server.counts().violations, 0);
}

#[test]
fn a_redirect_on_the_server_stays_on_the_proxy() {
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    for (location, expected) in [
        (
            format!("{}/connect/x?y=z", scene.server.url()),
            "/connect/x?y=z",
        ),
        (
            "https://elsewhere.example/x".to_owned(),
            "https://elsewhere.example/x",
        ),
    ] {
        let fault = Fault::Redirect {
            status: 302,
            location,
        };
        scene.server.inject(Rule::once(Matcher::AnyCall, fault));
        assert_eq!(proxy.get(DEVICES).header("location"), [expected]);
    }
}

#[test]
fn the_right_password_works_after_a_wrong_one() {
    let scene = Scene::new();
    let mut command = scene.command("wrong");
    command.args(["--listen", "127.0.0.1:0"]);
    let wrong = Proxy::start(command);
    assert_eq!(wrong.get(DEVICES).status, 502);
    let mut command = scene.command(DEFAULT_PASSWORD);
    command.args(["--listen", "127.0.0.1:0"]);
    assert_eq!(Proxy::start(command).get(DEVICES).status, 200);
}
