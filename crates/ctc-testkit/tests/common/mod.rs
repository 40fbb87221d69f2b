//! A client that sends exactly what a test says, and returns exactly what it receives.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};

pub(crate) const LOGIN: &str = "/connect/services/login?useAuthToken=true";
pub(crate) const LOGOUT: &str = "/connect/services/logout";
pub(crate) const DEVICES: &str = "/connect/services/devices";
pub(crate) const KEY: (&str, &str) = ("calamp-services-app", DEFAULT_APP_KEY);
pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// The headers of a request, one by one.
pub(crate) type Headers<'a> = &'a [(&'a str, &'a str)];

pub(crate) struct Client<S> {
    stream: S,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// Returns the value of the last `authToken` line, unchanged.
    pub(crate) fn token(&self) -> Option<&str> {
        let lines = self.all("set-cookie").into_iter().rev();
        lines
            .filter_map(|line| line.strip_prefix("authToken="))
            .find_map(|rest| rest.split(';').next())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Client<TcpStream> {
    pub(crate) fn connect(server: &Server) -> Self {
        Self::connect_to(server.address())
    }

    pub(crate) fn connect_to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream }
    }

    pub(crate) fn set_timeout(&self, timeout: Duration) {
        self.stream
            .set_read_timeout(Some(timeout))
            .expect("a timeout");
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream }
    }

    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: Headers<'_>,
        body: &[u8],
    ) -> io::Result<Reply> {
        self.write(method, path, headers, body)?;
        self.read(method == "HEAD")
    }

    pub(crate) fn write(
        &mut self,
        method: &str,
        path: &str,
        headers: Headers<'_>,
        body: &[u8],
    ) -> io::Result<()> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        headers
            .iter()
            .for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        self.stream.write_all(&[text.as_bytes(), body].concat())?;
        self.stream.flush()
    }

    pub(crate) fn read(&mut self, head_only: bool) -> io::Result<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|code| code.parse().ok());
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim_start_matches(' ').to_owned()))
            .collect();
        let mut reply = Reply {
            status: status.ok_or(io::ErrorKind::InvalidData)?,
            headers,
            body: Vec::new(),
        };
        let length = reply
            .header("content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        if !head_only {
            reply.body.resize(length, 0);
            self.stream.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// Reads everything until the connection ends.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset after the last byte also counts as the end.
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    /// Reads at most this many bytes, for a response that does not end.
    pub(crate) fn read_at_most(&mut self, bytes: u64) -> Vec<u8> {
        let mut read = Vec::new();
        let _ = (&mut self.stream).take(bytes).read_to_end(&mut read);
        read
    }

    pub(crate) fn login(&mut self) -> Reply {
        self.login_as(DEFAULT_USERNAME, DEFAULT_PASSWORD)
    }

    pub(crate) fn login_as(&mut self, username: &str, password: &str) -> Reply {
        self.send(
            "POST",
            LOGIN,
            &[KEY, FORM],
            form(username, password).as_bytes(),
        )
        .expect("an answer to the login")
    }

    pub(crate) fn token(&mut self) -> String {
        self.login().token().expect("a token").to_owned()
    }

    pub(crate) fn get(&mut self, path: &str, token: &str) -> Reply {
        let cookie = format!("authToken={token}");
        self.send("GET", path, &[KEY, ("Cookie", &cookie)], b"")
            .expect("an answer to the call")
    }

    pub(crate) fn post(&mut self, path: &str, token: &str, body: &[u8]) -> Reply {
        let cookie = format!("authToken={token}");
        self.send("POST", path, &[KEY, ("Cookie", &cookie)], body)
            .expect("an answer to the call")
    }
}

pub(crate) fn form(username: &str, password: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("username", username)
        .append_pair("password", password)
        .finish()
}

/// Sends a request to the control path, on a new connection.
pub(crate) fn control(server: &Server, method: &str, path: &str, body: &str) -> Reply {
    Client::connect(server)
        .send(method, path, &[], body.as_bytes())
        .expect("a response")
}
