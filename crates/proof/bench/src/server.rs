//! The cheapest possible server: fixed responses on loopback, one thread per connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::scene::token;

const BODY: &str = "[]";

/// Serves without end. Each connection stays open until its client closes it.
pub fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // Ignore errors: the client reports a broken connection.
        thread::spawn(move || drop(answer_all(stream)));
    }
}

fn answer_all(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let ordinary = format!(
        "HTTP/1.1 200 OK\r\ndate: Wed, 15 Jan 2031 12:00:00 GMT\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nserver: fixed\r\n\
         cache-control: no-store\r\nvary: accept\r\n\r\n{BODY}",
        BODY.len()
    );
    let login = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nset-cookie: authToken={}; Path=/connect\r\n\r\n",
        token(1)
    );
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let (mut line, mut body) = (Vec::new(), Vec::new());
    loop {
        let (mut length, mut is_login, mut first) = (0, false, true);
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if line == b"\r\n" {
                break;
            }
            if std::mem::take(&mut first) {
                is_login = line.starts_with(b"POST ");
            } else if is_login && line.to_ascii_lowercase().starts_with(b"content-length:") {
                let text = String::from_utf8_lossy(&line[15..]);
                length = text.trim().parse().unwrap_or_default();
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        writer.write_all(if is_login {
            login.as_bytes()
        } else {
            ordinary.as_bytes()
        })?;
    }
}
