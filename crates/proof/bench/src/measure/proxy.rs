//! `ctc proxy` compared with a bare reverse proxy of the same parts: calls per second, latency,
//! memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ctc_bench::rounds::median;
use ctc_bench::{Failure, load};
use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME};

use super::Plan;
use super::whole::Server;
use crate::picture::Spread;
use crate::table::Row;

/// The bars: requests per second compared with bare, and the added median latency, in percent.
const RATE: f64 = 0.9;
const LATENCY: f64 = 10.0;
/// How much resident memory may grow, under load and while a gigabyte is streamed.
const FLAT: u64 = 2 << 20;
const STREAMED: u64 = 16 << 20;
const GIGABYTE: u64 = 1 << 30;
const CONNECTIONS: [usize; 3] = [1, 32, 256];

/// The requests per second of each number of connections.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) connections: usize,
    pub(crate) ours: Spread,
    pub(crate) bare: Spread,
}

/// A proxy in a separate process.
struct Proxy {
    process: Child,
    url: String,
}

impl Proxy {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut url = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut url)?;
        }
        let url = url.trim().to_owned();
        let proxy = Self { process, url };
        match proxy.url.is_empty() {
            true => Err("the proxy did not start".into()),
            false => Ok(proxy),
        }
    }

    fn bare(plan: &Plan, url: &str) -> Result<Self, Failure> {
        Self::start(Command::new(plan.binary("ctc-bench-work")).args(["bare-proxy", url]))
    }

    fn ours(plan: &Plan, url: &str, folder: &tempfile::TempDir) -> Result<Self, Failure> {
        let program = plan.binary("ctc");
        if !program.is_file() {
            let why = format!("there is no {}: run `cargo xtask bench`", program.display());
            return Err(why.into());
        }
        let mut command = Command::new(program);
        let command = command
            .env("CTC_BASE_URL", url)
            .env("CTC_USERNAME", DEFAULT_USERNAME)
            .env("CTC_PASSWORD", DEFAULT_PASSWORD)
            .env("CTC_APP_KEY", DEFAULT_APP_KEY)
            .env("CTC_STORE", format!("file:{}", folder.path().display()))
            .args(["proxy", "--listen", "127.0.0.1:0"]);
        Self::start(command)
    }

    /// Returns its resident memory in bytes, or `None` if the system does not say.
    fn resident(&self) -> Option<u64> {
        let file = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(file).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    }

    fn connect(&self) -> Result<TcpStream, Failure> {
        let address = self.url.strip_prefix("http://").unwrap_or(&self.url);
        Ok(TcpStream::connect(address)?)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It runs until it is killed. Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn measure(plan: &Plan, server: &Server) -> Result<(Vec<Row>, Vec<Point>), Failure> {
    let folder = tempfile::tempdir()?;
    let bare = Proxy::bare(plan, &server.url)?;
    let ours = Proxy::ours(plan, &server.url, &folder)?;
    let (mut rows, mut points) = (Vec::new(), Vec::new());
    for connections in CONNECTIONS {
        points.push(compare(plan, &bare, &ours, connections, &mut rows)?);
    }
    rows.push(flat(plan, &ours)?);
    rows.extend(streams(plan)?);
    Ok((rows, points))
}

/// Measures both in turns, so that other load of the machine affects both alike. Returns the
/// medians of the pairs.
fn compare(
    plan: &Plan,
    bare: &Proxy,
    ours: &Proxy,
    connections: usize,
    rows: &mut Vec<Row>,
) -> Result<Point, Failure> {
    let (rounds, time) = match plan.quick {
        true => (5, Duration::from_millis(500)),
        false => (15, Duration::from_secs(2)),
    };
    let (mut rates, mut more, mut noise) = (Vec::new(), Vec::new(), Vec::new());
    let (mut our_rates, mut bare_rates, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let one = load::run(&bare.url, connections, time)?;
        let our = load::run(&ours.url, connections, time)?;
        let two = load::run(&bare.url, connections, time)?;
        let per_second = (one.per_second + two.per_second) / 2.0;
        let latency = (one.latency + two.latency) / 2.0;
        rates.push(our.per_second / per_second);
        more.push((our.latency / latency - 1.0) * 100.0);
        noise.push((two.per_second / one.per_second - 1.0).abs() * 100.0);
        our_rates.push(our.per_second);
        bare_rates.push(per_second);
        latencies.push(latency * 1e6);
    }
    let point = Point {
        connections,
        ours: Spread::of(our_rates),
        bare: Spread::of(bare_rates),
    };
    let (rate, more, micros) = (median(rates), median(more), median(latencies));
    let of = match connections {
        1 => "1 connection".to_owned(),
        _ => format!("{connections} connections"),
    };
    rows.push(Row::new(
        format!("ctc proxy, {of}: requests a second"),
        format!("{rate:.2} × a bare proxy ({:.0}/s)", point.bare.mid),
        format!("≥ {RATE:.2} ×"),
        rate >= RATE,
    ));
    rows.push(Row::new(
        format!("ctc proxy, {of}: median latency"),
        format!("{more:+.1} % of {micros:.0} µs"),
        format!("≤ {LATENCY:.0} %"),
        more <= LATENCY,
    ));
    rows.push(Row::shown(
        format!("  the bare proxy against itself, {of}"),
        format!("{:.1} %", median(noise)),
    ));
    Ok(point)
}

/// Compares resident memory at the end of a load with that after its first part.
fn flat(plan: &Plan, ours: &Proxy) -> Result<Row, Failure> {
    let time = Duration::from_secs(if plan.quick { 10 } else { 600 });
    let what = format!(
        "ctc proxy: memory, {} s of load on 32 connections",
        time.as_secs()
    );
    load::run(&ours.url, 32, time / 10)?;
    let Some(before) = ours.resident() else {
        return Ok(Row::skipped(what, "only Linux tells a process's memory"));
    };
    load::run(&ours.url, 32, time)?;
    let after = ours.resident().unwrap_or_default();
    let grown = after.saturating_sub(before);
    Ok(Row::new(
        what,
        format!("{} of {}", mebibytes(grown), mebibytes(before)),
        format!("≤ {} more", mebibytes(FLAT)),
        grown <= FLAT,
    ))
}

/// Streams a gigabyte in each direction, with a server that accepts and makes bodies of any size.
fn streams(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let server = ctc_testkit::Server::start()?;
    let folder = tempfile::tempdir()?;
    let ours = Proxy::ours(plan, &server.url(), &folder)?;
    exchange(&ours, "GET", "/connect/services/devices", 0)?;
    let mut rows = Vec::new();
    for (name, method, path, upload) in [
        ("down", "GET", format!("/connect/test/bytes/{GIGABYTE}"), 0),
        ("up", "POST", "/connect/test/echo".to_owned(), GIGABYTE),
    ] {
        let what = format!("ctc proxy: memory, 1 GiB streamed {name}");
        let Some(before) = ours.resident() else {
            rows.push(Row::skipped(what, "only Linux tells a process's memory"));
            continue;
        };
        let start = Instant::now();
        let most = exchange(&ours, method, &path, upload)?;
        let grown = most.saturating_sub(before);
        rows.push(Row::new(
            what,
            format!(
                "{} more ({:.0} MiB/s)",
                mebibytes(grown),
                1024.0 / start.elapsed().as_secs_f64()
            ),
            format!("≤ {} more", mebibytes(STREAMED)),
            grown <= STREAMED,
        ));
    }
    Ok(rows)
}

/// Makes one call with a body of this many bytes, and reads the response. Returns the most memory
/// that the proxy used meanwhile.
fn exchange(proxy: &Proxy, method: &str, path: &str, upload: u64) -> Result<u64, Failure> {
    const PIECE: usize = 1 << 20;
    let mut stream = proxy.connect()?;
    let host = proxy.url.strip_prefix("http://").unwrap_or(&proxy.url);
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-length: {upload}\r\n\r\n"
    )?;
    let mut most = 0;
    let mut look = |moved: u64| {
        if moved % (16 << 20) < PIECE as u64 {
            most = most.max(proxy.resident().unwrap_or_default());
        }
    };
    let mut piece = vec![b'x'; PIECE];
    for number in 0..upload / PIECE as u64 {
        stream.write_all(&piece)?;
        look(number * PIECE as u64);
    }
    let (mut length, mut head) = (0, Vec::new());
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            break;
        }
        if head.len() < 256 {
            head.extend_from_slice(&piece[..read.min(256)]);
        }
        length += read as u64;
        look(length);
    }
    let head = String::from_utf8_lossy(&head);
    let is_whole = upload > 0 || !path.contains("bytes") || length > GIGABYTE;
    if !head.starts_with("HTTP/1.1 200 ") || !is_whole {
        return Err(format!("{method} {path}: {length} bytes, {head}").into());
    }
    Ok(most)
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
