//! `/healthz`, `/readyz` and `/metrics`.

use std::net::TcpStream;

use ctc_testkit::{Fault, Matcher, Rule};

use crate::support::{DEVICES, Proxy, Reply, Scene, exchange, request};

fn ask(proxy: &Proxy, method: &str, path: &str) -> Reply {
    let stream = TcpStream::connect(("127.0.0.1", proxy.health_port())).unwrap();
    Reply::read(&exchange(stream, &request(1, method, path, &[], b"")))
}

#[test]
fn health_is_off_unless_asked_for() {
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    assert_eq!(proxy.get(DEVICES).status, 200);
    assert!(!proxy.told().contains("health"), "{}", proxy.told());
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(
            proxy.get(path).status,
            404,
            "it is the server's, which has none"
        );
    }
}

#[test]
fn health_tells_of_the_session_and_shows_no_secret() {
    let scene = Scene::new();
    let proxy = scene.proxy(&["--health", "127.0.0.1:0"]);
    assert_eq!(ask(&proxy, "GET", "/healthz").status, 200);
    assert_eq!(
        ask(&proxy, "GET", "/readyz").status,
        200,
        "the first call logs in"
    );
    assert_eq!(proxy.metric("ctc_session_phase{phase=\"empty\"}"), 1);
    for _ in 0..3 {
        assert_eq!(proxy.get(DEVICES).status, 200);
    }
    assert_eq!(
        proxy.call("GET", DEVICES, &[("origin", "x")], b"").status,
        403
    );
    for (name, value) in [
        ("ctc_calls_total", 3),
        ("ctc_logins_total", 1),
        ("ctc_session_phase{phase=\"open\"}", 1),
        ("ctc_proxy_responses_total{status=\"2xx\"}", 3),
        ("ctc_proxy_errors_total{reason=\"foreign_origin\"}", 1),
    ] {
        assert_eq!(proxy.metric(&format!("{name} ")), value, "{name}");
    }
    assert_eq!(ask(&proxy, "POST", "/metrics").status, 405);
    assert_eq!(
        ask(&proxy, "GET", DEVICES).status,
        404,
        "no calls go through this port"
    );
    let metrics = ask(&proxy, "GET", "/metrics").body;
    let token = scene.server.journal().into_iter().rev().find_map(|entry| {
        let tokens = entry.tokens().first().map(|token| (*token).to_owned());
        tokens.filter(|token| token.len() > 8)
    });
    for secret in [token.unwrap().as_str(), ctc_testkit::DEFAULT_APP_KEY] {
        assert!(!metrics.contains(secret));
    }
    // Each line is a comment, or a name and a number.
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(
            name.starts_with("ctc_") && value.parse::<u64>().is_ok(),
            "{line}"
        );
    }
}

#[test]
fn a_proxy_that_is_denied_logins_is_healthy_but_not_ready() {
    let scene = Scene::new();
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::throttle(46)));
    let proxy = scene.proxy(&["--health", "127.0.0.1:0"]);
    assert_eq!(proxy.get(DEVICES).status, 503);
    let ready = ask(&proxy, "GET", "/readyz");
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (503, "backing off after a failed login\n")
    );
    assert_eq!(ask(&proxy, "GET", "/healthz").status, 200);
}
