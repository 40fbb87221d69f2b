//! A newcomer's HTTP stack: HTTP/1.0 over a `TcpStream`, without TLS.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ctc_driver::ctc_core::{Endpoint, FormBody};
use ctc_driver::{CallOptions, Driver, SessionConfig, Transport};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use http::{Request, Response};

struct Tcp;

impl Transport for Tcp {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = io::Error;

    fn send(&self, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        exchange(&request, None)
    }

    fn send_login(&self, request: Request<FormBody>, timeout: Duration) -> io::Result<Response<()>> {
        Ok(exchange(&request, Some(timeout))?.map(drop))
    }
}

fn exchange(request: &Request<impl AsRef<[u8]>>, timeout: Option<Duration>) -> io::Result<Response<Vec<u8>>> {
    let (uri, body) = (request.uri(), request.body().as_ref());
    let address = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(timeout)?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = format!("{} {target} HTTP/1.0\r\ncontent-length: {}\r\n", request.method(), body.len());
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().map_err(io::Error::other)?);
    }
    stream.write_all(&[head.as_bytes(), b"\r\n", body].concat())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut response = Response::builder().status(head.get(9..12).unwrap_or_default());
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    response.body(body.into()).map_err(io::Error::other)
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?; // in place of the real one
    let endpoint = Endpoint::danger_plain_http(&server.url())?;
    let session = SessionConfig::new().endpoint(endpoint).app_key(DEFAULT_APP_KEY);
    let session = session.credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD).build()?;
    let request = Request::get("/connect/services/devices?pgsize=1").body(Vec::new())?;
    let answer = Driver::new(session, Tcp, None).execute(request, &CallOptions::new())?;
    println!("{}: {}", answer.status(), String::from_utf8_lossy(answer.body()));
    Ok(())
}
