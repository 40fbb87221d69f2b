//! The local proxy: programs use it as their base URL, without credentials of their own. The proxy
//! adds key and token.

mod body;
mod call;
mod connections;
#[cfg(feature = "demo")]
mod demo;
mod door;
mod health;
mod listen;
mod path;
mod reply;
mod say;
mod stall;
mod token;
mod upstream;

use std::fmt::Display;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ctc_tower::{CallOptions, Phase};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::account::Parts;
use crate::exit::Failure;
use crate::output::{Form, note};
use crate::session::SessionOptions;
use crate::store::Store;

use call::Proxy;
use connections::{Connections, Limits};
use door::Door;
use health::Health;
use listen::Listener;
use reply::Replies;
use token::LocalToken;
use upstream::{Layer, Upstream};

/// Connections to the health port: there are few probes and scrapers.
const HEALTH_CONNECTIONS: usize = 64;
/// File descriptors for everything but connections: the store, the terminal, logins.
const SPARE_DESCRIPTORS: u64 = 64;

/// Options of `ctc proxy`.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  ctc proxy                             http://127.0.0.1:8321, for programs on this machine
  ctc proxy --socket /run/ctc/ctc.sock  a Unix socket, for programs of this user
  ctc proxy --demo                      with a local test server: no account needed")]
pub(crate) struct Args {
    /// Loopback address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8321")]
    listen: SocketAddr,
    /// Unix socket to listen on, instead of an address; only its owner can connect
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    socket: Option<PathBuf>,
    /// File with a token that callers must send in the header ctc-proxy-token; created if it is
    /// missing
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Address for /healthz, /readyz and /metrics
    #[arg(long, value_name = "ADDRESS")]
    health: Option<SocketAddr>,
    /// Limit of open connections, and of calls in progress
    #[arg(long, value_name = "NUMBER", default_value = "1024", value_parser = at_least_one)]
    max_connections: usize,
    /// Time limit for a call without progress
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    timeout: Duration,
    /// Time limit for a connection to send a request, or to be idle
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    idle_timeout: Duration,
    /// Time limit for calls to finish after SIGTERM
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    drain: Duration,
    /// Start a local test server as well, and use that
    #[cfg(feature = "demo")]
    #[arg(long)]
    demo: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let duration = text.parse().ok().map(Duration::try_from_secs_f64);
    match duration {
        // Timers are limited to a few years.
        Some(Ok(duration)) if (1..=31_536_000_000).contains(&duration.as_millis()) => Ok(duration),
        _ => Err("give a number of seconds, from 0.001 to a year".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1_000_000) => Ok(number),
        _ => Err("give a number from 1 to 1000000".to_owned()),
    }
}

