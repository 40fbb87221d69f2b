//! The endpoint: the one origin that key and token never leave.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::HOST;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Uri};

/// The vendor's host for accounts in the US instance.
const US: &str = "connect.calamp.com";
/// The vendor's host for accounts in the EU instance.
const EU: &str = "connect.calamp.co.uk";
/// The hosts of the vendor's token endpoints for the same instances.
const US_ACCOUNTS: &str = "accounts.calamp.com";
const EU_ACCOUNTS: &str = "accounts.calamp.co.uk";
/// The vendor's login page says that it works only inside the developer portal.
const PORTAL_ONLY: &str = "x-loginapi.developer.calamp.com";

/// The origin (scheme, host, port) of one CTC instance.
///
/// An account lives in exactly one instance, so there is no default.
///
/// ```
/// use ctc_core::Endpoint;
///
/// assert_eq!(Endpoint::us().origin(), "https://connect.calamp.com");
/// let proxy = Endpoint::new("https://ctc-proxy.example:8443")?;
/// assert_eq!(proxy.join("/connect/services/devices?pg=1")?.path(), "/connect/services/devices");
/// assert!(proxy.join("https://elsewhere.example/").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    origin: String,
    scheme: Scheme,
    host: String,
    port: u16,
    /// Host and port, as in `origin`.
    authority: Authority,
}

impl Endpoint {
    /// Returns the US instance, `https://connect.calamp.com` (named on the vendor's login page).
    pub fn us() -> Self {
        Self::from_parts(Scheme::Https, US, None, Authority::from_static(US))
    }

    /// Returns the EU instance, `https://connect.calamp.co.uk` (named on the vendor's login page).
    pub fn eu() -> Self {
        Self::from_parts(Scheme::Https, EU, None, Authority::from_static(EU))
    }

