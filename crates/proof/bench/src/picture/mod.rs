//! The pictures of the README, from the figures of one run.

mod chart;

use std::path::Path;

use ctc_bench::Failure;
use serde_json::Value;

pub(crate) use self::chart::Spread;
use self::chart::{Bar, Frame, Line};
use crate::measure::{herds, proxy, stamps, threads};

/// The data of the pictures.
pub(crate) struct Figures<'a> {
    pub(crate) stamps: stamps::Stamps,
    pub(crate) threads: &'a [threads::Point],
    pub(crate) herds: &'a [herds::Point],
}

/// Draws all pictures, with the peers if `peers.json` is in the folder.
pub(crate) fn draw(folder: &Path, machine: &Value, figures: &Figures<'_>) -> Result<(), Failure> {
    std::fs::write(folder.join("machine.json"), format!("{machine:#}\n"))?;
    let peers: Value = match std::fs::read_to_string(folder.join("peers.json")) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Value::Null, // the peers were not run
    };
    let source = source(machine);
    let peers = peers["peers"].as_array().map_or(&[][..], Vec::as_slice);
    stamp_bars(folder, &source, figures.stamps, peers)?;
    thread_lines(folder, &source, figures.threads)?;
    herd_lines(folder, &source, figures.herds)?;
    herd_bars(folder, &source, figures.herds, peers)
}

/// Draws the proxy's picture.
pub(crate) fn draw_proxy(
    folder: &Path,
    machine: &Value,
    points: &[proxy::Point],
) -> Result<(), Failure> {
    type Pick = fn(&proxy::Point) -> Spread;
    let lines: [(&str, Pick); 2] = [
        ("ctc proxy", |point| point.ours),
        ("a bare reverse proxy", |point| point.bare),
    ];
    let lines = lines.map(|(name, pick)| Line {
        name,
        points: points
            .iter()
            .map(|point| (point.connections as f64, pick(point)))
            .collect(),
    });
    let notes = [
        "The bare proxy is made of the same parts (hyper), with key and token set by hand."
            .to_owned(),
        "Client, proxy and server share the cores. Bars show quartiles. More is better.".to_owned(),
    ];
    let source = source(machine);
    let frame = Frame {
        title: "The local proxy against a bare one",
        notes: &notes,
        source: &source,
    };
    let axes = ("connections", "requests per second");
    chart::lines(&folder.join("proxy.svg"), &frame, axes, &lines)
}

/// Returns machine and versions, in one line.
fn source(machine: &Value) -> String {
    let part = |key: &str| machine[key].as_str().unwrap_or_default();
    format!(
        "{}, {} cores, {}, {}",
        part("processor"),
        machine["cores"],
        part("rustc"),
        part("profile"),
    )
}

fn stamp_bars(
    folder: &Path,
    source: &str,
    stamps: stamps::Stamps,
    peers: &[Value],
) -> Result<(), Failure> {
    let ours = |name: &str, value: Spread| Bar {
        name: name.to_owned(),
        value,
        label: format!("{:.2}", value.mid),
        ours: true,
    };
    let mut bars = vec![
        ours("L, the limit", Spread::exactly(1.0)),
        ours("ctc: all session work of a call", stamps.ratio),
    ];
    bars.extend(peers.iter().map(|peer| {
        let value = peer["times_limit"].as_f64().unwrap_or_default();
        Bar {
            ours: false,
            ..ours(
                peer["name"].as_str().unwrap_or_default(),
                Spread::exactly(value),
            )
        }
    }));
    let notes = [
        format!(
            "L is the least that any client must do: put key and token, both ready made, on a \
             request. Here {:.0} ns.",
            stamps.limit_ns,
        ),
        "A session layer that holds a good token adds this to every call. Less is better."
            .to_owned(),
    ];
    let frame = Frame {
        title: "Cost of one call's session work",
        notes: &notes,
        source,
    };
    chart::bars(
        &folder.join("stamps.svg"),
        &frame,
        "time, in units of L",
        &bars,
        false,
    )
}

