//! What a transport does with bodies that are streams and are not delivered.

use std::pin::pin;

use bytes::Buf;
use http::Response;
use http_body::Body;

use super::body::next_frame;
use super::transport::{DISCARD_BYTES, LoginResponse};

/// Reads as much as a login needs of a response whose body is a stream: for
/// [`AsyncTransport::send_login`](crate::AsyncTransport::send_login), with
/// [`LoginRequest::body_limit`](crate::LoginRequest::body_limit).
///
/// # Errors
/// Returns the body's error if reading it fails.
pub async fn read_login<B: Body>(
    response: Response<B>,
    body_limit: usize,
) -> Result<LoginResponse, B::Error> {
    let (parts, body) = response.into_parts();
    let mut read = LoginResponse::new(parts.status, parts.headers);
    let mut body = pin!(body);
    // If the head says all, the connection goes with the body.
    while read.body().len() < body_limit
        && let Some(frame) = next_frame(body.as_mut()).await
    {
        let Ok(mut data) = frame?.into_data() else {
            continue;
        };
        while data.has_remaining() && read.append_body(data.chunk(), body_limit) {
            data.advance(data.chunk().len());
        }
    }
    Ok(read)
}

/// Reads a short body to its end, so that its connection can be used again: for
/// [`AsyncTransport::discard`](crate::AsyncTransport::discard). The driver limits the time.
pub async fn discard_body<B: Body>(response: Response<B>) {
    let mut body = pin!(response.into_body());
    let mut left = DISCARD_BYTES;
    while let Some(Ok(frame)) = next_frame(body.as_mut()).await {
        let length = frame.data_ref().map_or(0, Buf::remaining);
        let Some(rest) = left.checked_sub(length) else {
            break;
        };
        left = rest;
    }
}
