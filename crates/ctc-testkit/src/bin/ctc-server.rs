//! A CTC server on loopback for a shell, a browser or a client in any language.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

use std::{
    ffi::OsString,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use ctc_testkit::{
    CONTROL_HELP, DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Server,
};
use http::HeaderValue;
use lexopt::{Arg, ValueExt};

const HELP: &str = "\
A CTC server on loopback, to try and test clients of the CalAmp Telematics Cloud.

Usage: ctc-server [OPTIONS]

  --login KIND          the login to show: cookie (default) or oauth; both are served
  --bind ADDRESS        the address to listen on (default 127.0.0.1)
  --port N              the port of the API and the cookie login (default: a free one)
  --token-port N        the port of the token endpoint (default: a free one)
  --port-file FILE      writes both ports, one per line, once the server listens
  --tls                 uses https, with a certificate created at the start
  --http2               also speaks HTTP/2
  --cert-out FILE       writes that certificate as PEM, for clients to trust (with --tls)
  --username NAME       the account (default: name and password that need form encoding)
  --password TEXT
  --app-key TEXT        the application key
  --client-id TEXT      the client id of the OAuth login
  --token-lifetime SEC  how long a token is valid (default: 14 days, 24 h with OAuth)
  --devices N           the size of the fleet (default 25)
  --events N            events of each device (default 120)
  --seed N              uses the same tokens in every run
  --json                prints one line of JSON instead of text
  --help

It runs until it is stopped.
";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Login {
    Cookie,
    OAuth,
}

struct Options {
    login: Login,
    bind: IpAddr,
    port: u16,
    token_port: u16,
    port_file: Option<PathBuf>,
    tls: bool,
    http2: bool,
    cert_out: Option<PathBuf>,
    username: String,
    password: String,
    app_key: String,
    client_id: String,
    token_lifetime: Option<Duration>,
    devices: u64,
    events: u64,
    seed: Option<u64>,
    json: bool,
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
    let mut builder = Server::builder()
        .bind(SocketAddr::new(options.bind, options.port))
        .bind_token(SocketAddr::new(options.bind, options.token_port))
        .tls(options.tls)
        .http2(options.http2)
        .account(&options.username, &options.password)
        .app_key(&options.app_key)
        .client_id(&options.client_id)
        .fleet(options.devices, options.events);
    if let Some(lifetime) = options.token_lifetime {
        builder = builder.token_lifetime(lifetime);
    }
    if let Some(seed) = options.seed {
        builder = builder.seed(seed);
    }
    let server = builder.start()?;
    if let (Some(path), Some(pem)) = (&options.cert_out, server.certificate_pem()) {
        write(path, pem)?;
    }
    match options.json {
        true => println!("{}", described(&server, &options)),
        false => greet(&server, &options),
    }
    // Write the file last: a program that waits for it finds everything ready.
    if let Some(path) = &options.port_file {
        let ports = format!("{}\n{}\n", server.port(), server.token_address().port());
        write(path, &ports)?;
    }
    loop {
        std::thread::park();
    }
}

/// Writes a file atomically.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error: io::Error| format!("cannot write {}: {error}", path.display()))
}

fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        login: Login::Cookie,
        bind: Ipv4Addr::LOCALHOST.into(),
        port: 0,
        token_port: 0,
        port_file: None,
        tls: false,
        http2: false,
        cert_out: None,
        username: DEFAULT_USERNAME.into(),
        password: DEFAULT_PASSWORD.into(),
        app_key: DEFAULT_APP_KEY.into(),
        client_id: DEFAULT_CLIENT_ID.into(),
        token_lifetime: None,
        devices: 25,
        events: 120,
        seed: None,
        json: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("login") => {
                options.login = match parser.value()?.string()?.as_str() {
                    "cookie" => Login::Cookie,
                    "oauth" => Login::OAuth,
                    other => {
                        return Err(format!("--login {other:?}: use cookie or oauth").into());
                    }
                };
            }
            Arg::Long("bind") => options.bind = parser.value()?.parse()?,
            Arg::Long("port") => options.port = parser.value()?.parse()?,
            Arg::Long("token-port") => options.token_port = parser.value()?.parse()?,
            Arg::Long("port-file") => options.port_file = Some(parser.value()?.into()),
            Arg::Long("tls") => options.tls = true,
            Arg::Long("http2") => options.http2 = true,
            Arg::Long("cert-out") => options.cert_out = Some(parser.value()?.into()),
            Arg::Long("username") => options.username = text("--username", parser.value()?)?,
            Arg::Long("password") => options.password = text("--password", parser.value()?)?,
            Arg::Long("app-key") => options.app_key = text("--app-key", parser.value()?)?,
            Arg::Long("client-id") => options.client_id = text("--client-id", parser.value()?)?,
            Arg::Long("token-lifetime") => {
                options.token_lifetime = Some(Duration::from_secs(parser.value()?.parse()?));
            }
            Arg::Long("devices") => options.devices = parser.value()?.parse()?,
            Arg::Long("events") => options.events = parser.value()?.parse()?,
            Arg::Long("seed") => options.seed = Some(parser.value()?.parse()?),
            Arg::Long("json") => options.json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if options.cert_out.is_some() && !options.tls {
        return Err("--cert-out needs --tls".into());
    }
    Ok(Some(options))
}

/// Parses a value that a client can log in with.
fn text(option: &str, value: OsString) -> Result<String, lexopt::Error> {
    let text = value.string()?;
    if text.is_empty() {
        return Err(format!("{option} is empty: give a value, or leave the option out").into());
    }
    if option == "--app-key" && HeaderValue::from_str(&text).is_err() {
        return Err(format!("{option} has a character that is not allowed in a header").into());
    }
    Ok(text)
}

/// Returns everything that a client needs, as JSON.
fn described(server: &Server, options: &Options) -> serde_json::Value {
    serde_json::json!({
        "url": server.url(),
        "token_url": server.token_url(),
        "revocation_url": server.revocation_url(),
        "username": options.username,
        "password": options.password,
        "app_key": options.app_key,
        "client_id": options.client_id,
        "certificate": server.certificate_pem(),
    })
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
    if options.login == Login::OAuth {
        println!("token endpoint  {}", server.token_url());
        println!("client id       {}", options.client_id);
    }
    println!("username        {}", options.username);
    println!("password        {}", options.password);
    println!("application key {}", options.app_key);
    println!();
    let field = |name: &str, value: &str| {
        let field = quoted(&format!("{name}={value}"));
        format!("  --data-urlencode {field}")
    };
    let mut lines = match options.login {
        Login::Cookie => vec![
            format!("curl -i{trust} '{url}/connect/services/login?useAuthToken=true'"),
            format!(
                "  -H {}",
                quoted(&format!("calamp-services-app: {}", options.app_key))
            ),
        ],
        Login::OAuth => vec![
            format!("curl -i{trust} {}", server.token_url()),
            field("grant_type", "password"),
            field("client_id", &options.client_id),
            field("scope", "openid"),
        ],
    };
    lines.push(field("username", &options.username));
    lines.push(field("password", &options.password));
    println!("{}", lines.join(" \\\n"));
    println!("curl{trust} {url}/_ctc/counts");
}
