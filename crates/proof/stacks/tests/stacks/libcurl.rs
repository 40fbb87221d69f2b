//! curl: blocking, a handle and a connection for each request.

use std::io::Write;

use ctc_driver::ctc_core::SendFailure::{MaybeSent, NotSent};
use ctc_driver::{BoxTransportError, Caller, Driver, FnTransport, RequestTimeout};
use curl::easy::{Easy, List};
use http::{Request, Response};

pub(crate) fn client(url: &str) -> impl Caller + use<> {
    Driver::new(crate::session(url), FnTransport::blocking(send), None)
}

pub(crate) fn send(request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, crate::AnyError> {
    let (parts, form) = request.into_parts();
    let (mut easy, mut lines) = (Easy::new(), List::new());
    for (name, value) in &parts.headers {
        lines.append(&format!("{name}: {}", value.to_str()?))?;
    }
    if !form.is_empty() {
        easy.post_fields_copy(&form)?;
    }
    easy.http_headers(lines)?;
    easy.nobody(parts.method == "HEAD")?;
    easy.custom_request(parts.method.as_str())?;
    easy.url(&parts.uri.to_string())?;
    if let Some(RequestTimeout(time)) = parts.extensions.get() {
        easy.timeout(*time)?;
    }
    let (mut head, mut body) = (Vec::new(), Vec::new());
    let mut transfer = easy.transfer();
    transfer.header_function(|line| head.write_all(line).is_ok())?;
    transfer.write_function(|part| Ok(body.write(part).unwrap_or(0)))?;
    transfer.perform().map_err(failed)?;
    drop(transfer);
    // curl accepts a head that ended early.
    let head = head.strip_suffix(b"\r\n\r\n").ok_or("the head broke off")?;
    let head = std::str::from_utf8(head)?;
    let mut response = Response::builder().status(u16::try_from(easy.response_code()?)?);
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    Ok(response.body(body)?)
}

fn failed(error: curl::Error) -> BoxTransportError {
    let unsent = error.is_couldnt_connect() || error.is_couldnt_resolve_host();
    BoxTransportError::with_failure(error, if unsent { NotSent } else { MaybeSent })
}
