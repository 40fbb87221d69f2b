//! HTTP/1.1 on bare sockets, as far as the test server needs it.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ctc_testkit::conformance::Payload;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::PlainError;

/// The longest head of a response that is read.
const LONGEST_HEAD: u64 = 256 * 1024;

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

struct Connection {
    io: BufReader<Box<dyn Stream>>,
    socket: TcpStream,
}

/// Idle connections, by scheme and authority.
pub(crate) struct Pool {
    idle: Mutex<HashMap<String, Vec<Connection>>>,
    tls: Arc<ClientConfig>,
}

impl Pool {
    pub(crate) fn new(trusted: Option<Vec<u8>>, trusts_all: bool) -> Self {
        let mut roots = RootCertStore::empty();
        if let Some(der) = trusted {
            roots.add(CertificateDer::from(der)).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut tls = config.with_root_certificates(roots).with_no_client_auth();
        if trusts_all {
            tls.dangerous()
                .set_certificate_verifier(Arc::new(TrustsAll));
        }
        Self {
            idle: Mutex::default(),
            tls: Arc::new(tls),
        }
    }

    /// Returns a pool with the same trusted certificates and no connections.
    pub(crate) fn emptied(&self) -> Self {
        Self {
            idle: Mutex::default(),
            tls: Arc::clone(&self.tls),
        }
    }

    pub(crate) fn exchange(
        self: &Arc<Self>,
        head: &Request<()>,
        payload: &Payload,
        until: Option<Instant>,
    ) -> Result<Response<Body>, PlainError> {
        let key = origin(head.uri());
        let kept = self.idle.lock().unwrap().get_mut(&key).and_then(Vec::pop);
        let mut connection = match kept {
            Some(connection) => connection,
            None => self
                .connect(head.uri(), until)
                .map_err(PlainError::Connect)?,
        };
        connection.bound(until).map_err(PlainError::Broken)?;
        write(&mut connection, head, payload).map_err(PlainError::Broken)?;
        let response = read_head(&mut connection, until).map_err(PlainError::Broken)?;
        let length = response
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        let bodiless =
            head.method() == Method::HEAD || [204, 304].contains(&response.status().as_u16());
        let left = if bodiless {
            0
        } else {
            length.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        let mut body = Body {
            connection: Some(connection),
            ahead: Vec::new(),
            left,
            until,
            key,
            pool: Arc::clone(self),
        };
        body.give_back();
        Ok(response.map(|()| body))
    }

    fn connect(&self, uri: &Uri, until: Option<Instant>) -> io::Result<Connection> {
        let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(until.map(remaining))?;
        let mut io: Box<dyn Stream> = Box::new(socket.try_clone()?);
        if uri.scheme_str() == Some("https") {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            let mut session =
                ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
            while session.is_handshaking() {
                session.complete_io(&mut io)?;
            }
            io = Box::new(StreamOwned::new(session, io));
        }
        Ok(Connection {
            io: BufReader::new(io),
            socket,
        })
    }
}

impl Connection {
    /// Sets the remaining time as the timeout of the next read.
    fn bound(&self, until: Option<Instant>) -> io::Result<()> {
        self.socket.set_read_timeout(until.map(remaining))
    }
}

fn remaining(until: Instant) -> Duration {
    until
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1))
}

fn origin(uri: &Uri) -> String {
    format!("{:?}://{:?}", uri.scheme(), uri.authority())
}

fn write(connection: &mut Connection, head: &Request<()>, payload: &Payload) -> io::Result<()> {
    let uri = head.uri();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .unwrap_or_default();
    let mut bytes = format!("{} {target} HTTP/1.1\r\nhost: {host}\r\n", head.method()).into_bytes();
    for (name, value) in head.headers() {
        bytes.extend_from_slice(
            &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat(),
        );
    }
    match payload {
        Payload::Empty => bytes.extend_from_slice(b"\r\n"),
        Payload::Bytes(body) => {
            bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
        }
        Payload::Stream(pieces) => {
            bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            for piece in pieces {
                bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                bytes.extend_from_slice(&[piece.as_slice(), b"\r\n"].concat());
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    let io = connection.io.get_mut();
    io.write_all(&bytes)?;
    io.flush()
}

fn read_head(connection: &mut Connection, until: Option<Instant>) -> io::Result<Response<()>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut response = Response::new(());
    let mut room = LONGEST_HEAD;
    for number in 0.. {
        connection.bound(until)?;
        let mut line = Vec::new();
        room -= (&mut connection.io)
            .take(room)
            .read_until(b'\n', &mut line)? as u64;
        let line = line.strip_suffix(b"\r\n").ok_or_else(invalid)?;
        if number == 0 {
            let status = line
                .strip_prefix(b"HTTP/1.1 ")
                .and_then(|rest| rest.get(..3))
                .ok_or_else(invalid)?;
            *response.status_mut() =
                http::StatusCode::from_bytes(status).map_err(io::Error::other)?;
        } else if line.is_empty() {
            break;
        } else {
            let colon = line
                .iter()
                .position(|byte| *byte == b':')
                .ok_or_else(invalid)?;
            let name = HeaderName::from_bytes(&line[..colon]).map_err(io::Error::other)?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii())
                .map_err(io::Error::other)?;
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

/// A body that was not read yet. Reading it to its end returns its connection to the pool.
pub(crate) struct Body {
    connection: Option<Connection>,
    /// What was already read.
    ahead: Vec<u8>,
    left: u64,
    until: Option<Instant>,
    key: String,
    pool: Arc<Pool>,
}

impl Body {
    /// Reads the whole body into memory.
    pub(crate) fn buffer(&mut self) -> io::Result<()> {
        self.ahead = self.take(usize::MAX)?;
        Ok(())
    }

    /// Reads the body, up to this many bytes.
    pub(crate) fn read(mut self, most: usize) -> io::Result<Vec<u8>> {
        self.take(most)
    }

    fn take(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.ahead);
        while let Some(connection) = &mut self.connection {
            let wanted = (most - all.len()) as u64;
            if wanted == 0 {
                break;
            }
            connection.bound(self.until)?;
            let piece = connection.io.fill_buf()?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let taken = piece
                .len()
                .min(usize::try_from(self.left.min(wanted)).unwrap_or(usize::MAX));
            all.extend_from_slice(&piece[..taken]);
            connection.io.consume(taken);
            self.left -= taken as u64;
            self.give_back();
        }
        Ok(all)
    }

    /// Reads a short body to its end; drops the connection otherwise.
    pub(crate) fn discard(self) {
        if self.left <= 64 * 1024 {
            drop(self.read(usize::MAX));
        }
    }

    /// Reads the body for as long as each read ends within `timeout`.
    pub(crate) fn read_patiently(mut self, timeout: Duration) {
        while let Some(connection) = &mut self.connection {
            if connection.bound(Some(Instant::now() + timeout)).is_err() {
                return;
            }
            let Ok(taken) = connection.io.fill_buf().map(<[u8]>::len) else {
                return;
            };
            if taken == 0 {
                return;
            }
            connection.io.consume(taken);
            self.left = self.left.saturating_sub(taken as u64);
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if self.left == 0
            && let Some(connection) = self.connection.take()
        {
            let mut idle = self.pool.idle.lock().unwrap();
            idle.entry(std::mem::take(&mut self.key))
                .or_default()
                .push(connection);
        }
    }
}

#[derive(Debug)]
struct TrustsAll;

impl ServerCertVerifier for TrustsAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
