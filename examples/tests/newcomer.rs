//! Programs that newcomers wrote from the documentation alone still work, and stay short.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{CallOptions, Driver, SessionConfig};

#[path = "../newcomer/async_app.rs"]
mod async_app;
#[path = "../newcomer/blocking_app.rs"]
mod blocking_app;
#[path = "../newcomer/hyper_app.rs"]
mod hyper_app;
#[path = "../newcomer/own_transport.rs"]
mod own_transport;

#[test]
fn the_async_app_runs() {
    async_app::main().unwrap();
}

#[test]
fn the_blocking_app_runs() {
    blocking_app::main().unwrap();
}

#[test]
fn the_hyper_app_runs() {
    hyper_app::main().unwrap();
}

#[test]
fn the_app_with_its_own_transport_runs() {
    own_transport::main().unwrap();
}

/// HTTP/1.0: each request has its own connection, and bodies are read whole.
mod own_transport_conforms {
    use ctc_testkit::conformance::HttpStack;

    fn stack() -> HttpStack<super::own_transport::Tcp> {
        HttpStack::new(|| super::own_transport::Tcp)
            .keeps_connections(false)
            .streams(false)
    }

    ctc_testkit::conformance_tests!(blocking, stack(), strict);
}

#[test]
fn each_is_short() {
    for (name, text, limit) in [
        ("async_app", include_str!("../newcomer/async_app.rs"), 60),
        (
            "blocking_app",
            include_str!("../newcomer/blocking_app.rs"),
            60,
        ),
        ("hyper_app", include_str!("../newcomer/hyper_app.rs"), 60),
        ("mocks", include_str!("../newcomer/mocks.rs"), 60),
        // This one contains an HTTP client.
        (
            "own_transport",
            include_str!("../newcomer/own_transport.rs"),
            90,
        ),
    ] {
        let lines = text.lines().count();
        assert!(lines < limit, "{name}: {lines} lines");
    }
}

/// Each byte of a slow response restarts the stream's own timeout.
#[test]
fn a_slow_login_ends_in_time_in_the_app_with_its_own_transport() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut stream = server.accept().unwrap().0;
        while stream.write_all(b"H").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let config = SessionConfig::new()
        .endpoint(Endpoint::danger_plain_http(&url).unwrap())
        .app_key("key");
    let mut config = config.credentials("ada", "s3cret!s3cret!");
    config.settings_mut().login_timeout = Duration::from_millis(400);
    let driver = Driver::new(config.build().unwrap(), own_transport::Tcp, None);
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || sender.send(driver.login(&CallOptions::new()).is_err()));
    assert_eq!(
        ended.recv_timeout(Duration::from_secs(20)),
        Ok(true),
        "it waits for as long as the server drips"
    );
}
