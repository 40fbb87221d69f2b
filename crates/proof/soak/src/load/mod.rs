//! The second process: the clients and their callers.

mod asynchronous;
mod blocking;
mod deed;

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use ctc_driver::ctc_core::{Credentials, Settings};
use ctc_driver::{SessionEvent, SharedSession};
use ctc_store_file::FileStore;
use tokio::runtime::Runtime;

use crate::Failure;
use crate::measure::Figures;
use crate::protocol::{Deeds, Leak, Order, Report};
use crate::weather::Weather;

/// The password of every account.
pub(crate) const PASSWORD: &str = "a soak's pass word: +&%";
const WRONG_PASSWORD: &str = "not the pass word";
pub(crate) const DEVICES: &str = "/connect/services/devices";

/// The budget of each account: this many logins in a row, and one more after each such span.
pub(crate) const BURST: u32 = 10;
pub(crate) const REFILL: Duration = Duration::from_millis(100);

/// How many more bytes than during the warm-up may be in use at a quiet point: tables grow by
/// doubling.
pub(crate) const SLACK: u64 = 64 * 1024;
/// The rounds of the warm-up, after which the figures are the base.
pub(crate) const WARM_UP: u64 = 4;

const CALL_TIMEOUT: Duration = Duration::from_millis(400);
/// How long a connection may be idle: short, so that an idle client soon has none.
const IDLE: Duration = Duration::from_millis(200);

/// The accounts, with the names of their clients: two with long-lived clients, two whose
/// short-lived clients share a store, and the same again for a first run before anything is
/// measured.
pub(crate) const ACCOUNTS: [&str; 8] = [
    "reqwest",
    "ureq",
    "reqwest-churn",
    "ureq-churn",
    "first-reqwest",
    "first-ureq",
    "first-reqwest-churn",
    "first-ureq-churn",
];

/// Follows the orders of the first process, until the end.
pub(crate) fn run() -> Result<(), Failure> {
    let mut orders = std::io::stdin().lock().lines();
    let mut next = || -> Result<Order, Failure> {
        let line = orders.next().ok_or("the first process has gone")??;
        Ok(serde_json::from_str(&line)?)
    };
    let Order::Begin {
        url,
        store,
        seed,
        leak,
    } = next()?
    else {
        return Err("no beginning".into());
    };
    let setup = |first: &'static str| Setup {
        url: url.clone(),
        store: store.clone().into(),
        first,
    };
    // A first run creates what a process creates only once.
    let mut first = Stage::new(setup("first-"), seed)?;
    for weather in [Weather::Calm, Weather::Churn] {
        first.round(Duration::from_millis(300), weather);
        first.settle()?;
    }
    drop(first);
    let before = idle(None);
    let mut stage = Stage::new(setup(""), seed)?;
    loop {
        match next()? {
            Order::Run { millis, weather } => {
                let deeds = stage.round(Duration::from_millis(millis), weather);
                if let Some(leak) = leak {
                    stage.leak(leak)?;
                }
                report(&Report::Paused(deeds))?;
            }
            Order::Settle => {
                let figures = stage.settle()?;
                report(&Report::Settled {
                    figures,
                    clients: stage.counts(),
                })?;
            }
            Order::End => break,
            Order::Begin { .. } => return Err("begun already".into()),
        }
    }
    drop(stage);
    report(&Report::Ended {
        before,
        after: idle(Some(&before)),
    })
}

fn report(report: &Report) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(report)?)?;
    Ok(out.flush()?)
}

