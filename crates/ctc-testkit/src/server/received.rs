//! A request that was read to its end.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::journal::JOURNALED_BODY;

#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    /// The first [`JOURNALED_BODY`] bytes.
    pub(super) body: Bytes,
    pub(super) body_len: u64,
    /// FNV-1a over the whole body.
    pub(super) checksum: u64,
}

impl Received {
    /// Reads a request; fails if the client goes away in the middle of its body.
    pub(super) async fn read(request: Request<Incoming>) -> Result<Self, hyper::Error> {
        let (head, mut incoming) = request.into_parts();
        let mut body = BytesMut::new();
        let mut body_len = 0;
        let mut checksum = FNV_START;
        while let Some(frame) = incoming.frame().await {
            if let Ok(data) = frame?.into_data() {
                let room = JOURNALED_BODY - body.len();
                body.extend_from_slice(&data[..data.len().min(room)]);
                body_len += data.len() as u64;
                checksum = fnv(checksum, &data);
            }
        }
        Ok(Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: body.freeze(),
            body_len,
            checksum,
        })
    }

    /// Returns a parameter of the query, decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Returns all headers as text, with names in lower case, secrets included.
    pub(super) fn header_list(&self) -> Vec<(String, String)> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        self.headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect()
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
