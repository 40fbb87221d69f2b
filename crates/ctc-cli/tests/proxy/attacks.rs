//! Requests that the proxy must reject, and headers that it must remove.

use ctc_testkit::{Fault, Matcher, Rule};

use crate::support::{DEVICES, ECHO, Proxy, Reply, Scene, request};

/// A scene whose session is open, so that any request that got through would be a call.
fn open() -> (Scene, Proxy) {
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    assert_eq!(proxy.get(DEVICES).status, 200, "{}", proxy.told());
    scene.server.reset_journal();
    (scene, proxy)
}

/// Checks that the proxy rejected a request with this status and reason, and forwarded nothing.
fn assert_rejected(scene: &Scene, reply: &Reply, status: u16, reason: &str) {
    assert_eq!((reply.status, reply.error()), (status, reason), "{reply:?}");
    let json = reply.json();
    assert_eq!(
        (&json["version"], &json["error"]["kind"]),
        (&1.into(), &reason.into())
    );
    assert!(json["error"]["message"].is_string());
    assert_eq!(scene.server.journal().len(), 0, "{reply:?}");
}

#[test]
fn a_foreign_host_is_rejected() {
    let (scene, proxy) = open();
    for host in [
        "evil.example",
        "evil.example:8321",
        "localhost",
        "127.0.0.1:1",
        "",
    ] {
        let reply = proxy.call("GET", DEVICES, &[("host", host)], b"");
        assert_rejected(&scene, &reply, 421, "foreign_host");
    }
    let own = format!("127.0.0.1:{}", proxy.port());
    let two = proxy.call(
        "GET",
        DEVICES,
        &[("host", &own), ("host", "evil.example")],
        b"",
    );
    assert_rejected(&scene, &two, 421, "foreign_host");
    let none = proxy.raw(format!(
        "GET {DEVICES} HTTP/1.1\r\nconnection: close\r\n\r\n"
    ));
    assert_rejected(&scene, &Reply::read(&none), 421, "foreign_host");
}

#[test]
fn a_web_page_is_rejected() {
    let (scene, proxy) = open();
    let own = format!("http://127.0.0.1:{}", proxy.port());
    for origin in ["http://evil.example", "null", &own] {
        for method in ["GET", "POST", "OPTIONS"] {
            let reply = proxy.call(method, DEVICES, &[("origin", origin)], b"");
            assert_rejected(&scene, &reply, 403, "foreign_origin");
            assert!(
                reply
                    .headers
                    .iter()
                    .all(|(name, _)| !name.starts_with("access-control"))
            );
        }
    }
    // An `<img src=…>` sends no `Origin`.
    let image = proxy.call("GET", DEVICES, &[("sec-fetch-site", "cross-site")], b"");
    assert_rejected(&scene, &image, 403, "foreign_origin");
}

#[test]
fn an_absolute_url_of_another_host_is_rejected() {
    let (scene, proxy) = open();
    for url in [
        "http://evil.example/connect/services/devices",
        "https://127.0.0.1:1/connect/services/devices",
        &scene.server.url(),
    ] {
        assert_rejected(&scene, &proxy.get(url), 421, "foreign_host");
    }
    let own = format!("{}{DEVICES}", proxy.url);
    assert_eq!(proxy.get(&own).status, 200);
    assert_eq!(scene.server.counts().calls, 1);
}

#[test]
fn a_path_that_names_a_host_is_rejected() {
    let (scene, proxy) = open();
    for path in ["//evil.example/x", "///x", "/\\evil.example/x", "*"] {
        assert_rejected(&scene, &proxy.get(path), 400, "bad_target");
    }
}

#[test]
fn connect_and_trace_are_rejected() {
    let (scene, proxy) = open();
    let address = scene.server.address().to_string();
    let tunnel = proxy.raw(format!(
        "CONNECT {address} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\nGET / HTTP/1.1"
    ));
    assert_rejected(&scene, &Reply::read(&tunnel), 405, "method_not_allowed");
    let trace = proxy.call("TRACE", ECHO, &[], b"");
    assert_rejected(&scene, &trace, 405, "method_not_allowed");
    assert!(!trace.header("allow").concat().contains("TRACE"));
}

