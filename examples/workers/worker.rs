//! A worker process, seen from inside.

use std::io::{BufRead, Write};
use std::process::exit;
use std::time::Instant;

use ctc_reqwest::{Endpoint, Login, OAuth, SharedSession};
use ctc_store_file::FileStore;
use ctc_store_redis::RedisStore;
use ctc_testkit::DEFAULT_CLIENT_ID;

use super::{Adapter, Command, Job, Place, Report, WORKER};

const PATH: &str = "/connect/services/devices/1001";

/// If this process was started as a worker, follows the commands on standard input and never
/// returns.
#[expect(clippy::print_stderr, reason = "the process has nobody else to tell")]
pub fn work_if_asked() {
    let Some(job) = std::env::var_os(WORKER) else {
        return;
    };
    let job = serde_json::from_slice(job.as_encoded_bytes()).map_err(|error| error.to_string());
    let result = job.and_then(|job| work(&job));
    if let Err(error) = &result {
        eprintln!("worker: {error}");
    }
    exit(i32::from(result.is_err()))
}

fn work(job: &Job) -> Result<(), String> {
    let client = Client::new(job)?;
    let mut out = std::io::stdout();
    let mut say = |report: &Report| {
        let line = serde_json::to_string(report).map_err(|error| error.to_string())?;
        // Begin a new line, because other output may precede it.
        writeln!(out, "\n{line}")
            .and_then(|()| out.flush())
            .map_err(|error| error.to_string())
    };
    say(&Report::default())?;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let command = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let began = Instant::now();
        let results = match command {
            Command::Call(callers) => client.call(callers),
            Command::LogOut => client.log_out(),
            Command::Reset => {
                client.session().reset();
                Vec::new()
            }
        };
        let mut report = Report {
            took: began.elapsed(),
            ..Report::default()
        };
        for result in results {
            match result {
                Ok(()) => report.answered += 1,
                Err(why) => *report.others.entry(why).or_default() += 1,
            }
        }
        let counts = client.session().counts();
        (report.logins, report.adopted, report.store_failures) =
            (counts.logins, counts.adopted, counts.store_failures);
        say(&report)?;
    }
    Ok(())
}

enum Client {
    Blocking(ctc_ureq::Client),
    Async(ctc_reqwest::Client, tokio::runtime::Runtime),
}

type Results = Vec<Result<(), String>>;

impl Client {
    fn new(job: &Job) -> Result<Self, String> {
        // The program chooses the crypto provider of its TLS; the adapters do not.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = |error: &dyn std::error::Error| crate::explain(error);
        let endpoint = Endpoint::danger_plain_http(&job.url).map_err(|error| text(&error))?;
        let login = match &job.token_url {
            None => Login::AuthToken,
            Some(url) => OAuth::danger_plain_http(url, DEFAULT_CLIENT_ID)
                .map(Login::OAuth)
                .map_err(|error| text(&error))?,
        };
        macro_rules! build {
            ($builder:expr) => {{
                let builder = $builder
                    .endpoint(endpoint)
                    .login(login)
                    .app_key(&job.app_key)
                    .credentials(&job.username, &job.password)
                    .settings(|settings| {
                        (settings.login_timeout, settings.lease) = (job.login_timeout, job.lease);
                        settings.fair_use.short_token_lifetime = job.short_token_lifetime;
                    });
                let builder = match &job.place {
                    Place::File(folder) => builder.store(FileStore::at(folder)),
                    Place::Redis(url, prefix) => {
                        let store = RedisStore::open(url).map_err(|error| text(&error))?;
                        builder.store(store.prefix(prefix))
                    }
                };
                builder.build().map_err(|error| text(&error))?
            }};
        }
        Ok(match job.adapter {
            Adapter::Blocking => Self::Blocking(build!(ctc_ureq::Client::builder())),
            Adapter::Async => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let runtime = runtime.map_err(|error| text(&error))?;
                Self::Async(build!(ctc_reqwest::Client::builder()), runtime)
            }
        })
    }

    fn session(&self) -> &SharedSession {
        match self {
            Self::Blocking(client) => client.session(),
            Self::Async(client, _) => client.session(),
        }
    }

    fn call(&self, callers: usize) -> Results {
        match self {
            Self::Blocking(client) => std::thread::scope(|scope| {
                let one = || match client.get(PATH).send() {
                    Ok(response) => judge(response.status()),
                    Err(error) => Err(crate::explain(&error)),
                };
                let threads: Vec<_> = (0..callers).map(|_| scope.spawn(one)).collect();
                let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
                joined
                    .map(|result| result.unwrap_or_else(|_| Err("panicked".into())))
                    .collect()
            }),
            Self::Async(client, runtime) => runtime.block_on(async {
                let mut calls = tokio::task::JoinSet::new();
                for _ in 0..callers {
                    let client = client.clone();
                    calls.spawn(async move {
                        match client.get(PATH).send().await {
                            Ok(response) => judge(response.status()),
                            Err(error) => Err(crate::explain(&error)),
                        }
                    });
                }
                calls.join_all().await
            }),
        }
    }

    fn log_out(&self) -> Results {
        let ended = match self {
            Self::Blocking(client) => client.logout(),
            Self::Async(client, runtime) => runtime.block_on(client.logout()),
        };
        vec![Err(format!("{ended:?}"))]
    }
}

fn judge(status: http::StatusCode) -> Result<(), String> {
    if status.is_success() {
        Ok(())
    } else {
        Err(status.to_string())
    }
}
