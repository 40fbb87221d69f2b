//! `ctc token`: the session's token, for other tools.

use std::io::{self, IsTerminal};
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use ctc_driver::ctc_core::{SendFailure, SessionRecord};
use ctc_driver::{
    CallOptions, Driver, LoginRequest, LoginResponse, SharedSession, Transport, TransportError,
};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, Request, Response};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{Form, note, write_out};
use crate::session::{LoginPolicy, SessionOptions};
use crate::when::json_time;

/// Options of `ctc token`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc token --format curl | curl -K - https://connect.calamp.com/connect/services/devices
  token=$(ctc token)
  ctc token --json --no-login")]
pub(crate) struct TokenArgs {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Raw)]
    format: Format,
    /// Never log in: use the session in the store, or exit with code 5
    #[arg(long)]
    no_login: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Only the token
    Raw,
    /// The header lines that a call carries: application key and token
    Header,
    /// The same lines for `curl -K -`, so that they are not on its command line
    Curl,
    /// One JSON object, with the known times
    Json,
}

/// Prints the token, after a login if there is none.
pub(crate) fn token(
    args: &TokenArgs,
    options: &SessionOptions,
    form: Form,
) -> Result<Exit, Failure> {
    let account = options.account()?;
    let login = match args.no_login {
        true => LoginPolicy::Never,
        false => LoginPolicy::IfNeeded,
    };
    let client = Client::new(&account, login)?;
    client.open()?;
    if io::stdout().is_terminal() {
        note(
            "ctc: anyone who sees this token can use the account until the token ends, and nothing \
             renews it: `ctc exec` and `ctc proxy` give a session to programs without showing it",
        );
    }
    let pass = Stamped::of(client.session())?;
    let format = match form {
        Form::Json => Format::Json,
        Form::Text => args.format,
    };
    match format {
        Format::Raw => write_out(format!("{}\n", pass.token()?.as_str()).as_bytes())?,
        Format::Header => write_out(pass.lines(|name, value| format!("{name}: {value}\n")))?,
        Format::Curl => write_out(pass.lines(|name, value| {
            let quoted = format!("{name}: {value}")
                .replace('\\', "\\\\")
                .replace('"', "\\\"");
            format!("header = \"{quoted}\"\n")
        }))?,
        Format::Json => {
            let record = account.store.read(&account.record_key()?)?;
            let overview = record.as_ref().map(SessionRecord::overview);
            let token = overview
                .as_ref()
                .and_then(|overview| overview.tokens.first());
            let time = |time: Option<SystemTime>| time.map(json_time);
            let json = json!({
                "token": pass.token()?.as_str(),
                "headers": pass.json(),
                "origin": account.endpoint.origin(),
                "obtained_at": time(token.and_then(|token| token.obtained_at)),
                "expires_at": time(token.and_then(|token| token.expires_at)),
            });
            Form::Json.print("", json)?;
        }
    }
    Ok(Exit::Done)
}

/// The headers that a session adds to a call.
pub(crate) struct Stamped(HeaderMap);

impl Stamped {
    /// Makes a call that is stamped but not sent.
    ///
    /// # Errors
    /// Returns [`Failure`] if the session is not open.
    pub(crate) fn of(session: &SharedSession) -> Result<Self, Failure> {
        let mirror = Driver::new(session.clone(), Mirror, None);
        let request = Request::new(Vec::new());
        let response = mirror.execute(request, &CallOptions::new());
        let response = response.map_err(|error| Failure::of(Exit::Error, &error))?;
        let (parts, _) = response.into_parts();
        Ok(Self(parts.headers))
    }

    /// Returns the token, as it is attached.
    ///
    /// # Errors
    /// Returns [`Failure`] if it is neither a cookie nor a bearer token.
    pub(crate) fn token(&self) -> Result<Zeroizing<String>, Failure> {
        let text = |name: HeaderName| self.0.get(name)?.to_str().ok();
        let cookie = text(COOKIE).and_then(|cookie| cookie.strip_prefix("authToken="));
        let bearer = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let token = cookie
            .or(bearer)
            .map(|token| Zeroizing::new(token.to_owned()));
        token.ok_or_else(|| Failure::error("the session attaches no token that can be printed"))
    }

    /// The headers that authenticate a call, without those that an HTTP client adds by itself.
    fn credentials(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self
            .0
            .iter()
            .filter(|(name, _)| *name != http::header::ACCEPT);
        all.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    fn lines(&self, line: impl Fn(&str, &str) -> String) -> Zeroizing<Vec<u8>> {
        let lines = self.credentials().map(|(name, value)| line(name, value));
        Zeroizing::new(lines.collect::<String>().into_bytes())
    }

    fn json(&self) -> Map<String, Value> {
        let all = self.credentials();
        all.map(|(name, value)| (name.to_owned(), json!(value)))
            .collect()
    }
}

/// A transport that sends nothing: its response has the headers of the request.
struct Mirror;

#[derive(Debug, thiserror::Error)]
#[error("the session's token ended just now: run the command again")]
struct NoLogins;

impl TransportError for NoLogins {
    fn failure(&self) -> SendFailure {
        SendFailure::NotSent
    }
}

impl Transport for Mirror {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = NoLogins;

    fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, NoLogins> {
        let (parts, _) = request.into_parts();
        let mut response = Response::new(Vec::new());
        *response.headers_mut() = parts.headers;
        Ok(response)
    }

    fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, NoLogins> {
        Err(NoLogins)
    }
}
