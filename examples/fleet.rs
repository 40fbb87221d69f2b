//! Twenty processes with fifty callers each, one session: `cargo run --example fleet -- --store
//! file`.
//!
//! Starts a CTC test server on loopback and many processes of this program that share a session
//! through a store: half of them with `ctc-reqwest`, half with `ctc-ureq`. With `--store redis` the
//! store is a private Redis on loopback, or the one at `--redis-url`. Prints what the callers got,
//! and how many logins the server counted.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks"
)]

use std::process::ExitCode;
use std::time::Duration;

use ctc_examples::workers::{Adapter, Command, Job, Place, Sum, Worker, all, work_if_asked};
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, RedisServer, Rule, Server,
};

const CALLERS: usize = 50;

fn main() -> ExitCode {
    work_if_asked();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let options = Options::from_args()?;
    // Each call takes a socket here and one in the server.
    let _ = rlimit::increase_nofile_limit(16384);
    let server = Server::start().map_err(|error| error.to_string())?;
    // A slow login, so that any other caller that might log in too has the chance to.
    server.inject(Rule::forever(Matcher::Login, Fault::Delay(500)));
    let store = Store::open(&options)?;
    println!(
        "{} processes x {CALLERS} callers, one {} store",
        options.processes, options.store
    );

    let jobs = |password: &str, name: &str| -> Vec<Job> {
        let adapter = |n: usize| {
            if n.is_multiple_of(2) {
                Adapter::Blocking
            } else {
                Adapter::Async
            }
        };
        let job = |n| Job {
            url: server.url(),
            token_url: None,
            app_key: DEFAULT_APP_KEY.into(),
            username: DEFAULT_USERNAME.into(),
            password: password.into(),
            place: store.place(name),
            adapter: adapter(n),
            login_timeout: Duration::from_secs(10),
            lease: Duration::from_secs(40),
            short_token_lifetime: Duration::from_secs(60),
        };
        (0..options.processes).map(job).collect()
    };
    let calls = options.processes * CALLERS;

    let mut workers = Worker::start_all(&jobs(DEFAULT_PASSWORD, "good"), &[])?;
    let sum = all(&mut workers, Command::Call(CALLERS))?;
    tell("cold start", &sum, &server, sum.answered == calls)?;

    server.reset_journal();
    server.revoke_all();
    let sum = all(&mut workers, Command::Call(CALLERS))?;
    tell("revoked token", &sum, &server, sum.answered == calls)?;
    drop(workers);

    server.reset_journal();
    let mut workers = Worker::start_all(&jobs("not-the-password!", "bad"), &[])?;
    let sum = all(&mut workers, Command::Call(CALLERS))?;
    tell(
        "refused credentials",
        &sum,
        &server,
        sum.refused() == calls && sum.others.len() == 1,
    )
}

/// Prints a line with the server's count of logins. Fails unless `as_it_should`.
fn tell(what: &str, sum: &Sum, server: &Server, as_it_should: bool) -> Result<(), String> {
    let (answered, refused) = (sum.answered, sum.refused());
    let logins = server.counts().login_requests;
    let plural = if logins == 1 { "" } else { "s" };
    let seconds = sum.took.as_secs_f64();
    println!(
        "{what:20} {answered:5} answered, {refused:5} refused; \
         {logins} login{plural}  ({seconds:.1} s)"
    );
    sum.others
        .iter()
        .for_each(|(error, count)| println!("{:20} {count:5} x {error}", ""));
    if as_it_should && logins == 1 {
        Ok(())
    } else {
        Err(format!("{what} did not end as it should"))
    }
}

struct Options {
    store: String,
    processes: usize,
    redis_url: Option<String>,
}

impl Options {
    fn from_args() -> Result<Self, String> {
        let mut options = Self {
            store: "file".into(),
            processes: 20,
            redis_url: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--store" if ["file", "redis"].contains(&value.as_str()) => options.store = value,
                "--processes" => {
                    options.processes = value.parse().map_err(|_| "--processes needs a number")?;
                }
                "--redis-url" => options.redis_url = Some(value),
                _ => {
                    return Err(
                        "usage: fleet [--store file|redis] [--processes N] [--redis-url URL]"
                            .into(),
                    );
                }
            }
        }
        Ok(options)
    }
}

enum Store {
    File(tempfile::TempDir),
    Redis {
        url: String,
        _own: Option<RedisServer>,
    },
}

impl Store {
    fn open(options: &Options) -> Result<Self, String> {
        Ok(match (&*options.store, &options.redis_url) {
            ("redis", Some(url)) => Self::Redis {
                url: url.clone(),
                _own: None,
            },
            ("redis", None) => {
                let redis = RedisServer::start().map_err(|error| error.to_string())?;
                Self::Redis {
                    url: redis.url(),
                    _own: Some(redis),
                }
            }
            _ => Self::File(tempfile::tempdir().map_err(|error| error.to_string())?),
        })
    }

    fn place(&self, name: &str) -> Place {
        match self {
            Self::File(folder) => Place::File(folder.path().join(name)),
            Self::Redis { url, .. } => Place::Redis(
                url.clone(),
                format!("ctc-fleet-{}-{name}", std::process::id()),
            ),
        }
    }
}
