//! Which requests the proxy accepts, and what it removes from messages in both directions.
//!
//! Its callers are the programs of one user. Web pages in that user's browser can send requests to
//! loopback too, by a name of their own (DNS rebinding) or across origins: the proxy rejects these.

use std::net::IpAddr;

use ctc_tower::Endpoint;
use http::header::{ALT_SVC, CONNECTION, HOST, LOCATION, ORIGIN, SET_COOKIE, UPGRADE, VIA};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use super::path::is_read_as;
use super::reply::{Reason, Reply};
use super::token::{self, LocalToken};
use crate::secrets::sets_token;

/// The path of the vendor's login.
const LOGIN_PATH: &str = "/connect/services/login";
const FETCH_SITE: &str = "sec-fetch-site";
/// The name of the proxy in `Via`.
const VIA_US: HeaderValue = HeaderValue::from_static("1.1 ctc-proxy");

/// Headers that belong to one connection, not to the message. `Trailer` is among them, because a
/// trailer could contain a header that is removed here: no trailers are passed on.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Headers of callers that are not for the server.
fn is_callers_own(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization" | "calamp-services-app" | "expect" | token::HEADER
    )
}

/// Headers that only browsers send.
fn is_browsers_own(name: &HeaderName) -> bool {
    matches!(name.as_str(), "origin" | FETCH_SITE)
}

/// Headers of responses that are removed or changed for the caller.
fn is_servers_own(name: &HeaderName) -> bool {
    matches!(name.as_str(), "alt-svc" | "set-cookie" | "location")
}

/// The rules for requests and responses.
#[derive(Debug)]
pub(super) struct Door {
    /// The port in the proxy's own URL; `None` for a socket, which has no port.
    port: Option<u16>,
    /// The `Host` headers of most requests.
    usual_hosts: [String; 2],
    token: Option<LocalToken>,
    /// Without a trailing slash.
    logout_path: String,
    endpoint: Endpoint,
}

impl Door {
    pub(super) fn new(
        port: Option<u16>,
        token: Option<LocalToken>,
        logout_path: &str,
        endpoint: Endpoint,
    ) -> Self {
        let suffix = port.map_or_else(String::new, |port| format!(":{port}"));
        Self {
            port,
            usual_hosts: ["127.0.0.1", "localhost"].map(|name| format!("{name}{suffix}")),
            token,
            logout_path: logout_path.trim_end_matches('/').to_owned(),
            endpoint,
        }
    }

    /// Accepts a request, and removes what is not for the server: the caller's own credentials and
    /// the headers of its connection. The session later replaces the `authToken` cookie and adds
    /// the key; other cookies stay.
    ///
    /// # Errors
    /// Returns the response to a request that is not accepted.
    pub(super) fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Reply> {
        self.check(request)?;
        let headers = request.headers_mut();
        // Most requests have none of these. One pass over their few names costs less than looking
        // up each of these.
        let is_ours = |name| is_hop_by_hop(name) || is_callers_own(name) || is_browsers_own(name);
        if headers.keys().any(is_ours) {
            check_browser(headers)?;
            check_upgrade(headers)?;
            strip_hop_by_hop(headers);
            remove_all(is_callers_own, headers);
        }
        headers.append(VIA, VIA_US);
        Ok(())
    }

