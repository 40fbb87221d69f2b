//! What a store adds to a login, and what processes that share one save.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ctc_bench::Failure;
use ctc_bench::rounds::median;
use ctc_bench::stub::{Stub, session};
use ctc_driver::{CallOptions, Driver, MemoryStore, SessionStore};
use ctc_store_file::FileStore;
use ctc_store_redis::RedisStore;
use ctc_testkit::{NoRedis, RedisServer};

use crate::table::Row;

/// How many logins are timed.
const LOGINS: usize = 50;
/// The number of processes on one store.
const PROCESSES: &str = "20";

pub(crate) fn measure() -> Result<Vec<Row>, Failure> {
    let folder = Folder::new();
    let none = micros(|_| None)?;
    let memory = micros(|_| Some(Arc::new(MemoryStore::new())))?;
    // Each session has its own folder: otherwise the second would find the first one's token and
    // not log in.
    let file = micros(|number| Some(Arc::new(FileStore::at(folder.0.join(number.to_string())))))?;
    let found = micros(|_| Some(Arc::new(FileStore::at(folder.0.join("0")))))?;
    Ok(vec![
        Row::shown(
            "a login over the stub, time: no store / memory / file",
            format!("{none:.0} / {memory:.0} / {file:.0} µs"),
        ),
        Row::shown(
            "  in its place, a token found in the file",
            format!("{found:.0} µs"),
        ),
        redis()?,
        processes("file")?,
        processes("redis")?,
    ])
}

/// Measures a login with a private Redis, which writes each change to disk before it responds.
fn redis() -> Result<Row, Failure> {
    let what = "  with Redis on this machine: a login / a token found";
    let server = match RedisServer::start() {
        Ok(server) => server,
        Err(NoRedis::NotInstalled) => {
            return Ok(Row::skipped(what, "redis-server is not installed"));
        }
        Err(error) => return Err(error.into()),
    };
    let opened = RedisStore::open(server.url().as_str())?;
    // Each session has its own prefix, like the folders above. The login opens the connection.
    let store = |prefix: String| -> Option<Arc<dyn SessionStore>> {
        Some(Arc::new(opened.clone().prefix(prefix)))
    };
    let login = micros(|number| store(number.to_string()))?;
    let found = micros(|_| store("0".to_owned()))?;
    Ok(Row::shown(what, format!("{login:.0} / {found:.0} µs")))
}

fn micros(store: impl Fn(usize) -> Option<Arc<dyn SessionStore>>) -> Result<f64, Failure> {
    let mut times = Vec::with_capacity(LOGINS);
    for number in 0..LOGINS {
        let driver = Driver::new(session()?, Stub::new(Duration::ZERO, false), store(number));
        let start = Instant::now();
        driver.login(&CallOptions::default())?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(times))
}

/// Runs the example of many processes with one session, as `cargo xtask fleet` does.
fn processes(store: &str) -> Result<Row, Failure> {
    let what = format!("{PROCESSES} processes on one {store} store, dead token");
    if store == "redis"
        && Command::new("redis-server")
            .arg("--version")
            .output()
            .is_err()
    {
        return Ok(Row::skipped(what, "redis-server is not installed"));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut example = Command::new(cargo);
    example.args([
        "run",
        "--quiet",
        "--package",
        "ctc-examples",
        "--example",
        "fleet",
        "--",
    ]);
    let output = example
        .args(["--store", store, "--processes", PROCESSES])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("revoked token"));
    let line = line.filter(|_| output.status.success());
    let line = line.ok_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let figure = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let met = figure.contains(" 1 login ") && figure.contains(" 0 refused");
    Ok(Row::new(what, figure, "1 login, all answered", met))
}

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("ctc-bench-stores-{}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Ignore the error: a folder that is left behind only takes space.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
