//! A newcomer's HTTP stack: HTTP/1.0 over a `TcpStream`, without TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use ctc_driver::{Caller, Driver, LoginRequest, LoginResponse, SessionConfig, Transport};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use http::{Request, Response};

pub(crate) struct Tcp;
impl Transport for Tcp {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = io::Error; // of which `ConnectionRefused` tells the driver: nothing was sent
    fn send(&self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        exchange(&request, Instant::now() + Duration::from_secs(300))
    }
    fn send_login(&self, login: LoginRequest) -> io::Result<LoginResponse> {
        Ok(exchange(&login.request, Instant::now() + login.timeout)?.into())
    }
}

fn exchange<B: AsRef<[u8]>>(request: &Request<B>, end: Instant) -> io::Result<Response<Vec<u8>>> {
    let left = || (end.checked_duration_since(Instant::now())).ok_or(ErrorKind::TimedOut);
    let host = request.uri().authority().map_or("", |host| host.as_str());
    let address = (host.to_socket_addrs()?.next()).ok_or(ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    let mut sent = format!("{} {} HTTP/1.0\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        sent.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = request.body().as_ref();
    write!(sent, "content-length: {}\r\n\r\n", body.len())?;
    sent.extend(body);
    (stream.set_write_timeout(Some(left()?))).and_then(|()| stream.write_all(&sent))?;
    let (mut text, mut part, mut read) = (Vec::new(), [0; 8192], 1);
    while read > 0 {
        read = (stream.set_read_timeout(Some(left()?))).and_then(|()| stream.read(&mut part))?;
        text.extend(&part[..read]);
    }
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let mut response = Response::builder().status(head.get(9..12).unwrap_or_default());
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    response.body(body.into()).map_err(io::Error::other)
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
