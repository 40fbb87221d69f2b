//! What the examples share: the test server, and the faults that it can be asked for.

pub mod sdk;
pub mod workers;

use std::error::Error;
use std::net::TcpListener;

use ctc_driver::ctc_core::{Login, OAuth};
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Rule,
    Server,
};

/// Returns whether the environment has the credentials of a real account.
pub fn has_real_credentials() -> bool {
    ["CTC_USERNAME", "CTC_PASSWORD", "CTC_APP_KEY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// A CTC test server on loopback, and the settings of a client for it.
#[derive(Debug)]
pub struct Stage {
    /// The server.
    pub server: Server,
    /// The URL for the client.
    pub url: String,
    /// The username.
    pub username: &'static str,
    /// The password that the client uses.
    pub password: &'static str,
    /// The application key.
    pub app_key: &'static str,
    /// The fault, if there is one.
    pub trouble: Option<Trouble>,
}

/// The faults, as the first argument of an example names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// `wrong-password`
    WrongPassword,
    /// `down`: nothing listens.
    Down,
    /// `hangs`: the login gets no response.
    Hangs,
    /// `rubbish`: the login gets an HTML page with status 200.
    Rubbish,
}

impl Stage {
    /// Starts the server, with the fault that the command line asks for.
    ///
    /// # Errors
    /// Returns an error if the argument is unknown, or the server cannot start.
    pub fn from_args() -> Result<Self, Box<dyn Error>> {
        let trouble = match std::env::args().nth(1).as_deref() {
            None => None,
            Some("wrong-password") => Some(Trouble::WrongPassword),
            Some("down") => Some(Trouble::Down),
            Some("hangs") => Some(Trouble::Hangs),
            Some("rubbish") => Some(Trouble::Rubbish),
            Some(other) => {
                return Err(format!(
                    "unknown argument {other}: give wrong-password, down, hangs or rubbish"
                )
                .into());
            }
        };
        // A thousand calls at once take a thousand sockets here and as many in the server.
        let _ = rlimit::increase_nofile_limit(8192);
        let server = Server::start()?;
        let mut stage = Self {
            url: server.url(),
            server,
            username: DEFAULT_USERNAME,
            password: DEFAULT_PASSWORD,
            app_key: DEFAULT_APP_KEY,
            trouble,
        };
        match trouble {
            None => {}
            Some(Trouble::WrongPassword) => stage.password = "not-the-password!",
            Some(Trouble::Down) => {
                stage.url = format!("http://{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?);
            }
            Some(Trouble::Hangs) => {
                stage
                    .server
                    .inject(Rule::forever(Matcher::Login, Fault::Hang { act: false }));
            }
            Some(Trouble::Rubbish) => {
                stage
                    .server
                    .inject(Rule::forever(Matcher::Login, Fault::html_page()));
            }
        }
        Ok(stage)
    }

    /// Prints the last line of an example, from the server's counts.
    pub fn summary(&self) -> String {
        let counts = self.server.counts();
        format!(
            "done: {} calls, {} logins, {} responses of 401, {} violations",
            counts.calls, counts.logins, counts.unauthorized, counts.violations
        )
    }
}

/// Returns the login that `CTC_LOGIN` asks for (`cookie` or `oauth`), at this server.
///
/// # Errors
/// Returns an error if `CTC_LOGIN` has another value.
pub fn login(server: &Server) -> Result<Login, Box<dyn Error>> {
    match std::env::var("CTC_LOGIN").as_deref() {
        Err(_) | Ok("" | "cookie") => Ok(Login::AuthToken),
        Ok("oauth") => {
            let oauth = OAuth::danger_plain_http(&server.token_url(), DEFAULT_CLIENT_ID)?;
            Ok(Login::OAuth(oauth))
        }
        Ok(other) => Err(format!("CTC_LOGIN is {other}: give cookie or oauth").into()),
    }
}

/// Formats an error and its sources in one line.
pub fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

/// The READMEs' snippets, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("README.md")]
struct Readme;