    fn check<B>(&self, request: &Request<B>) -> Result<(), Reply> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        if *method == Method::CONNECT || *method == Method::TRACE {
            let why = format!("the proxy does not support {method}: use another method");
            return Err(Reply::new(Reason::MethodNotAllowed, why));
        }
        self.check_host(uri, headers)?;
        let path = uri.path();
        // The server may read `//host` or `/\host` as another host.
        if !path.starts_with('/') || path.starts_with("//") || path.starts_with("/\\") {
            let why = "the target is not an absolute path: start it with one '/'";
            return Err(Reply::new(Reason::BadTarget, why));
        }
        if let Some(token) = &self.token {
            token.check(headers)?;
        }
        if is_read_as(path, LOGIN_PATH) || is_read_as(path, &self.logout_path) {
            let why = "the proxy logs in and out for its callers: make the call itself, without a \
                       login";
            return Err(Reply::new(Reason::LoginNotAllowed, why));
        }
        Ok(())
    }

    /// Checks that `Host` and URL both name this proxy.
    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Reply> {
        let refused = |why: &str| Err(Reply::new(Reason::ForeignHost, why));
        let mut hosts = headers.get_all(HOST).iter();
        let (host, more) = (hosts.next(), hosts.next());
        if more.is_some() || (host.is_none() && uri.authority().is_none()) {
            return refused("the request has no Host header, or more than one: send one");
        }
        let is_ours_by_name = |host: &HeaderValue| {
            self.usual_hosts.iter().any(|usual| host == usual)
                || Authority::try_from(host.as_bytes()).is_ok_and(|host| self.is_ours(&host))
        };
        let is_ours = host.is_none_or(is_ours_by_name)
            && uri.authority().is_none_or(|host| self.is_ours(host))
            && uri.scheme().is_none_or(|scheme| *scheme == Scheme::HTTP);
        if is_ours {
            return Ok(());
        }
        match self.port {
            Some(port) => refused(&format!(
                "the request is for another host: use http://127.0.0.1:{port}, or localhost"
            )),
            None => refused("the request is for another host: use http://localhost"),
        }
    }

    /// Whether this is `localhost` or a loopback address, which DNS cannot rebind, with the proxy's
    /// port.
    fn is_ours(&self, host: &Authority) -> bool {
        let name = host.host();
        let address = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        let is_loopback = address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback());
        // Compare the whole text, so that a username or an invalid port does not match.
        let port = match host.as_str().strip_prefix(name) {
            Some("") => Some(80),
            Some(port) => port.strip_prefix(':').and_then(|port| port.parse().ok()),
            None => return false,
        };
        (is_loopback || name.eq_ignore_ascii_case("localhost"))
            && port.is_some()
            && self.port.is_none_or(|ours| port == Some(ours))
    }

    /// Returns whether the endpoint is this proxy.
    pub(super) fn leads_to_itself(&self) -> bool {
        let origin = self.endpoint.origin().strip_prefix("http://");
        let authority = origin.and_then(|host| Authority::try_from(host).ok());
        self.port.is_some() && authority.is_some_and(|host| self.is_ours(&host))
    }

    /// Removes from a response the token and the headers of the server's connection. A `Location`
    /// on the server becomes one on the proxy.
    pub(super) fn strip_response(&self, headers: &mut HeaderMap) {
        let is_ours = |name| is_hop_by_hop(name) || is_servers_own(name);
        if !headers.keys().any(is_ours) {
            return;
        }
        strip_hop_by_hop(headers);
        headers.remove(ALT_SVC);
        let is_token = |value: &HeaderValue| sets_token(value.as_bytes());
        if headers.get_all(SET_COOKIE).iter().any(is_token) {
            let others: Vec<_> = headers
                .get_all(SET_COOKIE)
                .iter()
                .filter(|value| !is_token(value))
                .cloned()
                .collect();
            headers.remove(SET_COOKIE);
            for cookie in others {
                headers.append(SET_COOKIE, cookie);
            }
        }
        if let Some(path) = self.path_of(headers.get(LOCATION)) {
            headers.insert(LOCATION, path);
        }
    }

    /// Returns the path of a `Location` on the server itself.
    fn path_of(&self, location: Option<&HeaderValue>) -> Option<HeaderValue> {
        let text = location?.to_str().ok()?;
        let uri = Uri::try_from(text).ok()?;
        if !self.endpoint.is_origin_of((&uri).into()) {
            return None;
        }
        let fragment = text.split_once('#').map_or("", |(_, fragment)| fragment);
        let path = uri.path_and_query()?.as_str();
        if path.starts_with("//") {
            return None; // without the origin, it would name a host
        }
        let path = match fragment {
            "" => path.to_owned(),
            fragment => format!("{path}#{fragment}"),
        };
        HeaderValue::try_from(path).ok()
    }
}

/// Rejects requests of web pages: only browsers say where a request comes from.
fn check_browser(headers: &HeaderMap) -> Result<(), Reply> {
    let is_elsewhere = |value: &HeaderValue| {
        !["none", "same-origin"].contains(&value.to_str().unwrap_or_default())
    };
    if headers.contains_key(ORIGIN) || headers.get_all(FETCH_SITE).iter().any(is_elsewhere) {
        let why = "the request comes from a web page: the proxy serves programs only";
        return Err(Reply::new(Reason::ForeignOrigin, why));
    }
    Ok(())
}

/// Rejects other protocols. Ignores h2c, as RFC 9110 allows: some clients offer it with each first
/// request.
fn check_upgrade(headers: &HeaderMap) -> Result<(), Reply> {
    let is_other_protocol = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"h2c");
    if headers.get_all(UPGRADE).iter().any(is_other_protocol) {
        let why = "the proxy does not switch protocols: make the request without Upgrade";
        return Err(Reply::new(Reason::UpgradeNotAllowed, why));
    }
    Ok(())
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    remove_all(is_hop_by_hop, headers);
}

