//! attohttpc: blocking, a connection for each request.

use std::io;

use attohttpc::{ErrorKind, RequestBuilder, body::Bytes};
use ctc_driver::{Caller, Driver, FnTransport, RequestTimeout};
use http::{Request, Response, header::CONTENT_LENGTH};

pub(crate) fn client(url: &str) -> impl Caller + use<> {
    Driver::new(crate::session(url), FnTransport::blocking(send), None)
}

pub(crate) fn send(request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
    exchange(request).map_err(|error| match error.into_kind() {
        // attohttpc's errors do not expose their source, such as a refused connection.
        ErrorKind::Io(error) => error,
        other => attohttpc::Error::from(other).into(),
    })
}

fn exchange(request: Request<Vec<u8>>) -> attohttpc::Result<Response<Vec<u8>>> {
    let (head, body) = request.into_parts();
    let is_head = head.method == "HEAD";
    let mut builder = RequestBuilder::try_new(head.method, head.uri.to_string())?;
    if let Some(RequestTimeout(time)) = head.extensions.get() {
        builder = builder.timeout(*time);
    }
    builder.headers_mut().extend(head.headers);
    let builder = builder.follow_redirects(false).body(Bytes(body));
    let (status, headers, body) = builder.send()?.split();
    let body = body.bytes()?;
    // attohttpc accepts a body that ended early.
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if !is_head && body.len() < length.unwrap_or(0) {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}
