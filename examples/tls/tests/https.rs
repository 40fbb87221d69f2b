//! An `https` call, with the TLS features that this was built with: it trusts the certificates of
//! the operating system, and no others.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use std::process::Command;
use std::sync::Arc;

use ctc_testkit::Server;

const CHILD: &str = "CTC_TEST_URL";

fn install_provider() {
    let _: Result<(), Arc<_>> = rustls::crypto::ring::default_provider().install_default();
}

/// On Linux, a process can have its own certificates of the operating system.
#[cfg(target_os = "linux")]
#[test]
fn certificates_of_the_operating_system_are_trusted() {
    if let Ok(url) = std::env::var(CHILD) {
        install_provider();
        for (adapter, called) in ctc_tls::call(&url) {
            assert_eq!(called, Ok(200), "{adapter}");
        }
        return;
    }
    let server = Server::builder()
        .tls(true)
        .app_key("test-app-key")
        .account("ada@example.com", "s3cret!s3cret!")
        .start()
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), server.certificate_pem().unwrap()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    let test = "certificates_of_the_operating_system_are_trusted";
    let child = child
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, server.url());
    let output = child.env("SSL_CERT_FILE", file.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(server.counts().logins, 2, "{told}");
}

#[test]
fn other_certificates_are_not_trusted() {
    install_provider();
    let server = Server::builder().tls(true).start().unwrap();
    for (adapter, called) in ctc_tls::call(&server.url()) {
        let error = called.unwrap_err();
        assert!(error.contains("could not be reached"), "{adapter}: {error}");
        assert!(
            error.to_lowercase().contains("certificate"),
            "{adapter}: {error}"
        );
    }
    assert_eq!(server.counts().login_requests, 0);
}

#[cfg(all(
    feature = "rustls-no-provider",
    not(any(feature = "rustls", feature = "native-tls"))
))]
#[test]
fn without_a_provider_an_error_says_so() {
    const ALONE: &str = "CTC_TEST_ALONE";
    // The provider belongs to the whole process: another test may have installed one.
    if std::env::var_os(ALONE).is_none() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args(["--exact", "without_a_provider_an_error_says_so"]);
        let output = child.env(ALONE, "1").output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (adapter, called) in ctc_tls::call(&format!("https://{}", listener.local_addr().unwrap())) {
        let error = called.unwrap_err();
        assert!(error.contains("install one before"), "{adapter}: {error}");
    }
}