fn remove_all(which: fn(&HeaderName) -> bool, headers: &mut HeaderMap) {
    let names: Vec<_> = headers.keys().filter(|name| which(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(port: Option<u16>) -> Door {
        Door::new(port, None, "/connect/services/logout", Endpoint::us())
    }

    fn reason(door: &Door, request: http::request::Builder) -> Option<Reason> {
        let mut request = request.body(()).unwrap();
        door.admit(&mut request).err().map(|reply| reply.reason)
    }

    fn host(door: &Door, host: &str) -> Option<Reason> {
        reason(door, Request::get("/connect/x").header(HOST, host))
    }

    #[test]
    fn only_loopback_names_with_the_proxys_port_are_its_own() {
        let tcp = door(Some(8321));
        for ours in [
            "127.0.0.1:8321",
            "127.9.9.9:8321",
            "LocalHost:8321",
            "[::1]:8321",
        ] {
            assert_eq!(host(&tcp, ours), None, "{ours}");
        }
        let foreign = [
            "",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1:08321x",
            "localhost",
            "localhost.:8321",
            "localhost.evil.example:8321",
            "evil.example:8321",
            "127.0.0.1.evil.example:8321",
            "me@127.0.0.1:8321",
            "127.0.0.1:8321@evil.example",
            "0x7f000001:8321",
            "2130706433:8321",
            "0177.0.0.1:8321",
            "127.1:8321",
            "0.0.0.0:8321",
            "[::ffff:10.0.0.1]:8321",
            "10.0.0.1:8321",
        ];
        for foreign in foreign {
            assert_eq!(host(&tcp, foreign), Some(Reason::ForeignHost), "{foreign}");
        }
        assert_eq!(host(&door(Some(80)), "localhost"), None);
        let socket = door(None);
        assert_eq!(host(&socket, "localhost"), None);
        assert_eq!(host(&socket, "evil.example"), Some(Reason::ForeignHost));
    }

    #[test]
    fn host_and_url_must_both_name_the_proxy() {
        let tcp = door(Some(8321));
        let ours = "127.0.0.1:8321";
        let foreign = Some(Reason::ForeignHost);
        let absolute = |uri: &str| Request::get(uri.to_owned());
        assert_eq!(reason(&tcp, Request::get("/x")), foreign);
        assert_eq!(reason(&tcp, absolute("http://127.0.0.1:8321/x")), None);
        assert_eq!(reason(&tcp, absolute("https://127.0.0.1:8321/x")), foreign);
        assert_eq!(
            reason(&tcp, absolute("http://evil.example/x").header(HOST, ours)),
            foreign
        );
        let two = Request::get("/x").header(HOST, ours).header(HOST, ours);
        assert_eq!(reason(&tcp, two), foreign);
    }

    #[test]
    fn a_connection_header_removes_what_it_names_and_nothing_of_the_sessions() {
        let mut request = Request::get("/x").body(()).unwrap();
        for (name, value) in [
            ("host", "localhost"),
            ("connection", "keep-alive, X-Secret-Hop , cookie"),
            ("connection", "x-other"),
            ("x-secret-hop", "1"),
            ("x-other", "1"),
            ("x-kept", "1"),
            ("cookie", "theme=dark"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQ"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("authorization", "Bearer mine"),
            ("calamp-services-app", "mine"),
            ("expect", "100-continue"),
        ] {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(name, value);
        }
        assert!(door(None).admit(&mut request).is_ok());
        let left: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["host", "x-kept", "via"]);
    }

    #[test]
    fn a_response_loses_the_token_in_any_spelling_and_keeps_other_cookies() {
        let mut headers = HeaderMap::new();
        for cookie in [
            "authToken=x; Path=/",
            " AUTHTOKEN =x",
            "authToken",
            "a=b; authToken=c",
            // Two that a gateway folded into one line.
            "lb=1; Expires=Wed, 15-Jan-2031 12:00:00 GMT; Path=/, authToken=x; Path=/",
            "lb=1,authToken=x",
        ] {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        headers.append("set-cookie2", HeaderValue::from_static("kept=1"));
        door(None).strip_response(&mut headers);
        let left: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["a=b; authToken=c"]);
    }

    #[test]
    fn a_location_on_the_server_becomes_one_on_the_proxy() {
        let door = door(None);
        let moved = |location: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            door.strip_response(&mut headers);
            headers[LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(moved("https://connect.calamp.com/a?b=c#d"), "/a?b=c#d");
        assert_eq!(moved("https://CONNECT.calamp.com:443/a"), "/a");
        for left in [
            "/a",
            "https://elsewhere.example/a",
            "http://connect.calamp.com/a",
            "https://connect.calamp.com//elsewhere.example/a",
        ] {
            assert_eq!(moved(left), left);
        }
    }
}
