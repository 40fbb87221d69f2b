//! A newcomer's HTTP stack: HTTP/1.0 over a `TcpStream`, without TLS.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use ctc_driver::ctc_core::{Endpoint, FormBody};
use ctc_driver::{CallOptions, Driver, SessionConfig, Transport};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use http::{Request, Response};

pub(crate) struct Tcp;
impl Transport for Tcp {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = io::Error;

    fn send(&self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        exchange(&request, Duration::from_secs(300))
    }

    fn send_login(
        &self,
        request: Request<FormBody>,
        timeout: Duration,
    ) -> io::Result<Response<()>> {
        Ok(exchange(&request, timeout)?.map(drop))
    }
}

fn exchange(
    request: &Request<impl AsRef<[u8]>>,
    timeout: Duration,
) -> io::Result<Response<Vec<u8>>> {
    // For the whole; the stream's own time-outs are for each read.
    let deadline = Instant::now() + timeout;
    let left = || {
        deadline
            .checked_duration_since(Instant::now())
            .ok_or(io::ErrorKind::TimedOut)
    };
    let (uri, body) = (request.uri(), request.body().as_ref());
    let address = uri
        .authority()
        .map_or("", |host| host.as_str())
        .to_socket_addrs()?
        .next();
    let mut stream = TcpStream::connect_timeout(&address.ok_or(io::ErrorKind::NotFound)?, left()?)?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = format!(
        "{} {target} HTTP/1.0\r\ncontent-length: {}\r\n",
        request.method(),
        body.len()
    );
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().map_err(io::Error::other)?);
    }
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(&[head.as_bytes(), b"\r\n", body].concat())?;
    let (mut response, mut part) = (Vec::new(), [0; 8192]);
    while let read @ 1.. = stream
        .set_read_timeout(Some(left()?))
        .and_then(|()| stream.read(&mut part))?
    {
        response.extend(&part[..read]);
    }
    let (head, body) = str::from_utf8(&response)
        .unwrap_or_default()
        .split_once("\r\n\r\n")
        .unwrap_or_default();
    let response = Response::builder().status(head.get(9..12).unwrap_or_default());
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let response = headers.fold(response, |response, (name, value)| {
        response.header(name, value)
    });
    response.body(body.into()).map_err(io::Error::other)
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?; // in place of the real one
    let session = SessionConfig::new().endpoint(Endpoint::danger_plain_http(&server.url())?);
    let session = session
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .build()?;
    let request = Request::get("/connect/services/devices?pgsize=1").body(Vec::new())?;
    let response = Driver::new(session, Tcp, None).execute(request, &CallOptions::new())?;
    writeln!(
        io::stdout(),
        "{}: {}",
        response.status(),
        String::from_utf8_lossy(response.body())
    )?;
    Ok(())
}
