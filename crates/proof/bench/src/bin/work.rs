//! One kind of work, many times, for valgrind to count. `serve` is the server that the clients
//! call.
//!
//! `ctc-bench-work <work> <times> [<url>]`; the difference between two runs with different `times`
//! is the work itself. `ctc-bench-work pair <bare> <ours> <url> <milliseconds>` times the calls of
//! two clients in turns. `bare-proxy` is the proxy that `ctc proxy` is compared with.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool"
)]

use std::hint::black_box;
use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use ctc_bench::rounds::{Budget, time, undisturbed};
use ctc_bench::scene::{Limit, batch, open, renewing, response, session_work, stamp_all, unstamp};
use ctc_bench::stub::armed;
use ctc_bench::{Failure, bare_proxy, calls, server};
use ctc_driver::SharedSession;

fn main() -> ExitCode {
    ctc_bench::build::install_tls();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["serve"] => serve(),
        ["bare-proxy", url] => bare_proxy::serve(url),
        ["pair", bare, ours, url, millis] => pair([bare, ours], url, millis),
        [work, times] => run(work, times, ""),
        [work, times, url] => run(work, times, url),
        _ => Err(
            "usage: ctc-bench-work serve | bare-proxy <url> | <work> <times> [<url>] | \
             pair <bare> <ours> <url> <milliseconds>"
                .into(),
        ),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ctc-bench-work: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    server::serve(&listener);
    Ok(())
}

fn run(work: &str, times: &str, url: &str) -> Result<(), Failure> {
    let times: usize = times.parse()?;
    match work {
        "limit" => {
            let limit = Limit::new()?;
            stamps(times, |request| {
                black_box(&limit).stamp(request.headers_mut());
            })
        }
        "session" => sessions(times, &open()?),
        "session while renewing" => sessions(times, &renewing()?),
        "session with renewal armed" => sessions(times, &armed()?),
        name => {
            let client = calls::client(name, url)?;
            // The first calls connect and fill caches.
            (0..20 + times).try_for_each(|_| client.call())
        }
    }
}

/// Calls in a turn, and clients of each kind: two clients are never equally fast, because their
/// memory is in different places.
const CALLS: usize = 50;
const CLIENTS: usize = 3;

/// Prints the seconds that a call takes through bare clients, through as many further bare clients,
/// and through ours.
fn pair([bare, ours]: [&str; 2], url: &str, millis: &str) -> Result<(), Failure> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        for (kind, name) in [bare, bare, ours].into_iter().enumerate() {
            clients.push((kind, calls::client(name, url)?, Vec::new()));
        }
    }
    let budget = Budget {
        time: Duration::from_millis(millis.parse()?),
        rounds: usize::MAX,
    };
    budget.run(|| -> Result<(), Failure> {
        for (_, client, times) in &mut clients {
            times.push(time(|| (0..CALLS).try_for_each(|_| client.call()))?);
        }
        // Each client is first, in the middle and last in turn.
        clients.rotate_left(1);
        Ok(())
    })?;
    let mut seconds = [0.0; 3];
    for (kind, _, times) in clients {
        seconds[kind] += undisturbed(times) / (CALLS * CLIENTS) as f64;
    }
    println!("{} {} {}", seconds[0], seconds[1], seconds[2]);
    Ok(())
}

fn sessions(times: usize, session: &SharedSession) -> Result<(), Failure> {
    let response = response();
    stamps(times, |request| {
        session_work(black_box(session), request, black_box(&response));
    })
}

/// Stamps many batches. valgrind counts only inside `stamp_all`, so the figure includes neither
/// building nor resetting.
fn stamps(times: usize, mut stamp: impl FnMut(&mut http::Request<()>)) -> Result<(), Failure> {
    let mut batch = batch()?;
    for _ in 0..times {
        stamp_all(&mut batch, &mut stamp);
        batch.iter_mut().for_each(unstamp);
    }
    Ok(())
}
