//! `ctc get` and `ctc call`: one call.

use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum, value_parser};
use ctc_driver::Replay;
use ctc_driver::ctc_core::Unauthorized;
use ctc_ureq::{Body, Outbound};
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{Form, note, written};
use crate::secrets::sets_token;
use crate::session::{SessionOptions, ViaOptions};
use crate::via::{self, Proxy};
use crate::when::retry_after;

const GET_EXAMPLES: &str = "\
Examples:
  ctc get '/connect/services/devices?pg=1' | jq .
  ctc get -i --wait 60 /connect/services/devices
  ctc get --via http://127.0.0.1:8321 /connect/services/devices";

const CALL_EXAMPLES: &str = "\
Examples:
  ctc call POST /your/path --data '{\"text\": \"tires checked\"}'
  ctc call PUT /your/path --data @device.json
  ctc call DELETE /your/path/1 --json";

/// Seconds. The HTTP client could not add a longer time limit to the present.
const A_YEAR: u64 = 31_536_000;

/// Options of `ctc get`.
#[derive(Debug, Args)]
#[command(before_help = GET_EXAMPLES)]
pub(crate) struct GetArgs {
    /// Path, beginning with a slash, or a URL on the instance
    path: String,
    #[command(flatten)]
    how: How,
}

/// Options of `ctc call`.
#[derive(Debug, Args)]
#[command(before_help = CALL_EXAMPLES)]
pub(crate) struct CallArgs {
    /// HTTP method
    method: Method,
    /// Path, beginning with a slash, or a URL on the instance
    path: String,
    /// Body: text, @FILE, or @- for standard input
    #[arg(long, short, value_name = "DATA")]
    data: Option<String>,
    /// Which requests are replayed after a 401
    #[arg(long, value_enum, default_value_t = ReplayOption::Idempotent)]
    replay: ReplayOption,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// Header of the request, as 'Name: value'; may be repeated
    #[arg(long, short = 'H', value_name = "HEADER", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Print status and headers to standard error
    #[arg(long, short)]
    include: bool,
    /// Limit for the whole call, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=A_YEAR))]
    timeout: Option<u64>,
    #[command(flatten)]
    via: ViaOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReplayOption {
    /// Requests with an idempotent method
    Idempotent,
    /// All requests
    Always,
    /// No request
    Never,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
    let name = name.trim().parse().map_err(|_| "not a valid header name")?;
    let value = value.trim().parse();
    Ok((name, value.map_err(|_| "not a valid header value")?))
}

/// Makes a GET call.
pub(crate) fn get(args: &GetArgs, options: &SessionOptions, form: Form) -> Result<Exit, Failure> {
    let request = request(Method::GET, &args.path, &args.how, None)?;
    run(request, Replay::Idempotent, &args.how, options, form)
}

/// Makes any call.
pub(crate) fn call(args: CallArgs, options: &SessionOptions, form: Form) -> Result<Exit, Failure> {
    let CallArgs {
        method, data, how, ..
    } = args;
    let body = data.as_deref().map(read_data).transpose()?;
    let replay = match args.replay {
        ReplayOption::Idempotent => Replay::Idempotent,
        ReplayOption::Always => Replay::Always,
        ReplayOption::Never => Replay::Never,
    };
    let request = request(method, &args.path, &how, body)?;
    run(request, replay, &how, options, form)
}

fn request(
    method: Method,
    path: &str,
    how: &How,
    body: Option<Vec<u8>>,
) -> Result<Request<Option<Vec<u8>>>, Failure> {
    let is_json = body.as_deref().is_some_and(looks_like_json);
    let request = Request::builder().method(method).uri(path).body(body);
    let mut request = request.map_err(|error| Failure::usage(format!("{path}: {error}")))?;
    let headers = request.headers_mut();
    for (name, value) in &how.header {
        headers.append(name, value.clone());
    }
    if is_json {
        let json = HeaderValue::from_static("application/json");
        headers.entry(CONTENT_TYPE).or_insert(json);
    }
    Ok(request)
}

fn looks_like_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

fn read_data(data: &str) -> Result<Vec<u8>, Failure> {
    let Some(place) = data.strip_prefix('@') else {
        return Ok(data.as_bytes().to_owned());
    };
    let mut body = Vec::new();
    let read = match place {
        "-" => io::stdin().lock().read_to_end(&mut body).map(|_| body),
        path => fs::read(path),
    };
    read.map_err(|error| Failure::usage(format!("cannot read the body from {place}: {error}")))
}

fn run(
    request: Request<Option<Vec<u8>>>,
    replay: Replay,
    how: &How,
    options: &SessionOptions,
    form: Form,
) -> Result<Exit, Failure> {
    let timeout = how.timeout.map(Duration::from_secs);
    if let Some(via) = options.via(&how.via)? {
        let response = Proxy::new(&via)?.send(request, timeout)?;
        let failure = via::refusal(&response);
        return deliver(response, failure, how, form);
    }
    let client = Client::new(&options.account()?, how.via.login())?;
    let request = request.map(|body| body.map_or_else(Body::empty, Body::from));
    let mut request = Outbound::new(request);
    request.timeout = timeout;
    let response = client.execute(request, |options| options.replay(replay))?;
    let why = response.extensions().get::<Unauthorized>();
    let failure = match why {
        Some(Unauthorized::NotReplayable) if how.via.no_login => Some(Failure::new(
            Exit::LoggedOut,
            "the server rejected the session's token, and --no-login forbids a login: run \
             `ctc login`",
        )),
        Some(why) => Some(Failure::unauthorized(why, client.has_tried())),
        None => None,
    };
    deliver(response, failure, how, form)
}

/// Prints a response. The body is printed for every status; one other than 2xx is a failure.
fn deliver(
    response: Response<ctc_ureq::ureq::Body>,
    failure: Option<Failure>,
    how: &How,
    form: Form,
) -> Result<Exit, Failure> {
    let (parts, body) = response.into_parts();
    let failure = failure.or_else(|| failure_of(parts.status, &parts.headers));
    let headers = presentable(&parts.headers);
    if how.include {
        note(&format!("{:?} {}", parts.version, parts.status));
        for (name, value) in &headers {
            note(&format!(
                "{name}: {}",
                String::from_utf8_lossy(value.as_bytes())
            ));
        }
        note("");
    }
    let mut body = body.into_reader();
    match form {
        Form::Text => copy(&mut body, &mut io::stdout().lock())?,
        Form::Json => {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes)
                .map_err(|error| broke_off(&error))?;
            let mut result = envelope(parts.status, &headers, &bytes);
            if let Some(failure) = &failure {
                result.insert("error".to_owned(), failure.json());
            }
            form.print("", Value::Object(result))?;
        }
    }
    Ok(failure.map_or(Exit::Done, |failure| {
        note(&format!("ctc: {}", failure.message));
        failure.exit
    }))
}

