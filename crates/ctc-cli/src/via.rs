//! Calls by way of a running `ctc proxy`, which adds key and token.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ctc_ureq::http_client_builder;
use ctc_ureq::ureq::unversioned::resolver::DefaultResolver;
use ctc_ureq::ureq::{self, Agent};
use http::{HeaderName, HeaderValue, Request, Response, Uri};

use crate::exit::{Exit, Failure, chain};
use crate::secrets::Source;
use crate::when::retry_after;

/// The command's name in requests.
pub(crate) const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The header that a proxy with `--token-file` asks for.
const TOKEN: HeaderName = HeaderName::from_static("ctc-proxy-token");
/// The header that marks the proxy's own responses; its value is the reason.
const ERROR: &str = "ctc-error";

/// Where a running proxy is, and the token that it requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Via {
    pub(crate) url: String,
    /// The proxy's token file.
    pub(crate) token: Option<PathBuf>,
}

/// A running proxy.
pub(crate) struct Proxy {
    agent: Agent,
    place: Place,
    token: Option<HeaderValue>,
}

enum Place {
    /// `http://127.0.0.1:PORT`
    Url(Uri),
    #[cfg(unix)]
    Socket(PathBuf),
}

impl Proxy {
    /// Returns the proxy at `http://127.0.0.1:PORT` or `unix:PATH`.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if it is not on this machine, because calls are sent to it
    /// without TLS, or if its token cannot be read.
    pub(crate) fn new(via: &Via) -> Result<Self, Failure> {
        let token = via.token.as_deref().map(read_token).transpose()?;
        let config = http_client_builder()
            .user_agent(USER_AGENT)
            .proxy(None)
            .build();
        #[cfg(unix)]
        if let Some(path) = via.url.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            let connector = socket::SocketConnector(path.clone());
            return Ok(Self {
                agent: Agent::with_parts(config, connector, DefaultResolver::default()),
                place: Place::Socket(path),
                token,
            });
        }
        Ok(Self {
            agent: Agent::new_with_config(config),
            place: Place::Url(local(&via.url)?),
            token,
        })
    }

    /// Checks that the proxy accepts connections.
    ///
    /// # Errors
    /// Returns [`Failure`] (unreachable) if it does not.
    pub(crate) fn knock(&self) -> Result<(), Failure> {
        let knocked = match &self.place {
            Place::Url(url) => {
                let authority = url.authority().map_or("", http::uri::Authority::as_str);
                TcpStream::connect(authority).map(drop)
            }
            #[cfg(unix)]
            Place::Socket(path) => std::os::unix::net::UnixStream::connect(path).map(drop),
        };
        knocked.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let place = match &self.place {
            Place::Url(url) => url.to_string(),
            #[cfg(unix)]
            Place::Socket(path) => path.display().to_string(),
        };
        let why = chain(error);
        let message = format!("cannot reach the proxy at {place}: {why}; is `ctc proxy` running?");
        Failure::new(Exit::Unreachable, message)
    }

    /// Sends a call.
    ///
    /// # Errors
    /// Returns [`Failure`] if there is no response.
    pub(crate) fn send(
        &self,
        request: Request<Option<Vec<u8>>>,
        timeout: Option<Duration>,
    ) -> Result<Response<ureq::Body>, Failure> {
        let (mut parts, body) = request.into_parts();
        if parts.uri.authority().is_some() {
            return Err(Failure::usage(
                "a call through a proxy takes a path, not a URL: /connect/…",
            ));
        }
        let path = parts.uri.path_and_query().cloned();
        let mut target = match &self.place {
            Place::Url(url) => url.clone(),
            #[cfg(unix)]
            Place::Socket(_) => Uri::from_static("http://localhost"),
        }
        .into_parts();
        target.path_and_query = path;
        parts.uri = Uri::from_parts(target).map_err(|error| Failure::of(Exit::Usage, &error))?;
        if let Some(token) = &self.token {
            parts.headers.insert(TOKEN, token.clone());
        }
        let sent = match body {
            Some(body) => self.run(Request::from_parts(parts, body), timeout),
            None => self.run(Request::from_parts(parts, ()), timeout),
        };
        sent.map_err(|error| match was_reached(&error) {
            false => self.unreachable(&error),
            true => {
                let why = chain(&error);
                let message = format!(
                    "the proxy did not respond: {why}; the server may have acted on the call, so \
                     repeat it only if that is safe"
                );
                Failure::new(Exit::Unreachable, message)
            }
        })
    }

    fn run<B: ureq::AsSendBody>(
        &self,
        request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(timeout);
        self.agent.run(request.build())
    }
}

