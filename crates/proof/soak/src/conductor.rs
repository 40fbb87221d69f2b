//! The first process: the server, its weather (the faults), and the orders to the load.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ctc_testkit::Server;

use crate::Failure;
use crate::check::Checks;
use crate::load::{ACCOUNTS, PASSWORD};
use crate::measure::KNOWS_ALL;
use crate::protocol::{Leak, Order, Report};
use crate::rng::Rng;
use crate::weather::Weather;

/// The longest round.
const ROUND: Duration = Duration::from_secs(5);
/// How long the load may be silent after a round: many times longer than any caller may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Plan {
    pub(crate) minutes: f64,
    pub(crate) seed: u64,
    pub(crate) leak: Option<Leak>,
}

/// Runs the soak. Returns whether there was no violation.
pub(crate) fn conduct(plan: &Plan) -> Result<bool, Failure> {
    // Sockets of both ends, and many more while connections are cut.
    let _ = rlimit::increase_nofile_limit(8192);
    if !KNOWS_ALL {
        println!(
            "threads, sockets, files and resident memory are not measured here: \
             only Linux tells them"
        );
    }
    let total = Duration::from_secs_f64(plan.minutes * 60.0);
    let kinds = Weather::ALL.len() as u32;
    // Each weather at least once. The part of a round after the load is for settling.
    let length = (total / kinds)
        .min(ROUND)
        .saturating_sub(Duration::from_millis(900))
        .max(Duration::from_millis(300));
    let mut builder = Server::builder();
    for account in ACCOUNTS {
        builder = builder.account(account, PASSWORD);
    }
    let server = builder.start()?;
    let store = tempfile::tempdir()?;
    let begin = Order::Begin {
        url: server.url(),
        store: store.path().to_string_lossy().into_owned(),
        seed: plan.seed,
        leak: plan.leak,
    };
    let (mut load, mut checks) = (Load::start()?, Checks::new());
    let mut rng = Rng::new(plan.seed);
    load.order(&begin)?;
    let start = Instant::now();
    let mut told = start;
    println!(
        "{:>7}  {:<14}{:>9} {:>9} {:>8} {:>6} {:>8} {:>8}",
        "round", "weather", "calls", "logins", "heap KiB", "tasks", "threads", "sockets"
    );
    let mut round = 0_u64;
    while start.elapsed() < total || round < u64::from(kinds) {
        let weather = Weather::ALL[usize::try_from(round % u64::from(kinds))?];
        server.reset_journal();
        load.order(&Order::Run {
            millis: u64::try_from(length.as_millis())?,
            weather,
        })?;
        let deeds = match load.wait(length + PATIENCE, || weather.gust(&server, &mut rng))? {
            Some(Report::Paused(deeds)) => deeds,
            other => {
                return Ok(checks.wedged(round, weather, &format!("a round ended with {other:?}")));
            }
        };
        server.clear_faults();
        load.order(&Order::Settle)?;
        let (figures, clients) = match load.wait(PATIENCE * 2, || {})? {
            Some(Report::Settled { figures, clients }) => (figures, clients),
            other => {
                return Ok(checks.wedged(
                    round,
                    weather,
                    &format!("settling ended with {other:?}"),
                ));
            }
        };
        let new = checks.round(round, weather, &server, &deeds, figures, &clients);
        round += 1;
        if new || round <= u64::from(kinds) || told.elapsed() > total / 20 {
            told = Instant::now();
            println!("{}", checks.line(round, weather, &figures));
        }
    }
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    load.order(&Order::End)?;
    match load.wait(PATIENCE, || {})? {
        Some(Report::Ended { before, after }) => checks.ended(&before, &after),
        other => return Ok(checks.wedged(round, Weather::Calm, &format!("the end was {other:?}"))),
    }
    load.finish()?;
    Ok(checks.summary(minutes))
}

/// The second process.
struct Load {
    child: Child,
    orders: ChildStdin,
    reports: Receiver<Result<Report, Failure>>,
}

impl Load {
    fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("load")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(orders), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the load has no pipes".into());
        };
        let (sender, reports) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let report = line
                    .map_err(Failure::from)
                    .and_then(|line| Ok(serde_json::from_str(&line)?));
                if sender.send(report).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            orders,
            reports,
        })
    }

    fn order(&mut self, order: &Order) -> Result<(), Failure> {
        writeln!(self.orders, "{}", serde_json::to_string(order)?)?;
        Ok(self.orders.flush()?)
    }

    /// Returns the next report, or `None` if it does not arrive in time. Repeats something
    /// meanwhile.
    fn wait(
        &mut self,
        patience: Duration,
        mut meanwhile: impl FnMut(),
    ) -> Result<Option<Report>, Failure> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            match self.reports.recv_timeout(Weather::EVERY) {
                Ok(report) => return report.map(Some),
                Err(RecvTimeoutError::Timeout) => meanwhile(),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err("the load ended early; see above".into());
                }
            }
        }
        Ok(None)
    }

    fn finish(mut self) -> Result<(), Failure> {
        match self.child.wait()?.success() {
            true => Ok(()),
            false => Err("the load failed".into()),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // The process has ended already, unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