/// Runs the proxy until a signal ends it.
///
/// # Errors
/// Returns [`Failure`] if the proxy cannot start.
pub(crate) fn run(args: &Args, options: &SessionOptions, form: Form) -> Result<(), Failure> {
    #[cfg(feature = "demo")]
    if args.demo {
        let demo = demo::Demo::start()?;
        let url = demo.url();
        return block_on(serve(
            args,
            form,
            demo.upstream(options.call_options())?,
            Some(&url),
        ));
    }
    let account = options.account()?;
    let Parts { session, store } = account.build_lasting()?;
    let with_store = |layer: Layer| match store {
        Store::File(store) => layer.store(store),
        #[cfg(feature = "redis")]
        Store::Redis(store) => layer.store(store),
    };
    let upstream = upstream::build(session, account.options, with_store)?;
    block_on(serve(args, form, upstream, None))
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = cannot("start the runtime", runtime)?;
    let result = runtime.block_on(work);
    // A store operation or a name lookup that still runs must not delay the exit.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

fn cannot<R>(doing: impl Display, result: io::Result<R>) -> Result<R, Failure> {
    result.map_err(|error| Failure::error(format!("cannot {doing}: {error}")))
}

async fn serve(
    args: &Args,
    form: Form,
    upstream: Upstream,
    demo: Option<&str>,
) -> Result<(), Failure> {
    let session = upstream.driver().session().clone();
    let listener = listener(args)?;
    let token = args.token_file.as_deref().map(|path| {
        let doing = format!("use the token file {}", path.display());
        cannot(doing, LocalToken::in_file(path))
    });
    let door = Door::new(
        listener.port(),
        token.transpose()?,
        &session.settings().logout_path,
        session.endpoint(),
    );
    if door.leads_to_itself() {
        let why = "the CTC endpoint is this proxy itself: check CTC_BASE_URL or --base-url";
        return Err(Failure::usage(why));
    }
    let connections = Connections::new(Limits {
        connections: room(args.max_connections),
        idle: args.idle_timeout,
        stall: args.timeout,
    });
    let proxy = Arc::new(Proxy {
        door,
        upstream,
        timeout: args.timeout,
        replies: Replies::new(),
        statuses: Default::default(),
    });
    let (drain, draining) = watch::channel(false);
    let health = match args.health {
        None => None,
        Some(address) => {
            let bound = cannot(format!("listen on {address}"), Listener::tcp(address))?;
            let shown = bound.shown();
            let health = Health {
                session: session.clone(),
                proxy: Arc::clone(&proxy),
                connections: Arc::clone(&connections),
                draining: draining.clone(),
            };
            tokio::spawn(serve_health(bound, health, args.idle_timeout));
            Some(shown)
        }
    };
    say::events(&session);
    let mut signals = cannot("listen for signals", Signals::new())?;
    say::where_it_is(form, &listener, &session, health.as_deref())?;
    if let Some(server) = demo {
        say::what_to_type(&listener, args.token_file.as_deref(), server);
    }

    let calls = Arc::clone(&proxy);
    let handler = move |request, guard| Arc::clone(&calls).call(request, guard);
    let mut serving = pin!(connections.serve(listener, handler, draining));
    tokio::select! {
        () = serving.as_mut() => {}
        () = signals.next() => {}
    }
    // Ignore the error: the receivers live as long as this future.
    let _ = drain.send(true);
    note("ctc: draining");
    let deadline = Instant::now() + args.drain;
    tokio::select! {
        () = serving.as_mut() => {}
        () = sleep_until(deadline) => note("ctc: the calls that did not finish in time are cut"),
        () = signals.next() => note("ctc: second signal: the remaining calls are cut"),
    }
    // Let a login in progress save its token: otherwise the next process would log in again.
    if matches!(session.phase(), Phase::LoggingIn | Phase::Open(_)) {
        let options = CallOptions::new();
        let login = proxy.upstream.driver().login(&options);
        // Limited in time, like everything else here.
        let _ = timeout_at(deadline, login).await;
    }
    Ok(())
}

async fn serve_health(listener: Listener, health: Health, idle: Duration) {
    let connections = Connections::new(Limits {
        connections: HEALTH_CONNECTIONS,
        idle,
        stall: idle,
    });
    // It responds until the process ends.
    let (_sender, draining) = watch::channel(false);
    let handler = move |request, guard| ready(Ok(health.respond(&request, guard)));
    connections.serve(listener, handler, draining).await;
}

fn listener(args: &Args) -> Result<Listener, Failure> {
    #[cfg(unix)]
    if let Some(path) = &args.socket {
        let doing = format!("listen on the socket {}", path.display());
        return cannot(doing, Listener::unix(path));
    }
    if !args.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "{} is not a loopback address, and every program that reaches the proxy makes calls \
             with this account: listen on 127.0.0.1, [::1] or a --socket",
            args.listen
        )));
    }
    cannot(
        format!("listen on {}", args.listen),
        Listener::tcp(args.listen),
    )
}

/// Returns the limit of connections: `wanted`, or as many as there are file descriptors for, with
/// two for each call.
fn room(wanted: usize) -> usize {
    let needed = 2 * wanted as u64 + SPARE_DESCRIPTORS;
    // Ignore errors: the system has no such limit, or does not let us raise it.
    let Ok(descriptors) = rlimit::increase_nofile_limit(needed) else {
        return wanted;
    };
    let room = descriptors.saturating_sub(SPARE_DESCRIPTORS) / 2;
    let room = usize::try_from(room).unwrap_or(usize::MAX).clamp(1, wanted);
    if room < wanted {
        note(&format!(
            "ctc: the limit of {descriptors} open files allows only {room} connections: raise it \
             with `ulimit -n`"
        ));
    }
    room
}

/// The signals that end the proxy.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            terminate: {
                use tokio::signal::unix::{SignalKind, signal};

                signal(SignalKind::terminate())?
            },
        })
    }

    async fn next(&mut self) {
        let interrupt = tokio::signal::ctrl_c();
        #[cfg(unix)]
        tokio::select! {
            _ = interrupt => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = interrupt.await;
    }
}
