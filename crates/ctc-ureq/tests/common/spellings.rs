//! Addresses spelt differently: what is the endpoint's own, and what is foreign, for every stack.

/// An endpoint, the URL of a call, and whether that is on the endpoint.
pub(crate) const SPELLINGS: &[(&str, &str, bool)] = &[
    ("https://host.example", "https://host.example/x", true),
    ("https://host.example", "https://HOST.Example/x", true),
    ("https://host.example", "HTTPS://host.example/x", true),
    ("https://host.example", "https://host.example:443/x", true),
    ("https://HOST.example:443/", "https://host.example/x", true),
    (
        "https://host.example:8443",
        "https://host.example:8443/x",
        true,
    ),
    ("https://host.example", "https://host.example./x", false),
    ("https://host.example.", "https://host.example./x", true),
    ("https://host.example.", "https://host.example/x", false),
    ("https://host.example", "http://host.example/x", false),
    ("https://host.example", "https://host.example:444/x", false),
    ("https://host.example:8443", "https://host.example/x", false),
    ("https://host.example", "https://me@host.example/x", false),
    (
        "https://host.example",
        "https://me:pw@host.example/x",
        false,
    ),
    ("https://host.example", "https://:pw@host.example/x", false),
    (
        "https://host.example",
        "https://host.example@other.example/x",
        false,
    ),
    ("https://[2001:DB8:0:0::1]", "https://[2001:db8::1]/x", true),
    (
        "https://[2001:db8::1]",
        "https://[2001:DB8:0:0:0:0:0:1]:443/x",
        true,
    ),
    ("https://[2001:db8::1]", "https://me@[2001:db8::1]/x", false),
    ("https://127.0.0.1", "https://127.0.0.1:443/x", true),
];

/// A server on `::1`, and its address in full, unless this machine has no IPv6.
#[allow(clippy::print_stderr, reason = "a test that is left out says so")]
pub(crate) fn on_ipv6() -> Option<(ctc_testkit::Server, String)> {
    let address = std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0));
    if std::net::TcpListener::bind(address).is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return None;
    }
    let server = ctc_testkit::Server::builder().bind(address).start();
    let server = server.expect("a server on ::1");
    let url = format!("http://[0:0:0:0:0:0:0:1]:{}", server.port());
    Some((server, url))
}
