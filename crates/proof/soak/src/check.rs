//! The checks after each round and at the end, and the summary.

use std::collections::BTreeMap;
use std::time::Instant;

use ctc_testkit::{Class, Server};

use crate::load::{ACCOUNTS, BURST, REFILL, SLACK, WARM_UP};
use crate::measure::Figures;
use crate::protocol::{Counted, Deeds};
use crate::weather::Weather;

/// What the server received from one account.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    calls: u64,
    unauthorized: u64,
    logins: u64,
    logouts: u64,
}

pub(crate) struct Checks {
    start: Instant,
    violations: Vec<String>,
    base: Figures,
    most: Figures,
    seen: BTreeMap<String, Seen>,
    deeds: BTreeMap<String, Deeds>,
    rounds: u64,
}

impl Checks {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            violations: Vec::new(),
            base: Figures::default(),
            most: Figures::default(),
            seen: BTreeMap::new(),
            deeds: BTreeMap::new(),
            rounds: 0,
        }
    }

    /// Checks a round. Returns whether it had a violation.
    pub(crate) fn round(
        &mut self,
        round: u64,
        weather: Weather,
        server: &Server,
        deeds: &BTreeMap<String, Deeds>,
        figures: Figures,
        clients: &BTreeMap<String, Counted>,
    ) -> bool {
        let before = self.violations.len();
        for (name, deeds) in deeds {
            self.deeds.entry(name.clone()).or_default().add(deeds);
        }
        let mut found = self.look_at_the_server(server);
        found.extend(self.compare(clients));
        if round < WARM_UP {
            self.base = self.base.most(figures);
        } else {
            found.extend(figures.above(&self.base, SLACK));
        }
        self.most = self.most.most(figures);
        self.rounds = round + 1;
        for what in found {
            self.violate(&format!("round {} ({weather:?}): {what}", round + 1));
        }
        self.violations.len() > before
    }

    fn violate(&mut self, what: &str) {
        println!("VIOLATION {what}");
        self.violations.push(what.to_owned());
    }

    /// Adds the round's requests, and checks that all of them were allowed.
    fn look_at_the_server(&mut self, server: &Server) -> Vec<String> {
        let (counts, journal) = (server.counts(), server.journal());
        for entry in &journal {
            let name = entry
                .header("user-agent")
                .first()
                .copied()
                .unwrap_or_default()
                .to_owned();
            let seen = self.seen.entry(name).or_default();
            match entry.class {
                Class::Call => {
                    seen.calls += 1;
                    seen.unauthorized += u64::from(entry.status == Some(401));
                }
                Class::Login => seen.logins += 1,
                Class::Logout => seen.logouts += 1,
                _ => {}
            }
        }
        let mut found = Vec::new();
        if counts.violations > 0 {
            let broken: Vec<_> = journal
                .iter()
                .filter_map(|entry| Some((entry.violation?, &entry.path)))
                .take(3)
                .collect();
            found.push(format!(
                "{} requests broke a rule of the interface: {broken:?}",
                counts.violations
            ));
        }
        // The server is older than each session, so this is never less than what the governor
        // allows.
        let budget =
            u64::from(BURST) + (self.start.elapsed().as_millis() / REFILL.as_millis()) as u64;
        for name in ACCOUNTS {
            let logins = self.seen.get(name).copied().unwrap_or_default().logins;
            // A record's times are whole milliseconds, so a shared budget is exact to one
            // millisecond for each login.
            let slack = if name.ends_with("churn") {
                1 + budget / 50
            } else {
                0
            };
            if logins > budget + slack {
                found.push(format!(
                    "{logins} logins of {name} exceed the budget of {budget}"
                ));
            }
        }
        found
    }

    /// Compares the counts of the long-lived clients with the server's.
    fn compare(&self, clients: &BTreeMap<String, Counted>) -> Vec<String> {
        let mut found = Vec::new();
        for (name, own) in clients {
            let seen = self.seen.get(name).copied().unwrap_or_default();
            let deeds = self.deeds.get(name).cloned().unwrap_or_default();
            if seen.calls > own.calls
                || seen.logins > own.logins
                || own.unauthorized > seen.unauthorized
            {
                found.push(format!(
                    "{name} counts {own:?}, but the server received {seen:?}"
                ));
            }
            // A call that was dropped midway, and each of its replays, may never have reached the
            // server.
            let lost = 2 * deeds.uncertain();
            if own.calls - seen.calls.min(own.calls) > lost {
                found.push(format!(
                    "{name} counts {own:?}, the server received {seen:?}, and {lost} may be lost"
                ));
            }
            if let Some(panics) = deeds.errors.get("panicked") {
                found.push(format!("{panics} callers of {name} panicked"));
            }
        }
        found
    }

    /// Reports that something did not end, so that the rest cannot be measured.
    pub(crate) fn wedged(&mut self, round: u64, weather: Weather, what: &str) -> bool {
        self.violate(&format!(
            "round {} ({weather:?}): the load does not respond: {what}",
            round + 1
        ));
        self.summary(self.start.elapsed().as_secs_f64() / 60.0)
    }

    pub(crate) fn ended(&mut self, before: &Figures, after: &Figures) {
        self.most.rss_peak = self.most.rss_peak.max(after.rss_peak);
        self.most.heap_peak = self.most.heap_peak.max(after.heap_peak);
        println!(
            "\nat the end, all dropped: heap {} KiB (before: {}), threads {} ({}), \
             sockets {} ({}), files {} ({})",
            after.heap / 1024,
            before.heap / 1024,
            after.threads,
            before.threads,
            after.sockets,
            before.sockets,
            after.files,
            before.files
        );
        for what in after.above(before, SLACK) {
            self.violate(&format!("after the end: {what}"));
        }
    }

    fn all_seen(&self) -> (u64, u64) {
        self.seen.values().fold((0, 0), |(calls, logins), seen| {
            (calls + seen.calls, logins + seen.logins)
        })
    }

    pub(crate) fn line(&self, round: u64, weather: Weather, figures: &Figures) -> String {
        let (calls, logins) = self.all_seen();
        format!(
            "{round:>7}  {:<14}{calls:>9} {logins:>9} {:>8} {:>6} {:>8} {:>8}",
            format!("{weather:?}"),
            figures.heap / 1024,
            figures.tasks,
            figures.threads,
            figures.sockets
        )
    }

    /// Prints the summary. Returns whether there was no violation.
    pub(crate) fn summary(&self, minutes: f64) -> bool {
        println!(
            "\n{:<16}{:>9}{:>9}{:>9}{:>8}{:>9}{:>8}{:>8}{:>8}",
            "client",
            "calls",
            "responses",
            "dropped",
            "logins",
            "logouts",
            "401s",
            "built",
            "clones"
        );
        for (name, seen) in self
            .seen
            .iter()
            .filter(|(name, _)| self.deeds.contains_key(*name))
        {
            let deeds = &self.deeds[name];
            println!(
                "{name:<16}{:>9}{:>9}{:>9}{:>8}{:>9}{:>8}{:>8}{:>8}",
                seen.calls,
                deeds.responses,
                deeds.cancelled,
                seen.logins,
                seen.logouts,
                seen.unauthorized,
                deeds.built,
                deeds.clones
            );
        }
        let mut errors: BTreeMap<&str, u64> = BTreeMap::new();
        for (kind, count) in self.deeds.values().flat_map(|deeds| &deeds.errors) {
            *errors.entry(kind).or_default() += count;
        }
        println!("\nerrors, by kind:");
        errors
            .iter()
            .for_each(|(kind, count)| println!("  {kind:<24}{count:>9}"));
        let Figures {
            heap,
            heap_peak,
            tasks,
            threads,
            pool,
            sockets,
            rss_peak,
            ..
        } = self.most;
        println!(
            "\nat quiet points: heap {} KiB after warm-up, {} KiB at most (slack {} KiB); \
             tasks {tasks}, threads {threads} and {pool} of the pool, sockets {sockets} at most",
            self.base.heap / 1024,
            heap / 1024,
            SLACK / 1024
        );
        println!(
            "peak memory of the load: heap {} KiB, resident {} KiB",
            heap_peak / 1024,
            rss_peak / 1024
        );
        let (calls, logins) = self.all_seen();
        println!(
            "\nsoak: {:.1} minutes, {} rounds, {calls} calls, {logins} logins, {} violations",
            minutes,
            self.rounds,
            self.violations.len()
        );
        self.violations.is_empty()
    }
}