    /// Creates an endpoint for any other `https` origin, such as your own proxy.
    ///
    /// # Errors
    /// Returns [`EndpointError`] if the text is not `https://host[:port]`, spells the host in a way
    /// that HTTP clients read differently, or names the host that works only inside the vendor's
    /// developer portal.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        let endpoint = Self::parse(url)?;
        match endpoint.scheme {
            Scheme::Https => Ok(endpoint),
            Scheme::Http => Err(EndpointError::PlainHttp),
        }
    }

    /// Creates an endpoint for a server on this machine without TLS, for tests and local servers
    /// only.
    ///
    /// Password, key and token are sent in the clear, so only loopback hosts are accepted
    /// (`localhost`, `127.0.0.0/8`, `[::1]`).
    ///
    /// # Errors
    /// Returns [`EndpointError`] if the text is not `http://host[:port]` or `https://host[:port]`,
    /// or if an `http` host is not loopback.
    pub fn danger_plain_http(url: &str) -> Result<Self, EndpointError> {
        let endpoint = Self::parse(url)?;
        if endpoint.scheme == Scheme::Http && !is_loopback(&endpoint.host) {
            return Err(EndpointError::NotLoopback);
        }
        Ok(endpoint)
    }

    /// Returns scheme, host and port as text, without a trailing slash.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns whether it is a server on this machine without TLS. Requests to it must not go
    /// through a proxy.
    pub fn is_plain_http(&self) -> bool {
        self.scheme == Scheme::Http
    }

    /// Returns whether `target` is on this origin. Host names are compared ignoring case, IPv6
    /// addresses by value; a missing port is the scheme's default. An authority with a username is
    /// never on this origin.
    #[inline]
    pub fn is_origin_of(&self, target: Target<'_>) -> bool {
        is_same(target.scheme, self.scheme.as_str())
            && match target.place {
                Place::Authority(authority) => self.is_authority(authority),
                Place::Parts(parts) => self.is_place(&parts),
            }
    }

    #[inline]
    fn is_authority(&self, authority: &Authority) -> bool {
        // By far the most are written as the endpoint is; taking host and port apart costs ten
        // times more.
        authority.as_str() == self.authority.as_str()
            || (!names_user(authority) && self.is_place(&Parts::of(authority)))
    }

    /// Whether the one `Host` header is this endpoint's.
    pub(crate) fn is_named_by(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        let authority = Authority::try_from(host.as_bytes());
        authority.is_ok_and(|authority| self.is_authority(&authority))
    }

    fn is_place(&self, parts: &Parts<'_>) -> bool {
        let port = parts.port.unwrap_or(self.scheme.default_port());
        port == self.port
            && (is_same(parts.host, &self.host) || is_same_address(parts.host, &self.host))
    }

    /// Returns the full URI of `path`, which is a path from the root (`/connect/…`, with or without
    /// a query) or an absolute URL on this origin.
    ///
    /// # Errors
    /// Returns [`JoinError`] if `path` is an absolute URL on another origin, is neither a path nor
    /// a URL, or is not a valid URI.
    pub fn join(&self, path: &str) -> Result<Uri, JoinError> {
        if path.starts_with('/') && !path.starts_with("//") {
            let path = PathAndQuery::try_from(path).map_err(|_| JoinError::Invalid)?;
            return Ok(self.uri(path));
        }
        if !path.contains("://") {
            return Err(JoinError::NotAPath);
        }
        let uri = Uri::try_from(path).map_err(|_| JoinError::Invalid)?;
        if uri.scheme().is_none() {
            return Err(JoinError::NotAPath);
        }
        if !self.is_origin_of(Target::from(&uri)) {
            return Err(JoinError::ForeignOrigin {
                endpoint: self.origin.clone(),
            });
        }
        Ok(uri)
    }

    /// Returns `uri` on this origin if it is only a path with its query, as a server receives it,
    /// and any other URI unchanged.
    pub fn complete(&self, uri: Uri) -> Uri {
        if uri.scheme().is_some() || !uri.path().starts_with('/') {
            return uri;
        }
        uri.path_and_query()
            .map_or_else(Uri::default, |path| self.uri(path.clone()))
    }

    /// Returns the vendor's instance that the host belongs to, if any.
    pub(crate) fn region(&self) -> Option<Region> {
        match self.host.trim_end_matches('.') {
            US | US_ACCOUNTS => Some(Region::Us),
            EU | EU_ACCOUNTS => Some(Region::Eu),
            _ => None,
        }
    }

    /// Built from its parts: parsing the origin again for each call would be slow.
    pub(crate) fn uri(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(match self.scheme {
            Scheme::Https => http::uri::Scheme::HTTPS,
            Scheme::Http => http::uri::Scheme::HTTP,
        });
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).expect("all three parts are there")
    }

    fn parse(url: &str) -> Result<Self, EndpointError> {
        let uri = Uri::try_from(url).map_err(|_| EndpointError::NotAUrl)?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(EndpointError::NotAUrl),
        };
        let authority = uri.authority().ok_or(EndpointError::NotAUrl)?;
        if names_user(authority) {
            return Err(EndpointError::CredentialsInUrl);
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || url.contains('#') {
            return Err(EndpointError::NotAnOrigin);
        }
        if authority.host().is_empty() || has_odd_port(authority) {
            return Err(EndpointError::NotAUrl);
        }
        let host = canonical(authority.host()).ok_or(EndpointError::UnusualHost)?;
        if host.trim_end_matches('.') == PORTAL_ONLY {
            return Err(EndpointError::PortalOnly);
        }
        let port = authority
            .port_u16()
            .filter(|&port| port != scheme.default_port());
        let place = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let place = Authority::try_from(place).map_err(|_| EndpointError::NotAUrl)?;
        Ok(Self::from_parts(scheme, &host, port, place))
    }

    fn from_parts(scheme: Scheme, host: &str, port: Option<u16>, authority: Authority) -> Self {
        let port = port.unwrap_or(scheme.default_port());
        let origin = format!("{}://{authority}", scheme.as_str());
        Self {
            origin,
            scheme,
            host: host.to_owned(),
            port,
            authority,
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.origin)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

/// Most are written the same.
#[inline]
fn is_same(text: &str, other: &str) -> bool {
    text == other || text.eq_ignore_ascii_case(other)
}

/// The target of a request, which an [`Endpoint`] compares with its own origin.
///
/// HTTP clients use different types for it; `http::Uri` converts, for others use [`Target::new`].
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    scheme: &'a str,
    place: Place<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    /// Not parsed yet.
    Authority(&'a Authority),
    Parts(Parts<'a>),
}

#[derive(Clone, Copy, Debug)]
struct Parts<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Parts<'a> {
    /// An invalid port removes the host too, so that no endpoint matches.
    fn of(authority: &'a Authority) -> Self {
        if has_odd_port(authority) {
            return Self {
                host: "",
                port: None,
            };
        }
        Self {
            host: authority.host(),
            port: authority.port_u16(),
        }
    }
}

impl<'a> Target<'a> {
    /// Creates a target. `scheme` is `http` or `https`, `host` a name or address (IPv6 in
    /// brackets), and `port` the one in the URL, if any.
    #[inline]
    pub fn new(scheme: &'a str, host: &'a str, port: Option<u16>) -> Self {
        Self {
            scheme,
            place: Place::Parts(Parts { host, port }),
        }
    }
}

impl<'a> From<&'a Uri> for Target<'a> {
    #[inline]
    fn from(uri: &'a Uri) -> Self {
        let nowhere = Place::Parts(Parts {
            host: "",
            port: None,
        });
        let place = uri.authority().map_or(nowhere, Place::Authority);
        Self {
            scheme: uri.scheme_str().unwrap_or_default(),
            place,
        }
    }
}