fn thread_lines(folder: &Path, source: &str, points: &[threads::Point]) -> Result<(), Failure> {
    type Pick = fn(&threads::Point) -> Spread;
    let lines: [(&str, Pick); 4] = [
        ("ctc, one session for all", |point| point.ours),
        ("ctc, a session for each thread", |point| point.own_sessions),
        ("L, values of its own for each thread", |point| {
            point.limit_own
        }),
        ("L, the same values for all", |point| point.limit_shared),
    ];
    let lines = lines.map(|(name, pick)| Line {
        name,
        points: points
            .iter()
            .map(|point| (point.threads as f64, pick(point)))
            .collect(),
    });
    let notes = [
        "The session work of calls, from many threads at once; L as in the first picture."
            .to_owned(),
        "Bars show the quartiles of the rounds. More is better.".to_owned(),
    ];
    let frame = Frame {
        title: "One session under many threads",
        notes: &notes,
        source,
    };
    let axes = ("threads", "million calls per second");
    chart::lines(&folder.join("threads.svg"), &frame, axes, &lines)
}

fn herd_lines(folder: &Path, source: &str, points: &[herds::Point]) -> Result<(), Failure> {
    let line = Line {
        name: "ctc, tasks on one session",
        points: points
            .iter()
            .map(|point| (point.callers as f64, point.millis))
            .collect(),
    };
    let notes = [
        "Time until every caller has its response after the token died. A login takes 300 ms."
            .to_owned(),
        "Bars show the spread of three herds. Less is better.".to_owned(),
    ];
    let frame = Frame {
        title: "A herd on a dead token",
        notes: &notes,
        source,
    };
    chart::lines(
        &folder.join("herd.svg"),
        &frame,
        ("callers", "milliseconds"),
        &[line],
    )
}

fn herd_bars(
    folder: &Path,
    source: &str,
    points: &[herds::Point],
    peers: &[Value],
) -> Result<(), Failure> {
    const CALLERS: usize = 1_000;
    let millis = |callers: usize| {
        points
            .iter()
            .find(|point| point.callers == callers)
            .map(|point| point.millis.mid)
    };
    let (Some(alone), Some(all)) = (millis(1), millis(CALLERS)) else {
        return Ok(());
    };
    let label = |times: f64, logins: u64| {
        let s = if logins == 1 { "" } else { "s" };
        format!("{times:.1}, by {logins} login{s}")
    };
    let mut bars = vec![Bar {
        name: "ctc".to_owned(),
        value: Spread::exactly(all / alone),
        label: label(all / alone, 1),
        ours: true,
    }];
    bars.extend(peers.iter().map(|peer| {
        let times = peer["expired_times_fetch"].as_f64().unwrap_or_default();
        Bar {
            name: peer["name"].as_str().unwrap_or_default().to_owned(),
            value: Spread::exactly(times),
            label: label(times, peer["expired_fetches"].as_u64().unwrap_or_default()),
            ours: false,
        }
    }));
    let notes = [
        "Time until all of 1,000 callers are served after the old token expired.".to_owned(),
        "Less is better. The axis is logarithmic.".to_owned(),
    ];
    let frame = Frame {
        title: "1,000 callers on an expired token, against other token layers",
        notes: &notes,
        source,
    };
    chart::bars(
        &folder.join("herd-peers.svg"),
        &frame,
        "time, in logins",
        &bars,
        true,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let s = |mid: f64| Spread {
            low: mid * 0.97,
            mid,
            high: mid * 1.02,
        };
        let threads = [1, 2, 8, 64].map(|threads| threads::Point {
            threads,
            ours: s(11.3),
            own_sessions: s(11.5),
            limit_own: s(18.2),
            limit_shared: s(4.4),
        });
        let herds = [1, 10, 100, 1_000, 10_000].map(|callers| herds::Point {
            callers,
            millis: s(301.0 + callers as f64 / 400.0),
        });
        let figures = Figures {
            stamps: stamps::Stamps {
                limit_ns: 60.0,
                ratio: s(1.4),
            },
            threads: &threads,
            herds: &herds,
        };
        let peers = include_str!("../../pictures/peers.json");
        std::fs::write(folder.path().join("peers.json"), peers).unwrap();
        let machine = serde_json::json!({ "cores": 2 });
        draw(folder.path(), &machine, &figures).unwrap();
        let points = [1, 32, 256].map(|connections| proxy::Point {
            connections,
            ours: s(9_500.0),
            bare: s(10_000.0),
        });
        draw_proxy(folder.path(), &machine, &points).unwrap();
        for (picture, words) in [
            ("stamps.svg", "units of L"),
            ("threads.svg", "million calls per second"),
            ("herd.svg", "milliseconds"),
            ("herd-peers.svg", "1000 logins"),
            ("proxy.svg", "requests per second"),
        ] {
            let svg = std::fs::read_to_string(folder.path().join(picture)).unwrap();
            assert!(svg.contains(words), "{picture}");
        }
    }
}
