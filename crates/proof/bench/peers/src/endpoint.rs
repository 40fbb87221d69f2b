//! A token endpoint on loopback: after a delay, every request gets a token with the lifetime that
//! we set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;

/// The delay of a token response.
pub const DELAY: Duration = Duration::from_millis(100);

/// The lifetime of a token that must not expire.
const LONG: u64 = 3600;

/// The endpoint and its counters.
pub struct Endpoint {
    given: AtomicUsize,
    /// The lifetime of the next token, in seconds.
    life: AtomicU64,
}

impl Endpoint {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            given: AtomicUsize::new(0),
            life: AtomicU64::new(LONG),
        })
    }

    /// Returns how many tokens it has issued.
    pub fn given(&self) -> usize {
        self.given.load(SeqCst)
    }

    /// Sets whether the next tokens expire after one second.
    pub fn short(&self, short: bool) {
        self.life.store(if short { 1 } else { LONG }, SeqCst);
    }

    /// Serves without end.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(response(stream, Arc::clone(&self)));
        }
    }
}

async fn response(mut stream: TcpStream, endpoint: Arc<Endpoint>) -> std::io::Result<()> {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let (head, length) = loop {
            if let Some(end) = find(&read, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
                let length = head
                    .split("content-length:")
                    .nth(1)
                    .and_then(|rest| rest.split("\r\n").next());
                break (
                    end + 4,
                    length
                        .and_then(|text| text.trim().parse().ok())
                        .unwrap_or(0),
                );
            }
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            read.extend_from_slice(&buffer[..count]);
        };
        while read.len() < head + length {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            read.extend_from_slice(&buffer[..count]);
        }
        read.drain(..head + length);
        endpoint.given.fetch_add(1, SeqCst);
        tokio::time::sleep(DELAY).await;
        let life = endpoint.life.load(SeqCst);
        let ends = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
            + life;
        let body = serde_json::json!({
            "access_token": "A".repeat(256), "token_type": "Bearer", "expires_in": life,
            "expires_on": ends.to_string(), "resource": "r",
        });
        let body = body.to_string();
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmetadata-flavor: Google\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(response.as_bytes()).await?;
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Requests a token, for the peer that leaves this to its caller. Returns the token and its
/// lifetime.
pub async fn fetch(url: &str) -> Result<(String, Duration), Failure> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await?;
    stream
        .write_all(b"GET /token HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await?;
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).await?;
    let text = String::from_utf8_lossy(&buffer[..count]);
    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    let token: serde_json::Value = serde_json::from_str(body)?;
    let life = Duration::from_secs(token["expires_in"].as_u64().unwrap_or_default());
    Ok((
        token["access_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        life,
    ))
}

/// PKCS #8 as PEM.
pub fn pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in der.chunks(3) {
        let bits = chunk
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63] as char;
            text.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}