/// Why a text is not a valid [`Endpoint`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It does not have the form `https://host[:port]`.
    #[error(
        "the CTC endpoint is not a URL: give it as https://host, or use Endpoint::us() or \
         Endpoint::eu()"
    )]
    NotAUrl,
    /// The host has a spelling that HTTP clients read differently: some would send calls to
    /// another origin.
    #[error(
        "the host of the CTC endpoint has a spelling that HTTP clients read differently: \
         use a plain host name, an IPv4 address of four decimal numbers, or an IPv6 address"
    )]
    UnusualHost,
    /// It has a path, query or fragment.
    #[error(
        "the CTC endpoint must be scheme and host only (https://host[:port]): pass the path with \
         each call"
    )]
    NotAnOrigin,
    /// The URL contains a username or password.
    #[error("the CTC endpoint must not contain a username or password: pass them as Credentials")]
    CredentialsInUrl,
    /// The scheme is `http`, but `https` is required.
    #[error(
        "the CTC endpoint must be https: password, key and token would travel in the clear \
         (for a server on this machine, use Endpoint::danger_plain_http)"
    )]
    PlainHttp,
    /// The scheme is `http` and the host is not on this machine.
    #[error("plain http is for loopback hosts only (localhost, 127.0.0.0/8, [::1]): use https")]
    NotLoopback,
    /// The host that the vendor reserves for its developer portal.
    #[error(
        "x-loginapi.developer.calamp.com works only inside the vendor's developer portal: \
         use Endpoint::us() (https://connect.calamp.com) or \
         Endpoint::eu() (https://connect.calamp.co.uk)"
    )]
    PortalOnly,
}

crate::__readable_debug!(EndpointError);

/// Why a path could not be joined to an [`Endpoint`]. The error does not repeat the path, because
/// its query may be private.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// An absolute URL on another origin.
    #[error(
        "this URL is not on {endpoint}: the key and token never leave that origin, so the call was \
         not made"
    )]
    ForeignOrigin {
        /// The origin that the session is bound to.
        endpoint: String,
    },
    /// Neither a path from the root nor an absolute URL.
    #[error("a call needs a path that begins with one '/', such as /connect/services/devices")]
    NotAPath,
    /// Not a valid URI, for example because of a space or umlaut that is not percent-encoded.
    #[error("this path is not a valid URI: percent-encode all characters that are not plain ASCII")]
    Invalid,
}

crate::__readable_debug!(JoinError);

/// One of the vendor's two instances.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    Us,
    Eu,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Scheme {
    Https,
    Http,
}

impl Scheme {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// Whether the port is invalid, such as 99999: `http` reads it as a missing port.
fn has_odd_port(authority: &Authority) -> bool {
    let (text, host) = (authority.as_str(), authority.host());
    if text.len() == host.len() {
        return false; // by far the most
    }
    let port = text
        .rsplit('@')
        .next()
        .and_then(|rest| rest.get(host.len()..))
        .unwrap_or_default();
    !matches!(port, "" | ":") && authority.port_u16().is_none()
}

fn names_user(authority: &Authority) -> bool {
    authority.as_str().contains('@')
}

/// The one spelling of a host that `http` and the URL standard agree on: a client that follows the
/// latter writes `[0:0:0:0:0:0:0:1]` and `127.1` in its own way. `None` if there is no such
/// spelling.
fn canonical(host: &str) -> Option<String> {
    let host = host.to_ascii_lowercase();
    if host.starts_with('[') {
        return ipv6(&host).map(|address| format!("[{address}]"));
    }
    let name = host.strip_suffix('.').unwrap_or(&host);
    let is_plain = |label: &str| {
        let mut bytes = label.bytes();
        !label.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if !name.split('.').all(is_plain) {
        return None;
    }
    // The URL standard takes a host whose last label is a number for an IPv4 address.
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return None;
    }
    Some(host)
}

fn is_same_address(host: &str, other: &str) -> bool {
    host.starts_with('[') && ipv6(host).is_some_and(|address| ipv6(other) == Some(address))
}

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    let inside = host.strip_prefix('[')?.strip_suffix(']')?;
    inside.parse().ok()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wrong offset would only cost time, or match the end of a host.
    #[test]
    fn the_authority_is_what_stands_behind_the_scheme() {
        let authority = |endpoint: &Endpoint| endpoint.authority.to_string();
        assert_eq!(authority(&Endpoint::us()), "connect.calamp.com");
        assert_eq!(
            authority(&Endpoint::new("https://x.example:8443").unwrap()),
            "x.example:8443"
        );
        assert_eq!(
            authority(&Endpoint::danger_plain_http("http://[::1]:80").unwrap()),
            "[::1]"
        );
    }
}
