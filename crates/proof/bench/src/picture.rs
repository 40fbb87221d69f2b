//! Pictures as SVG: bars, and lines over a logarithmic axis. Small, since nothing more is needed.

use std::fmt::Write as _;
use std::path::Path;

use ctc_bench::Failure;
use serde_json::Value;

use crate::measure::{herds, proxy, stamps, threads};

const COLOURS: [&str; 4] = ["#1b6ca8", "#d1495b", "#66a182", "#8d6b94"];
const WIDTH: f64 = 760.0;

/// Draws all pictures. Peers are in them when `peers.json` is in the folder.
pub(crate) fn draw(
    folder: &Path,
    machine: &Value,
    stamp: stamps::Stamps,
    by_threads: &[threads::Point],
    by_callers: &[herds::Point],
) -> Result<(), Failure> {
    std::fs::write(folder.join("machine.json"), format!("{machine:#}\n"))?;
    let peers: Value = match std::fs::read_to_string(folder.join("peers.json")) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Value::Null, // not run here
    };
    let mut bars = vec![
        ("limit L".to_owned(), 1.0),
        ("ctc: the whole session work".to_owned(), stamp.ratio),
    ];
    for peer in peers["peers"].as_array().into_iter().flatten() {
        bars.push((
            peer["name"].as_str().unwrap_or_default().to_owned(),
            peer["times_limit"].as_f64().unwrap_or(0.0),
        ));
    }
    let title = format!(
        "One stamp, token cached, in units of L ({:.0} ns)",
        stamp.limit_ns
    );
    std::fs::write(folder.join("stamps.svg"), bar_chart(&title, &bars, machine))?;

    type Pick = fn(&threads::Point) -> f64;
    let lines: [(&str, Pick); 4] = [
        ("ctc, one session", |point| point.ours),
        ("ctc, a session each", |point| point.own_sessions),
        ("L, buffers of their own", |point| point.limit_own),
        ("L, one shared pair", |point| point.limit_shared),
    ];
    let lines: Vec<_> = lines
        .iter()
        .map(|(name, pick)| {
            (
                *name,
                by_threads
                    .iter()
                    .map(|point| (point.threads as f64, pick(point)))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    let chart = line_chart(
        "Calls a second (millions) by threads",
        "threads",
        &lines,
        machine,
    );
    std::fs::write(folder.join("threads.svg"), chart)?;

    let herd: Vec<_> = by_callers
        .iter()
        .map(|point| (point.callers as f64, point.seconds * 1e3))
        .collect();
    let title = "All answered after a dead token (ms); one login takes 300 ms";
    let chart = line_chart(title, "callers", &[("ctc, tasks", herd)], machine);
    std::fs::write(folder.join("herd.svg"), chart)?;
    Ok(())
}

/// Draws the proxy's picture.
pub(crate) fn draw_proxy(
    folder: &Path,
    machine: &Value,
    points: &[proxy::Point],
) -> Result<(), Failure> {
    let line = |pick: fn(&proxy::Point) -> f64| {
        points
            .iter()
            .map(|point| (point.connections as f64, pick(point)))
            .collect::<Vec<_>>()
    };
    let lines = [
        ("ctc proxy", line(|point| point.ours)),
        ("a bare hyper proxy", line(|point| point.bare)),
    ];
    let title = "Requests a second by connections";
    let chart = line_chart(title, "connections", &lines, machine);
    std::fs::write(folder.join("proxy.svg"), chart)?;
    Ok(())
}

fn bar_chart(title: &str, bars: &[(String, f64)], machine: &Value) -> String {
    let height = 90.0 + 30.0 * bars.len() as f64;
    let most = bars.iter().map(|bar| bar.1).fold(1.0, f64::max);
    let mut svg = head(title, height, machine);
    for (row, (name, value)) in bars.iter().enumerate() {
        let (y, width) = (50.0 + 30.0 * row as f64, value / most * (WIDTH - 330.0));
        let colour = COLOURS[usize::from(row >= 2)];
        let _ = writeln!(
            svg,
            "<text x='240' y='{:.0}' text-anchor='end'>{name}</text>\
             <rect x='250' y='{y:.0}' width='{width:.1}' height='20' fill='{colour}'/>\
             <text x='{:.0}' y='{:.0}'>{value:.2}</text>",
            y + 15.0,
            256.0 + width,
            y + 15.0,
        );
    }
    svg + "</svg>\n"
}

fn line_chart(
    title: &str,
    axis: &str,
    lines: &[(&str, Vec<(f64, f64)>)],
    machine: &Value,
) -> String {
    const LEFT: f64 = 60.0;
    const TOP: f64 = 60.0;
    const BOTTOM: f64 = 340.0;
    const RIGHT: f64 = WIDTH - 220.0;
    let points = || lines.iter().flat_map(|(_, points)| points);
    let most = |pick: fn(&(f64, f64)) -> f64| points().map(pick).fold(1.0, f64::max);
    let (widest, highest) = (most(|point| point.0), most(|point| point.1));
    let at = |&(x, y): &(f64, f64)| {
        let across = if widest > 1.0 {
            x.ln() / widest.ln()
        } else {
            0.0
        };
        (
            LEFT + across * (RIGHT - LEFT),
            BOTTOM - y / highest * (BOTTOM - TOP),
        )
    };
    let mut svg = head(title, 420.0, machine);
    for part in 0..=4 {
        let value = highest * f64::from(part) / 4.0;
        let (_, y) = at(&(1.0, value));
        let _ = writeln!(
            svg,
            "<path d='M{LEFT} {y:.1}H{RIGHT}' stroke='#ddd'/>\
             <text x='{:.0}' y='{:.1}' text-anchor='end'>{value:.0}</text>",
            LEFT - 6.0,
            y + 4.0,
        );
    }
    for (x, _) in &lines[0].1 {
        let (across, _) = at(&(*x, 0.0));
        let _ = writeln!(
            svg,
            "<text x='{across:.1}' y='{:.0}' text-anchor='middle'>{x}</text>",
            BOTTOM + 18.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x='{:.0}' y='{:.0}'>{axis}</text>",
        RIGHT + 30.0,
        BOTTOM + 18.0
    );
    for (number, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let path: Vec<String> = points
            .iter()
            .map(at)
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2'/>\
             <text x='{:.0}' y='{:.0}' fill='{colour}'>{name}</text>",
            path.join(" "),
            RIGHT + 15.0,
            TOP + 20.0 * number as f64,
        );
    }
    svg + "</svg>\n"
}

fn head(title: &str, height: f64, machine: &Value) -> String {
    let text = |key: &str| machine[key].as_str().unwrap_or_default().to_owned();
    let below = format!(
        "{}, {} cores, {}, {}",
        text("processor"),
        machine["cores"],
        text("rustc"),
        text("profile")
    );
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' \
         font-family='sans-serif' font-size='13'>\n\
         <rect width='100%' height='100%' fill='white'/>\n\
         <text x='20' y='26' font-size='16'>{title}</text>\n\
         <text x='20' y='{:.0}' fill='#666' font-size='11'>{below}</text>\n",
        height - 12.0
    )
}