/// Returns the figures once everything is dropped: as soon as no more is in use than before, or
/// after some time.
fn idle(before: Option<&Figures>) -> Figures {
    let mut figures = Figures::now(0);
    for _ in 0..40 {
        if before.is_some_and(|before| figures.above(before, SLACK).is_empty()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        figures = Figures::now(0);
    }
    figures
}

/// What a client is built from.
struct Setup {
    url: String,
    store: std::path::PathBuf,
    first: &'static str,
}

impl Setup {
    fn account(&self, name: &str) -> String {
        format!("{}{name}", self.first)
    }

    fn store(&self) -> FileStore {
        FileStore::at(&self.store)
    }
}

fn settings(settings: &mut Settings) {
    let fair_use = &mut settings.fair_use;
    fair_use.burst = NonZeroU32::MIN.saturating_add(BURST - 1);
    fair_use.refill = REFILL;
    fair_use.backoff = Duration::from_millis(20);
    fair_use.backoff_cap = Duration::from_millis(200);
    fair_use.retry_after_cap = Duration::from_millis(300);
    fair_use.rejected_route_memory = Duration::from_millis(500);
    fair_use.short_token_lifetime = Duration::ZERO;
    settings.login_timeout = Duration::from_millis(400);
    settings.lease = Duration::from_secs(2);
}

/// The long-lived clients, and the runtime of one of them.
struct Stage {
    setup: Setup,
    seed: u64,
    reqwest: ctc_reqwest::Client,
    ureq: ctc_ureq::Client,
    base: Figures,
    settled: u64,
    runtime: Runtime,
}

impl Stage {
    fn new(setup: Setup, seed: u64) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let reqwest = asynchronous::client(&setup, "reqwest")?.build()?;
        let ureq = blocking::client(&setup, "ureq")?.build()?;
        Ok(Self {
            setup,
            seed,
            reqwest,
            ureq,
            base: Figures::default(),
            settled: 0,
            runtime,
        })
    }

    /// Lets all callers call until the time is over, and waits for them.
    fn round(&mut self, length: Duration, weather: Weather) -> BTreeMap<String, Deeds> {
        self.seed = self.seed.wrapping_add(1000);
        let (seed, until, setup) = (self.seed, Instant::now() + length, &self.setup);
        let mut all = BTreeMap::new();
        std::thread::scope(|scope| {
            let threads = scope.spawn(|| blocking::round(&self.ureq, setup, seed, until, weather));
            let tasks = self.runtime.block_on(asynchronous::round(
                &self.reqwest,
                setup,
                seed,
                until,
                weather,
            ));
            // A thread that panicked has reported that; the round has no results of it.
            for (name, deeds) in tasks.into_iter().chain(threads.join().unwrap_or_default()) {
                all.insert(name.to_owned(), deeds);
            }
        });
        all
    }

    /// Makes the clients work again, and waits until they are idle.
    fn settle(&mut self) -> Result<Figures, Failure> {
        for session in [self.reqwest.session(), self.ureq.session()] {
            let name = if session.number() == self.ureq.session().number() {
                "ureq"
            } else {
                "reqwest"
            };
            session.set_credentials(Credentials::new(self.setup.account(name), PASSWORD)?);
            session.set_observer(|_: &SharedSession, _: &SessionEvent<'_>| {});
            session.reopen();
            session.reset();
        }
        self.runtime.block_on(asynchronous::mend(&self.reqwest))?;
        let mut figures = Figures::default();
        for _ in 0..30 {
            std::thread::sleep(IDLE * 2);
            // ureq drops idle connections only when it is asked for one.
            blocking::mend(&self.ureq)?;
            figures = Figures::now(self.runtime.metrics().num_alive_tasks());
            if self.settled < WARM_UP || figures.above(&self.base, SLACK).is_empty() {
                break;
            }
        }
        if self.settled < WARM_UP {
            self.base = self.base.most(figures);
        }
        self.settled += 1;
        Ok(figures)
    }

    fn counts(&self) -> BTreeMap<String, crate::protocol::Counted> {
        let counts = [
            ("reqwest", self.reqwest.session()),
            ("ureq", self.ureq.session()),
        ];
        counts
            .map(|(name, session)| (name.to_owned(), session.counts().into()))
            .into()
    }

    fn leak(&self, leak: Leak) -> Result<(), Failure> {
        match leak {
            Leak::Bytes => std::mem::forget(vec![0_u8; 32 * 1024]),
            Leak::Client => {
                for number in 0..8 {
                    std::mem::forget(asynchronous::client(&self.setup, "reqwest")?.build()?);
                    std::mem::forget(
                        blocking::client(&self.setup, &format!("ureq{number}"))?.build()?,
                    );
                }
            }
            Leak::Task => drop(self.runtime.spawn(std::future::pending::<()>())),
            Leak::Thread => drop(std::thread::spawn(std::thread::park)),
            Leak::Socket => {
                let address = self.setup.url.trim_start_matches("http://");
                std::mem::forget(std::net::TcpStream::connect(address)?);
            }
        }
        Ok(())
    }
}

/// Changes a session while it is in use. `half` is whether half of the round is over.
fn meddle(session: &SharedSession, account: &str, weather: Weather, step: u64, half: bool) {
    // A new observer each time: the previous one must be dropped.
    let ballast = vec![0_u8; 1024];
    session.set_observer(move |_: &SharedSession, _: &SessionEvent<'_>| {
        assert!(!std::hint::black_box(&ballast).is_empty());
    });
    match weather {
        Weather::WrongPassword if step == 0 || half => {
            let password = if half { PASSWORD } else { WRONG_PASSWORD };
            // Both counters are far from zero.
            if let Ok(credentials) = Credentials::new(account, password) {
                session.set_credentials(credentials);
            }
            session.close();
            session.reopen();
        }
        Weather::Storm => session.reset(),
        _ => {}
    }
}