#[test]
fn protocol_upgrades_are_rejected() {
    let (scene, proxy) = open();
    let websocket = [
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    let reply = proxy.call("GET", DEVICES, &websocket, b"");
    assert_rejected(&scene, &reply, 400, "upgrade_not_allowed");
    // Some clients offer h2c with their first request: the proxy ignores and removes that.
    let offer = "GET /connect/test/echo HTTP/1.1\r\nhost: HOST\r\nupgrade: h2c\r\n\
                 http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\
                 connection: Upgrade, HTTP2-Settings, close\r\n\r\n";
    let own = format!("127.0.0.1:{}", proxy.port());
    let reply = Reply::read(&proxy.raw(offer.replace("HOST", &own)));
    assert_eq!(reply.status, 200, "{reply:?}");
    let seen = &reply.json()["headers"];
    for name in ["upgrade", "http2-settings", "connection"] {
        assert!(seen[name].is_null(), "{seen}");
    }
}

/// A request inside the body of another one must not become a call.
#[test]
fn a_smuggled_request_is_not_a_call() {
    let (scene, proxy) = open();
    let inner = format!(
        "GET /connect/test/status/418 HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n",
        proxy.port()
    );
    let body = format!("0\r\n\r\n{inner}");
    let length = ("content-length", body.len().to_string());
    let chunked = ("transfer-encoding", "chunked".to_owned());
    let send = |headers: &[&(&str, String)]| {
        let mut text = format!(
            "POST {ECHO} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n",
            proxy.port()
        );
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        proxy.raw(format!("{text}\r\n{body}"))
    };
    // The length is ignored and the connection is closed, as RFC 9112 requires: one call without a
    // body.
    for headers in [[&length, &chunked], [&chunked, &length]] {
        scene.server.reset_journal();
        let responses = send(&headers);
        assert_eq!(responses.matches("HTTP/1.1 ").count(), 1, "{responses}");
        let reply = Reply::read(&responses);
        assert_eq!(
            (reply.status, &reply.json()["bodyLength"]),
            (200, &0.into()),
            "{reply:?}"
        );
        assert_eq!(scene.server.counts().calls, 1);
    }
    scene.server.reset_journal();
    let short = ("content-length", "5".to_owned());
    let odd = [
        ("transfer-encoding", "gzip".to_owned()),
        ("transfer-encoding", "chunked, identity".to_owned()),
        ("transfer-encoding ", "chunked".to_owned()),
        ("content-length", "+5".to_owned()),
        ("content-length", "5, 5".to_owned()),
        ("content-length", "0x5".to_owned()),
    ];
    for headers in odd
        .iter()
        .map(|odd| vec![odd])
        .chain([vec![&length, &short]])
    {
        let responses = send(&headers);
        assert!(
            responses.starts_with("HTTP/1.1 400 "),
            "{headers:?}: {responses}"
        );
        assert_eq!(responses.matches("HTTP/1.1 ").count(), 1, "{responses}");
    }
    let old = proxy.raw(format!(
        "POST {ECHO} HTTP/1.0\r\nhost: 127.0.0.1:{}\r\ntransfer-encoding: chunked\r\n\r\n{body}",
        proxy.port()
    ));
    assert!(
        old.starts_with("HTTP/1.0 400 ") || old.starts_with("HTTP/1.1 400 "),
        "{old}"
    );
    assert_eq!(scene.server.journal().len(), 0);
}

#[test]
fn nothing_can_be_injected_into_the_request_head() {
    let (scene, proxy) = open();
    let own = format!("host: 127.0.0.1:{}\r\n", proxy.port());
    for header in [
        "x-a: 1\rx-injected: 2",
        "x-a: 1\0x-injected: 2",
        "x-a: 1\r\n x-injected: folded",
        "x-a 1",
        ": 1",
        "x-\u{1}: 1",
    ] {
        let reply = proxy.raw(format!("GET {ECHO} HTTP/1.1\r\n{own}{header}\r\n\r\n"));
        assert!(reply.starts_with("HTTP/1.1 400 "), "{header:?}: {reply}");
    }
    let target = proxy.raw(format!("GET {ECHO} x-injected:1 HTTP/1.1\r\n{own}\r\n"));
    assert!(target.starts_with("HTTP/1.1 400 "), "{target}");
    assert_eq!(scene.server.journal().len(), 0);
    // An encoded line break stays encoded.
    let path = format!("{ECHO}/a%0d%0ax-injected:%201?b=%0d%0a");
    let seen = proxy.get(&path).json();
    assert_eq!(seen["path"], "/connect/test/echo/a%0d%0ax-injected:%201");
    assert_eq!(seen["query"], "b=%0d%0a");
    assert!(seen["headers"]["x-injected"].is_null());
}

#[test]
fn huge_heads_are_rejected() {
    let (scene, proxy) = open();
    let huge = "x".repeat(200 * 1024);
    let many: Vec<_> = (0..300).map(|at| (format!("x-{at}"), "y")).collect();
    let many: Vec<_> = many
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    for (path, headers) in [
        (ECHO.to_owned(), vec![("x-huge", huge.as_str())]),
        (ECHO.to_owned(), many),
        (format!("{ECHO}?{huge}"), vec![]),
    ] {
        let bytes = request(proxy.port(), "GET", &path, &headers, b"");
        let reply = proxy.raw(bytes);
        let status = reply.split(' ').nth(1).unwrap_or_default();
        assert!(["414", "431"].contains(&status), "{reply}");
    }
    assert_eq!(scene.server.journal().len(), 0);
    // A head that is long because of many cookies is accepted.
    let cookies = format!("theme={}", "d".repeat(16 * 1024));
    assert_eq!(
        proxy.call("GET", ECHO, &[("cookie", &cookies)], b"").status,
        200
    );
}

#[test]
fn a_callers_own_credentials_are_removed() {
    let (scene, proxy) = open();
    let headers = [
        ("authorization", "Bearer smuggled"),
        ("proxy-authorization", "Basic smuggled"),
        ("calamp-services-app", "smuggled"),
        ("cookie", "theme=dark; authToken=smuggled"),
        ("cookie", "authToken=smuggled; lang=en"),
        ("connection", "x-hop, cookie2, calamp-services-app"),
        ("x-hop", "smuggled"),
        ("te", "trailers"),
        ("keep-alive", "timeout=5"),
        ("x-kept", "1"),
    ];
    let reply = proxy.call("GET", ECHO, &headers, b"");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(!reply.body.contains("smuggled"), "{}", reply.body);
    let seen = &reply.json()["headers"];
    assert_eq!(seen["x-kept"][0], "1");
    assert_eq!(seen["via"][0], "1.1 ctc-proxy");
    assert_eq!(seen["cookie"].as_array().unwrap().len(), 1, "{seen}");
    let cookies = seen["cookie"][0].as_str().unwrap();
    assert!(
        cookies.starts_with("theme=dark; lang=en; authToken="),
        "{cookies}"
    );
    for gone in [
        "authorization",
        "proxy-authorization",
        "te",
        "keep-alive",
        "connection",
    ] {
        assert!(seen[gone].is_null(), "{gone}: {seen}");
    }
    let host = format!("localhost:{}", scene.server.port());
    assert_eq!(seen["host"][0], host);
    assert_eq!(scene.server.counts().violations, 0);
}

#[test]
fn a_rotated_token_is_not_passed_on() {
    let (scene, proxy) = open();
    scene.server.rotate(false);
    let reply = proxy.get(DEVICES);
    assert_eq!(
        (reply.status, reply.header("set-cookie").len()),
        (200, 0),
        "{reply:?}"
    );
    // The session has the new token.
    assert_eq!(proxy.get(DEVICES).status, 200);
    let cookies = ["other=1; Path=/", "authToken=stolen; Path=/", "third=1"];
    let cookies = cookies.map(|cookie| ("set-cookie".to_owned(), cookie.to_owned()));
    let mut headers = cookies.to_vec();
    headers.extend([
        ("alt-svc".to_owned(), "h3=\":443\"".to_owned()),
        ("connection".to_owned(), "x-hop".to_owned()),
        ("x-hop".to_owned(), "1".to_owned()),
    ]);
    let fault = Fault::Respond {
        status: 200,
        headers,
        body: "fine".to_owned(),
        act: false,
    };
    scene.server.inject(Rule::once(Matcher::AnyCall, fault));
    let reply = proxy.get(DEVICES);
    assert_eq!(reply.header("set-cookie"), ["other=1; Path=/", "third=1"]);
    for gone in ["alt-svc", "x-hop"] {
        assert_eq!(reply.header(gone), [""; 0], "{reply:?}");
    }
    assert_eq!(
        scene.server.counts().logins,
        0,
        "the session was open all along"
    );
}

#[test]
fn trailers_are_removed() {
    let (scene, proxy) = open();
    let port = proxy.port();
    let mut text = format!("POST {ECHO} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n");
    text += "connection: close\r\ntransfer-encoding: chunked\r\ntrailer: calamp-services-app\r\n";
    text += "\r\n4\r\nfine\r\n0\r\ncalamp-services-app: smuggled\r\n\r\n";
    let reply = Reply::read(&proxy.raw(text));
    assert_eq!(
        (reply.status, &reply.json()["bodyLength"]),
        (200, &4.into()),
        "{reply:?}"
    );
    assert!(!reply.body.contains("smuggled"), "{}", reply.body);
    // Last, because the server closes a connection that the proxy might reuse.
    let raw = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: set-cookie\r\n\r\n\
               4\r\nfine\r\n0\r\nset-cookie: authToken=stolen\r\n\r\n";
    let fault = Fault::Raw(raw.to_owned());
    scene.server.inject(Rule::once(Matcher::AnyCall, fault));
    let response = proxy.raw(request(port, "GET", DEVICES, &[("te", "trailers")], b""));
    assert!(!response.contains("stolen"), "{response}");
    assert_eq!(Reply::read(&response).body, "fine");
}

/// A script that was written for the API itself logs in: through the proxy, that would be a login
/// each time.
#[test]
fn logins_and_logouts_are_rejected() {
    let (scene, proxy) = open();
    let form = b"username=a&password=b";
    for path in [
        "/connect/services/login?useAuthToken=true",
        "/connect/services/login/",
        "/connect/x/..//services/%6cogin;x=1",
        "/connect/services/logout",
    ] {
        let reply = proxy.call("POST", path, &[], form);
        assert_rejected(&scene, &reply, 403, "login_not_allowed");
    }
}
