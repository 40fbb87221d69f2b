//! What the examples share: the server they talk to, and the trouble it can be asked to make.

pub mod sdk;
pub mod workers;

use std::error::Error;
use std::net::TcpListener;

use ctc_driver::ctc_core::{Login, OAuth};
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Rule,
    Server,
};

/// Whether the environment has credentials of a real account.
pub fn has_real_credentials() -> bool {
    ["CTC_USERNAME", "CTC_PASSWORD", "CTC_APP_KEY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// A CTC server on loopback, and what to tell a client about it.
#[derive(Debug)]
pub struct Stage {
    /// The server.
    pub server: Server,
    /// Where the client is to go.
    pub url: String,
    /// The username it knows.
    pub username: &'static str,
    /// The password the client is to use.
    pub password: &'static str,
    /// The application key it knows.
    pub app_key: &'static str,
    /// What is wrong, if anything.
    pub trouble: Option<Trouble>,
}

/// What can be wrong, by the first argument of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// `wrong-password`
    WrongPassword,
    /// `down`: nobody listens.
    Down,
    /// `hangs`: the login is accepted and never answered.
    Hangs,
    /// `rubbish`: the login is answered with an HTML page and status 200.
    Rubbish,
}

impl Stage {
    /// Starts the server, with the trouble that the command line asks for.
    ///
    /// # Errors
    /// When the argument is unknown, or the server cannot start.
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
        // A thousand calls at once are a thousand sockets here and as many in the server.
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

    /// The last line of an example, by the server's own counts.
    pub fn summary(&self) -> String {
        let counts = self.server.counts();
        format!(
            "done: {} calls, {} logins, {} responses of 401, {} violations",
            counts.calls, counts.logins, counts.unauthorized, counts.violations
        )
    }
}

/// The login that `CTC_LOGIN` asks for (`cookie`, or `oauth`), at this server.
///
/// # Errors
/// When `CTC_LOGIN` is something else.
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

/// An error and what it came from, in one line.
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
