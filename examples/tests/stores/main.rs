//! Both stores against real processes, a real Redis and a CTC server on loopback.
//!
//! Groups G (processes) and E (logout) of the failure cases. A worker is another process of this
//! program, which runs only the test `worker`. Without `redis-server` the Redis tests are skipped,
//! with a message on standard error; `CI=true` makes that a failure.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod clocks;
mod herd;
mod killed;
mod logout;
mod oauth;
mod redis_away;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use ctc_examples::workers::{Adapter, Job, Place, Worker, work_if_asked};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, RedisServer, Server};

#[test]
fn worker() {
    work_if_asked();
}

const WORKER_ARGS: &[&str] = &["worker", "--exact", "--nocapture", "--test-threads=1"];

/// A server, and a new store.
struct Stage {
    server: Server,
    place: Place,
    redis: Option<RedisServer>,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn on_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::File(folder.path().join("sessions"));
        Self {
            server: Server::start().unwrap(),
            place,
            redis: None,
            _folder: folder,
        }
    }

    fn on_redis(what: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let redis = RedisServer::for_test(what)?;
        let place = Place::Redis(
            redis.url(),
            format!("test-{}", NUMBER.fetch_add(1, Relaxed)),
        );
        let folder = tempfile::tempdir().unwrap();
        Some(Self {
            server: Server::start().unwrap(),
            place,
            redis: Some(redis),
            _folder: folder,
        })
    }

    fn job(&self) -> Job {
        Job {
            url: self.server.url(),
            token_url: None,
            app_key: DEFAULT_APP_KEY.into(),
            username: DEFAULT_USERNAME.into(),
            password: DEFAULT_PASSWORD.into(),
            place: self.place.clone(),
            adapter: Adapter::Blocking,
            login_timeout: Duration::from_secs(8),
            lease: Duration::from_secs(40),
            // Tests revoke tokens every minute, which must not count as short lifetimes.
            short_token_lifetime: Duration::ZERO,
        }
    }

    fn start(&self) -> Worker {
        Worker::start(&self.job(), WORKER_ARGS).unwrap()
    }

    /// Starts workers of both kinds, in turns.
    fn start_many(&self, count: usize) -> Vec<Worker> {
        let kinds = [Adapter::Blocking, Adapter::Async].into_iter().cycle();
        let jobs: Vec<_> = kinds
            .take(count)
            .map(|adapter| Job {
                adapter,
                ..self.job()
            })
            .collect();
        Worker::start_all(&jobs, WORKER_ARGS).unwrap()
    }

    /// Returns the number of all calls, however they ended.
    fn logins(&self) -> u64 {
        let counts = self.server.counts();
        counts.login_requests
    }

    fn wait_for_held_login(&self) {
        self.server
            .wait_until(|counts| counts.held > 0, Duration::from_secs(10))
            .unwrap();
    }

    /// Returns the `Cookie` of the last call that the server received.
    fn last_cookie(&self) -> String {
        let journal = self.server.journal();
        let cookies = journal.iter().rev().flat_map(|entry| &entry.headers);
        cookies
            .clone()
            .find(|(name, _)| name == "cookie")
            .map(|(_, value)| value.clone())
            .unwrap()
    }

    /// Checks that there was no violation and no needless login.
    fn all_fair(&self) {
        let counts = self.server.counts();
        assert_eq!(
            (counts.violations, counts.needless_logins),
            (0, 0),
            "{counts:?}"
        );
    }
}

/// Makes a test for each store from a scenario.
macro_rules! on_both_stores {
    ($($(#[$doc:meta])* fn $name:ident($stage:ident: $type:ty) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            fn scenario($stage: $type) $body

            #[test]
            fn file() {
                scenario(&mut $crate::Stage::on_file());
            }

            #[test]
            fn redis() {
                if let Some(mut stage) = $crate::Stage::on_redis(stringify!($name)) {
                    scenario(&mut stage);
                }
            }
        }
    )*};
}
use on_both_stores;