/// Whether the proxy may have had the call, as far as the error shows.
fn was_reached(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::ConnectionFailed
        | ureq::Error::HostNotFound
        | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => false,
        ureq::Error::Io(error) => !matches!(
            error.kind(),
            ErrorKind::ConnectionRefused | ErrorKind::NotFound | ErrorKind::PermissionDenied
        ),
        _ => true,
    }
}

/// What the proxy itself has against a call, and the exit code for it.
pub(crate) fn refusal<B>(response: &Response<B>) -> Option<Failure> {
    let reason = response.headers().get(ERROR)?.to_str().ok()?;
    let exit = match reason {
        "credentials_rejected" => Exit::Rejected,
        "backing_off" | "budget_spent" | "too_many_calls" => Exit::TryLater,
        "logged_out" => Exit::LoggedOut,
        "unreachable" | "connect_timeout" | "no_response" | "response_timeout" => Exit::Unreachable,
        _ => Exit::Error,
    };
    let after = retry_after(response.headers());
    let wait = after.map(|after| format!("; try again in {} s", after.as_secs()));
    let wait = wait.unwrap_or_default();
    Some(Failure {
        retry_after: after,
        ..Failure::new(exit, format!("the proxy responded with {reason}{wait}"))
    })
}

fn read_token(path: &Path) -> Result<HeaderValue, Failure> {
    let token = Source::File(path.to_owned()).read("token of the proxy")?;
    let mut value = HeaderValue::from_str(token.trim_end()).map_err(|_| {
        Failure::usage("the token of the proxy is not a valid header value: check its file")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn local(url: &str) -> Result<Uri, Failure> {
    let uri = url.parse::<Uri>().ok();
    let is_local = |uri: &Uri| {
        let host = uri.host().unwrap_or_default();
        uri.scheme_str() == Some("http")
            && ["127.0.0.1", "[::1]", "localhost"].contains(&host)
            && uri.port().is_some()
            && uri.path() == "/"
    };
    uri.filter(is_local).ok_or_else(|| {
        Failure::usage(format!(
            "{url} is not a local proxy: write http://127.0.0.1:PORT or unix:PATH"
        ))
    })
}

/// ureq over a Unix socket.
#[cfg(unix)]
mod socket {
    use std::fmt;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;

    use ctc_ureq::ureq::Error;
    use ctc_ureq::ureq::unversioned::transport::{
        Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
    };

    #[derive(Debug)]
    pub(super) struct SocketConnector(pub(super) PathBuf);

    impl Connector<()> for SocketConnector {
        type Out = SocketTransport;

        fn connect(
            &self,
            details: &ConnectionDetails<'_>,
            _: Option<()>,
        ) -> Result<Option<SocketTransport>, Error> {
            let config = details.config;
            Ok(Some(SocketTransport {
                stream: UnixStream::connect(&self.0)?,
                buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            }))
        }
    }

    pub(super) struct SocketTransport {
        stream: UnixStream,
        buffers: LazyBuffers,
    }

    impl Transport for SocketTransport {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
            let limit = timeout.not_zero().map(|limit| *limit);
            self.stream.set_write_timeout(limit)?;
            let output = &self.buffers.output()[..amount];
            self.stream
                .write_all(output)
                .map_err(|error| late(error, timeout))
        }

        fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
            let limit = timeout.not_zero().map(|limit| *limit);
            self.stream.set_read_timeout(limit)?;
            let input = self.buffers.input_append_buf();
            let read = self
                .stream
                .read(input)
                .map_err(|error| late(error, timeout))?;
            self.buffers.input_appended(read);
            Ok(read > 0)
        }

        fn is_open(&mut self) -> bool {
            false // this program ends after one call
        }
    }

    fn late(error: std::io::Error, NextTimeout { reason, .. }: NextTimeout) -> Error {
        use std::io::ErrorKind::{TimedOut, WouldBlock};

        match error.kind() {
            TimedOut | WouldBlock => Error::Timeout(reason),
            _ => Error::Io(error),
        }
    }

    impl fmt::Debug for SocketTransport {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("SocketTransport").finish_non_exhaustive()
        }
    }
}
