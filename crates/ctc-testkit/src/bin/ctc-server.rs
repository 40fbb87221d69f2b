//! A CTC server on loopback for a shell, a browser or a client in any language.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode};

use ctc_testkit::{CONTROL_HELP, DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server};
use http::HeaderValue;
use lexopt::{Arg, ValueExt};

const HELP: &str = "\
A CTC server on loopback, to try and to test clients of the CalAmp Telematics Cloud.

Usage: ctc-server [OPTIONS]

  --port N           the port of 127.0.0.1 to listen on (default: a free one)
  --tls              https, with a certificate made at the start
  --cert-out FILE    writes that certificate as PEM, for clients to trust (with --tls)
  --username NAME    the account (default: one whose name and password need form encoding)
  --password TEXT
  --app-key TEXT     the application key
  --devices N        the size of the fleet (default 25)
  --events N         events of each device (default 120)
  --help

It runs until it is stopped.
";

struct Options {
    port: u16,
    tls: bool,
    cert_out: Option<PathBuf>,
    username: String,
    password: String,
    app_key: String,
    devices: u64,
    events: u64,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ctc-server: {error}");
            if let Some(source) = error
                .source()
                .filter(|source| source.to_string() != error.to_string())
            {
                eprintln!("  because: {source}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let Some(options) = parse()? else {
        println!("{HELP}\n{CONTROL_HELP}");
        return Ok(());
    };
    let server = Server::builder()
        .bind(SocketAddr::from(([127, 0, 0, 1], options.port)))
        .tls(options.tls)
        .account(&options.username, &options.password)
        .app_key(&options.app_key)
        .fleet(options.devices, options.events)
        .start()?;
    if let (Some(path), Some(pem)) = (&options.cert_out, server.certificate_pem()) {
        std::fs::write(path, pem)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    greet(&server, &options);
    loop {
        std::thread::park();
    }
}

fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        port: 0,
        tls: false,
        cert_out: None,
        username: DEFAULT_USERNAME.into(),
        password: DEFAULT_PASSWORD.into(),
        app_key: DEFAULT_APP_KEY.into(),
        devices: 25,
        events: 120,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("port") => options.port = parser.value()?.parse()?,
            Arg::Long("tls") => options.tls = true,
            Arg::Long("cert-out") => options.cert_out = Some(parser.value()?.into()),
            Arg::Long("username") => options.username = text("--username", parser.value()?)?,
            Arg::Long("password") => options.password = text("--password", parser.value()?)?,
            Arg::Long("app-key") => options.app_key = text("--app-key", parser.value()?)?,
            Arg::Long("devices") => options.devices = parser.value()?.parse()?,
            Arg::Long("events") => options.events = parser.value()?.parse()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if options.cert_out.is_some() && !options.tls {
        return Err("--cert-out needs --tls".into());
    }
    Ok(Some(options))
}

/// A value that a client can log in with.
fn text(option: &str, value: OsString) -> Result<String, lexopt::Error> {
    let text = value.string()?;
    if text.is_empty() {
        return Err(format!("{option} is empty: give a value, or leave the option out").into());
    }
    if option == "--app-key" && HeaderValue::from_str(&text).is_err() {
        return Err(format!("{option} has a character that no header can carry").into());
    }
    Ok(text)
}

fn greet(server: &Server, options: &Options) {
    let url = server.url();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let trust = match &options.cert_out {
        Some(path) => format!(" --cacert {}", quoted(&path.display().to_string())),
        None if options.tls => " --insecure".to_owned(),
        None => String::new(),
    };
    println!("listening on    {url}");
    println!("username        {}", options.username);
    println!("password        {}", options.password);
    println!("application key {}", options.app_key);
    println!();
    println!("curl -i{trust} '{url}/connect/services/login?useAuthToken=true' \\");
    println!(
        "  -H {} \\",
        quoted(&format!("calamp-services-app: {}", options.app_key))
    );
    println!(
        "  --data-urlencode {} \\",
        quoted(&format!("username={}", options.username))
    );
    println!(
        "  --data-urlencode {}",
        quoted(&format!("password={}", options.password))
    );
    println!("curl{trust} {url}/_ctc/counts");
}