/// Removes a token that the server may have rotated: it is a secret, and the session has adopted
/// it.
fn presentable(headers: &HeaderMap) -> HeaderMap {
    let is_token =
        |name: &HeaderName, value: &HeaderValue| name == SET_COOKIE && sets_token(value.as_bytes());
    let kept = headers
        .iter()
        .filter(|(name, value)| !is_token(name, value));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn envelope(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Map<String, Value> {
    let mut all = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        all.insert(name.to_string(), values.collect());
    }
    let mut result = Map::new();
    result.insert("status".to_owned(), json!(status.as_u16()));
    result.insert("headers".to_owned(), Value::Object(all));
    let (name, value) = match (
        serde_json::from_slice::<Value>(body),
        std::str::from_utf8(body),
    ) {
        (Ok(value), _) => ("body", value),
        (_, Ok(text)) => ("text", json!(text)),
        _ => ("base64", json!(STANDARD.encode(body))),
    };
    result.insert(name.to_owned(), value);
    result
}

fn failure_of(status: StatusCode, headers: &HeaderMap) -> Option<Failure> {
    if status.is_success() {
        return None;
    }
    let mut failure = Failure::error(format!("the server responded with {status}"));
    let asks_to_wait = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    if let Some(after) = retry_after(headers).filter(|_| asks_to_wait) {
        failure.exit = Exit::TryLater;
        failure.message = format!("{}; try again in {} s", failure.message, after.as_secs());
        failure.retry_after = Some(after);
    }
    Some(failure)
}

fn broke_off(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format!("the response's body ended early: {error}"),
    )
}

/// Copies a body to standard output. If that is a file and somebody watches, the progress is told.
fn copy(body: &mut dyn Read, out: &mut dyn Write) -> Result<(), Failure> {
    let watched = io::stderr().is_terminal() && !io::stdout().is_terminal();
    let began = Instant::now();
    let (mut told, mut copied) = (Duration::from_secs(1), 0_u64);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(broke_off(&error)),
        };
        if let Err(error) = out.write_all(&buffer[..read]) {
            return written(Err(error));
        }
        copied += read as u64;
        if watched && began.elapsed() >= told {
            told += Duration::from_millis(500);
            drop(write!(
                io::stderr().lock(),
                "\r{:.1} MiB ",
                copied as f64 / 1_048_576.0
            ));
        }
    }
    if told > Duration::from_secs(1) {
        note("");
    }
    written(out.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that is full for a moment.
    struct Full {
        taken: Vec<u8>,
        is_full: bool,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::take(&mut self.is_full) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_body_that_is_not_printed_whole_is_a_failure() {
        let body = vec![b'x'; 200_000];
        let mut out = Full {
            taken: Vec::new(),
            is_full: true,
        };
        let copied = copy(&mut body.as_slice(), &mut out);
        assert!(copied.is_err() || out.taken == body);
        copy(&mut body.as_slice(), &mut out).unwrap();
        assert!(out.taken.ends_with(&body));
    }
}
