//! A newcomer's HTTP stack: HTTP/1.0 over a `TcpStream`, without TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use ctc_driver::{Caller, Driver, LoginRequest, LoginResponse, RequestTimeout};
use ctc_driver::{SessionConfig, Transport};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use http::{Request, Response};

pub(crate) struct Tcp;
impl Transport for Tcp {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = io::Error; // `ConnectionRefused` tells the driver that nothing was sent
    fn send(&self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        let time = request.extensions().get();
        let time = time.map_or(Duration::from_secs(300), |RequestTimeout(time)| *time);
        exchange(&request, Instant::now() + time, usize::MAX)
    }
    fn send_login(&self, login: LoginRequest) -> io::Result<LoginResponse> {
        let end = Instant::now() + login.timeout;
        Ok(exchange(&login.request, end, login.body_limit)?.into())
    }
}

fn exchange<B: AsRef<[u8]>>(
    request: &Request<B>,
    end: Instant,
    limit: usize,
) -> io::Result<Response<Vec<u8>>> {
    let left = || (end.checked_duration_since(Instant::now())).ok_or(ErrorKind::TimedOut);
    let host = request.uri().authority().map_or("", |host| host.as_str());
    let address = (host.to_socket_addrs()?.next()).ok_or(ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    let line = format!("{} {} HTTP/1.0\r\n", request.method(), request.uri());
    let mut sent = format!("{line}host: {host}\r\n").into_bytes();
    for (name, value) in request.headers() {
        sent.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = request.body().as_ref();
    write!(sent, "content-length: {}\r\n\r\n", body.len())?;
    sent.extend(body);
    (stream.set_write_timeout(Some(left()?))).and_then(|()| stream.write_all(&sent))?;
    let (mut text, mut part, mut head) = (Vec::new(), [0; 8192], None);
    while head.is_none_or(|head| text.len() < limit.saturating_add(head)) {
        let seen = text.len().saturating_sub(3);
        match (stream.set_read_timeout(Some(left()?))).and_then(|()| stream.read(&mut part))? {
            0 => break,
            read => text.extend(&part[..read]),
        }
        let mut ends = text[seen..].windows(4);
        head = head.or(ends
            .position(|end| end == b"\r\n\r\n")
            .map(|at| seen + at + 4));
    }
    let body = text.split_off(head.ok_or(ErrorKind::UnexpectedEof)?);
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let mut response = Response::builder().status(text.get(9..12).unwrap_or_default());
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    let length = response
        .headers_ref()
        .and_then(|all| all.get("content-length"));
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if request.method() != "HEAD" && body.len() < length.unwrap_or(0).min(limit) {
        return Err(ErrorKind::UnexpectedEof.into()); // the connection broke off
    }
    response.body(body).map_err(io::Error::other)
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?; // in place of the real one
    let endpoint = ctc_driver::ctc_core::Endpoint::danger_plain_http(&server.url())?;
    let config = SessionConfig::new().endpoint(endpoint);
    let config = config.credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    let driver = Driver::new(config.app_key(DEFAULT_APP_KEY).build()?, Tcp, None);
    let response = driver.fetch(Request::get("/connect/services/devices").body(vec![])?)?;
    Ok(io::stdout().write_all(response.body())?)
}
